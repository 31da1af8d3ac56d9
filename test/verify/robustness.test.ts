// SPDX-License-Identifier: Apache-2.0
/**
 * Damaged bundles: every field left out, emptied or of another type, thousands of flipped bits, parts of one bundle
 * in another. Never an exception, never a refusal without a named check, and never accepted unless everything that the
 * verdict tells it also told of the undamaged bundle (where evidence may be missing, it tells less).
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeTrustedRoot } from "@lacre/core/trust";
import { createVerifier, decidingCheck, type Verdict, type Verifier } from "@lacre/core/verify";
import { bytesOf, NOW_MS, seal, type Mutable, type Recipe, type Sealed } from "../workshop/workshop.ts";
import { assertVerified, POLICY, workshop } from "./trial.ts";

const KINDS: Readonly<Record<string, Recipe>> = {
  "message, promise and proof": {},
  "message, promise, version 0.1": { mediaType: "application/vnd.dev.sigstore.bundle+json;version=0.1" },
  "envelope, promise and proof": { content: "dsse" },
  "message, proof and timestamp": { dialect: "v2" },
  "envelope, proof and timestamp": { dialect: "v2", content: "dsse", kind: "dsse" },
  "message by a key": { signer: "key" },
  "envelope by a key": { signer: "key", content: "dsse", dialect: "v2" },
};

interface Subject {
  readonly sealed: Sealed;
  readonly told: unknown;
  verify(bytes: Uint8Array): Verdict;
}

function subject(recipe: Recipe): Subject {
  const sealed = seal(workshop, recipe);
  // One verifier for all: what it remembers of good bundles must not help bad ones.
  const verifier: Verifier = createVerifier({ trustedRoot: decodeTrustedRoot(bytesOf(sealed.root)) });
  const verify = (bytes: Uint8Array): Verdict =>
    verifier.verify({
      bundle: bytes,
      artifact: { digests: new Map(), message: sealed.artifact },
      nowMs: NOW_MS,
      ...(recipe.signer === "key" ? { policy: {}, key: sealed.key.publicKey } : { policy: POLICY }),
    });
  const verdict = verify(bytesOf(sealed.bundle));
  assertVerified(verdict);
  return { sealed, told: tell(verdict), verify };
}

/** All that was proved, without the record of how. */
function tell({ checks: _checks, warnings: _warnings, ...told }: Verdict): unknown {
  return told;
}

/** Whether all that `part` says is said in `whole`. */
function isPart(part: unknown, whole: unknown): boolean {
  if (Array.isArray(part)) return Array.isArray(whole) && part.every((item) => whole.some((other) => isPart(item, other)));
  if (typeof part !== "object" || part === null) return part === whole;
  return (
    typeof whole === "object" &&
    whole !== null &&
    Object.entries(part).every(([key, value]) => Object.hasOwn(whole, key) && isPart(value, (whole as Mutable)[key]))
  );
}

/** Judges a damaged bundle: refused under a check of the catalogue, or just as good. */
function judgeDamaged(whole: Subject, bytes: Uint8Array, how: string): "refused" | "verified" {
  const verdict = whole.verify(bytes);
  if (verdict.outcome === "verified") {
    assert.ok(isPart(tell(verdict), whole.told), `accepted with something else: ${how}`);
    return "verified";
  }
  const check = decidingCheck(verdict);
  assert.ok(check !== undefined, `refused without a check: ${how}`);
  assert.ok(!check.id.startsWith("K"), `${check.id} ${check.code} ${check.found}: ${how}`);
  return "refused";
}

type Path = readonly (string | number)[];

function pathsOf(value: unknown, path: Path = []): Path[] {
  const inner: [string | number, unknown][] = Array.isArray(value)
    ? [...value.entries()]
    : typeof value === "object" && value !== null
      ? Object.entries(value)
      : [];
  return [...(path.length === 0 ? [] : [path]), ...inner.flatMap(([key, item]) => pathsOf(item, [...path, key]))];
}

/** A copy in which the value at `path` is replaced; undefined removes it. */
function replaced(json: Mutable, path: Path, value: unknown): Mutable {
  const copy = structuredClone(json);
  let parent: Mutable = copy;
  for (const key of path.slice(0, -1)) parent = parent[key] as Mutable;
  const last = path.at(-1)!;
  if (value !== undefined) parent[last] = value;
  else if (Array.isArray(parent)) parent.splice(last as number, 1);
  else delete parent[last];
  return copy;
}

/** What may be missing: stated for people or for searching, bound elsewhere, or default. */
const LEGAL: Readonly<Record<string, readonly string[]>> = {
  all: [
    "messageSignature.messageDigest",
    "verificationMaterial.tlogEntries.0.inclusionProof.rootHash",
    "dsseEnvelope.signatures.0.keyid",
    "verificationMaterial.publicKey.hint",
  ],
  // The proof's own index stands for it.
  v2: ["verificationMaterial.tlogEntries.0.logIndex"],
  // The promise is what version 0.1 asks for.
  v01: [
    "verificationMaterial.tlogEntries.0.inclusionProof",
    "verificationMaterial.tlogEntries.0.inclusionProof.checkpoint",
    "verificationMaterial.tlogEntries.0.inclusionProof.checkpoint.envelope",
  ],
};

