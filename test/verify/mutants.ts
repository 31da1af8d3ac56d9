// SPDX-License-Identifier: Apache-2.0
/**
 * Damaged bundles, judged: none accepted unless it is the good one in other words (`equivalence.ts`) and the verdict tells
 * nothing that the good one's did not tell; none refused without a named check; no exception, no fault inside, no call
 * that takes long.
 */
import { readdirSync, readFileSync, existsSync } from "node:fs";
import { join } from "node:path";
import { importPublicKey } from "@lacre/core/crypto";
import { parsePem } from "@lacre/core/codec";
import { toHex, utf8 } from "@lacre/core/bytes";
import { decodeTrustedRoot, type TrustedRoot } from "@lacre/core/trust";
import { createVerifier, decidingCheck, type Question, type Verdict } from "@lacre/core/verify";
import { bytesOf, NOW_MS, seal, type Recipe, type Workshop } from "../workshop/workshop.ts";
import { difference, essenceOf, type Essence } from "./equivalence.ts";
import { MUTATIONS, Random } from "./mutation.ts";

/** A good bundle and how it is verified. */
export interface Subject {
  readonly name: string;
  readonly text: string;
  readonly essence: Essence;
  readonly knownLogs: ReadonlySet<string>;
  readonly told: unknown;
  verify(bytes: Uint8Array): Verdict;
}

/** A subject from a bundle's text and everything that a question about it needs. Throws if it is not good. */
export function subjectOf(name: string, text: string, trustedRoot: TrustedRoot, question: Omit<Question, "bundle">): Subject {
  // One verifier for all: what it remembers of good bundles must not help bad ones.
  const verifier = createVerifier({ trustedRoot });
  const verify = (bundle: Uint8Array): Verdict => verifier.verify({ ...question, bundle });
  const verdict = verify(utf8(text));
  if (verdict.outcome !== "verified") throw new Error(`${name} is not good: ${decidingCheck(verdict)?.message}`);
  const knownLogs = new Set(trustedRoot.tlogs.map(({ logId }) => toHex(logId)));
  return { name, text, essence: essenceOf(text, knownLogs)!, knownLogs, told: tell(verdict), verify };
}

/** All that was proved, without the record of how, and without the version's name. */
function tell({ checks: _checks, warnings: _warnings, mediaType: _mediaType, ...told }: Verdict): unknown {
  return told;
}

/** Whether all that `part` says is said in `whole`. */
function isPart(part: unknown, whole: unknown): boolean {
  if (Array.isArray(part)) return Array.isArray(whole) && part.every((item) => whole.some((other) => isPart(item, other)));
  if (typeof part !== "object" || part === null) return part === whole;
  return (
    typeof whole === "object" &&
    whole !== null &&
    Object.entries(part).every(
      ([key, value]) => Object.hasOwn(whole, key) && isPart(value, (whole as Record<string, unknown>)[key]),
    )
  );
}

const RECIPES: readonly Recipe[] = (["v1", "v2"] as const).flatMap((dialect) =>
  (["certificate", "key"] as const).flatMap((signer): Recipe[] => [
    { dialect, signer },
    { dialect, signer, content: "dsse" },
    { dialect, signer, content: "dsse", kind: dialect === "v1" ? "intoto" : "dsse" },
  ]),
);

/** Good bundles of the workshop: every log, content, signer and version, with one artifact. */
export function workshopSubjects(workshop: Workshop): Subject[] {
  const old = (version: string): Recipe => ({ mediaType: `application/vnd.dev.sigstore.bundle+json;version=${version}` });
  const recipes: readonly Recipe[] = [
    ...RECIPES,
    old("0.1"),
    old("0.2"),
    { ...old("0.2"), dialect: "v2", content: "dsse" },
    { timestamp: true },
    { keyType: "P-384", dialect: "v2" },
    { keyType: "RSA", dialect: "v1" },
  ];
  return recipes.map((recipe) => {
    const sealed = seal(workshop, recipe);
    const { dialect = "v1", content = "message", signer = "certificate", kind = "", mediaType = "", keyType = "" } = recipe;
    const dated = recipe.timestamp === true ? "with a timestamp" : "";
    const version = /version=.*/.exec(mediaType)?.[0] ?? "";
    return subjectOf(
      ["workshop", dialect, content, signer, kind, version, keyType, dated].filter((word) => word !== "").join(" "),
      JSON.stringify(sealed.bundle),
      decodeTrustedRoot(bytesOf(sealed.root)),
      {
        artifact: { digests: new Map(), message: sealed.artifact },
        nowMs: NOW_MS,
        ...(signer === "key"
          ? { policy: {}, key: sealed.key.publicKey }
          : { policy: { identities: [{ identity: { pattern: ANY }, issuer: { pattern: ANY } }] } }),
      },
    );
  });
}