for (const [name, recipe] of Object.entries(KINDS)) {
  const legal = new Set([
    ...LEGAL["all"]!,
    ...(recipe.dialect === "v2" ? LEGAL["v2"]! : []),
    ...(recipe.mediaType === undefined ? [] : LEGAL["v01"]!),
  ]);
  // A key alone needs no time: without promise or timestamp its log entry still stands by its proof.
  if (recipe.signer === "key") {
    const optional =
      recipe.dialect === "v2"
        ? [
            "timestampVerificationData",
            "timestampVerificationData.rfc3161Timestamps",
            "timestampVerificationData.rfc3161Timestamps.0",
          ]
        : ["tlogEntries.0.inclusionPromise", "tlogEntries.0.inclusionPromise.signedEntryTimestamp"];
    for (const path of optional) legal.add(`verificationMaterial.${path}`);
  }

  test(`each field left out in turn: ${name}`, () => {
    const whole = subject(recipe);
    for (const path of pathsOf(whole.sealed.bundle)) {
      const where = path.join(".");
      const verdict = whole.verify(bytesOf(replaced(whole.sealed.bundle, path, undefined)));
      if (legal.has(where))
        assert.equal(
          verdict.outcome,
          "verified",
          `${where} may be missing: ${decidingCheck(verdict)?.id} ${decidingCheck(verdict)?.message}`,
        );
      else {
        assert.equal(verdict.outcome, "refused", `${where} is missing, and nobody minds`);
        const check = decidingCheck(verdict);
        assert.ok(
          check !== undefined && !check.id.startsWith("K") && check.code !== undefined && check.message !== undefined,
          where,
        );
      }
    }
  });

  test(`each field of another type in turn: ${name}`, () => {
    const whole = subject(recipe);
    for (const path of pathsOf(whole.sealed.bundle)) {
      for (const value of [null, true, 0, -1, 1e300, "", "x", "AAAA", "\u0000", "é", [], [[]], {}, { x: 1 }]) {
        judgeDamaged(whole, bytesOf(replaced(whole.sealed.bundle, path, value)), `${path.join(".")} = ${JSON.stringify(value)}`);
      }
    }
  });

  test(`fields of another bundle in turn: ${name}`, () => {
    const whole = subject(recipe);
    const other = seal(workshop, { ...recipe, artifact: new TextEncoder().encode("another artifact\n") }).bundle;
    for (const path of pathsOf(whole.sealed.bundle)) {
      const theirs = path.reduce<unknown>((value, key) => (value as Mutable | undefined)?.[key], other);
      if (theirs !== undefined) judgeDamaged(whole, bytesOf(replaced(whole.sealed.bundle, path, theirs)), path.join("."));
    }
  });

  test(`flipped bits: ${name}`, () => {
    const whole = subject(recipe);
    const random = generator(name);
    const bytes = bytesOf(whole.sealed.bundle);
    let refused = 0;
    for (let round = 0; round < 250; round++) {
      const copy = Uint8Array.from(bytes);
      copy[random(copy.length)]! ^= 1 << random(8);
      if (judgeDamaged(whole, copy, `round ${round}`) === "refused") refused++;
    }
    // Inside the values, so that the damage gets past the text: every string that is base64 of something.
    for (const path of pathsOf(whole.sealed.bundle)) {
      const value = path.reduce<unknown>((inner, key) => (inner as Mutable)[key], whole.sealed.bundle);
      if (typeof value !== "string" || !/^[A-Za-z0-9+/]{8,}={0,2}$/.test(value) || value.length % 4 !== 0) continue;
      const inner = Buffer.from(value, "base64");
      for (let round = 0; round < 60; round++) {
        const copy = Buffer.from(inner);
        // From the front as often as from anywhere: lengths and tags stand in front.
        const at = round % 2 === 0 ? random(Math.min(copy.length, 24)) : random(copy.length);
        copy[at]! ^= 1 << random(8);
        if (
          judgeDamaged(
            whole,
            bytesOf(replaced(whole.sealed.bundle, path, copy.toString("base64"))),
            `${path.join(".")} bit in byte ${at}`,
          ) === "refused"
        )
          refused++;
        const cut = inner.subarray(0, random(inner.length));
        if (
          judgeDamaged(
            whole,
            bytesOf(replaced(whole.sealed.bundle, path, cut.toString("base64"))),
            `${path.join(".")} cut to ${cut.length}`,
          ) === "refused"
        )
          refused++;
      }
    }
    assert.ok(refused > 500, `${refused} refused`);
    assertVerified(whole.verify(bytes));
  });
}

/** A small repeatable source of numbers (mulberry32), seeded by a name. */
function generator(seed: string): (below: number) => number {
  let state = 0;
  for (const character of seed) state = (state * 31 + character.charCodeAt(0)) >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}