const ANY = { source: ".*", test: (): boolean => true };

/** Good bundles of the public conformance cases, where they lie beside the repository. */
export function vectorSubjects(vectors: string): Subject[] {
  const cases = join(vectors, "bundle-verify");
  if (!existsSync(cases)) return [];
  return readdirSync(cases, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && !entry.name.endsWith("_fail"))
    .map(({ name }) => {
      const file = (part: string): string => join(cases, name, part);
      const root = existsSync(file("trusted_root.json"))
        ? file("trusted_root.json")
        : join(vectors, "public-good-trusted_root.json");
      const key = existsSync(file("key.pub"))
        ? importPublicKey(parsePem(readFileSync(file("key.pub"), "utf8"), "PUBLIC KEY"))
        : undefined;
      return subjectOf(
        `vector ${name}`,
        readFileSync(file("bundle.sigstore.json"), "utf8"),
        decodeTrustedRoot(readFileSync(root)),
        {
          artifact: {
            digests: new Map(),
            message: readFileSync(existsSync(file("artifact")) ? file("artifact") : join(cases, "a.txt")),
          },
          ...(key === undefined
            ? { policy: { identities: [{ identity: { pattern: ANY }, issuer: { pattern: ANY } }] } }
            : { policy: {}, key }),
          nowMs: Date.now(),
        },
      );
    });
}

/** What came of a campaign. */
export interface Campaign {
  /** By way of damage: how many were judged, and how many of them were the good one in other words. */
  readonly classes: ReadonlyMap<string, { judged: number; same: number }>;
  /** What should not be: one sentence each. */
  readonly failures: readonly string[];
  readonly slowestMs: number;
}

/** Nothing that a bundle says may cost more of a processor than this. */
const LONGEST_MS = 5000;

/** Judges `count` mutants, spread over subjects and ways. */
export function judgeMutants(subjects: readonly Subject[], count: number, seed: number): Campaign {
  const random = new Random(seed);
  const ways = Object.keys(MUTATIONS);
  const classes = new Map(ways.map((way) => [way, { judged: 0, same: 0 }]));
  const failures: string[] = [];
  const texts = subjects.map(({ text }) => text);
  let slowestMs = 0;
  for (let judged = 0, turn = 0; judged < count; turn++) {
    const subject = subjects[turn % subjects.length]!;
    const way = ways[Math.floor(turn / subjects.length) % ways.length]!;
    const mutant = MUTATIONS[way]!(subject.text, texts, random);
    if (mutant === undefined) continue;
    const bytes = typeof mutant.text === "string" ? utf8(mutant.text) : mutant.text;
    const where = `${subject.name}: ${way} (${mutant.how})`;
    const record = classes.get(way)!;
    record.judged++;
    judged++;
    const began = process.cpuUsage();
    let verdict: Verdict;
    try {
      verdict = subject.verify(bytes);
    } catch (error) {
      failures.push(`${where}: an exception: ${String(error)}`);
      continue;
    }
    const { user, system } = process.cpuUsage(began);
    const tookMs = (user + system) / 1000;
    slowestMs = Math.max(slowestMs, tookMs);
    if (tookMs > LONGEST_MS) failures.push(`${where}: took ${tookMs.toFixed(0)} ms`);
    if (verdict.outcome === "verified") {
      const why =
        mutant.never === true
          ? "two readers could read it differently"
          : (difference(subject.essence, essenceOf(mutant.text, subject.knownLogs)) ??
            (isPart(tell(verdict), subject.told) ? undefined : "the verdict tells something else"));
      if (why === undefined) record.same++;
      else failures.push(`${where}: accepted, though ${why}`);
      continue;
    }
    const check = decidingCheck(verdict);
    if (check?.code === undefined || check.message === undefined || check.hint === undefined)
      failures.push(`${where}: refused without a reason`);
    else if (check.id.startsWith("K")) failures.push(`${where}: ${check.id} ${check.code}: ${check.found ?? check.message}`);
  }
  return { classes, failures, slowestMs };
}
