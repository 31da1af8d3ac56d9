// SPDX-License-Identifier: Apache-2.0
/**
 * How the suites here put one question: a bundle from the workshop, the verifier's answer, and the good twin. A refusal
 * counts only under the check and code that are named, and only if the same thing without the one change is accepted.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { sha256 } from "@lacre/core/crypto";
import type { LacreCode } from "@lacre/core/errors";
import { decodeTrustedRoot } from "@lacre/core/trust";
import {
  createVerifier,
  decidingCheck,
  type Artifact,
  type CheckId,
  type Policy,
  type Question,
  type Thresholds,
  type TrustedKey,
  type Verdict,
} from "@lacre/core/verify";
import {
  bytesOf,
  createWorkshop,
  IDENTITY,
  ISSUER,
  NOW_MS,
  seal,
  type Recipe,
  type Sealed,
  type Workshop,
} from "../workshop/workshop.ts";

/** Keys and authorities for all suites of one process. */
export const workshop: Workshop = createWorkshop();

/** One question. What is left out is as in a good case. */
export interface Trial {
  readonly recipe?: Recipe;
  readonly policy?: Policy;
  /** Added to the usual policy. */
  readonly also?: Policy;
  readonly artifact?: Artifact | "digest" | "none" | ((sealed: Sealed) => Artifact);
  /** Key mode's key; by default the signer's. "none" asks as if the bundle had a certificate. */
  readonly key?: readonly TrustedKey[] | ((sealed: Sealed) => readonly TrustedKey[]) | "none";
  readonly options?: Thresholds;
  readonly nowMs?: number | "none";
  /** Bytes in place of the bundle's. */
  readonly bytes?: (sealed: Sealed) => Uint8Array;
  readonly withoutRoot?: boolean;
  readonly with?: Workshop;
}

export const POLICY: Policy = { identities: [{ identity: { exact: IDENTITY }, issuer: { exact: ISSUER } }] };

/** Puts the question. */
export function judge(trial: Trial): Verdict {
  return ask(trial, seal(trial.with ?? workshop, trial.recipe));
}

/** Puts it about a bundle that is made already. */
export function ask(trial: Trial, sealed: Sealed): Verdict {
  const isKey = trial.recipe?.signer === "key" ? trial.key !== "none" : trial.key !== undefined && trial.key !== "none";
  const keys = typeof trial.key === "function" ? trial.key(sealed) : Array.isArray(trial.key) ? trial.key : undefined;
  const artifact =
    trial.artifact === "none"
      ? undefined
      : typeof trial.artifact === "function"
        ? trial.artifact(sealed)
        : trial.artifact === "digest"
          ? digestOf(sealed.artifact)
          : (trial.artifact ?? { digests: new Map(), message: sealed.artifact });
  const question: Question = {
    bundle: trial.bytes?.(sealed) ?? bytesOf(sealed.bundle),
    artifact,
    policy: { ...(trial.policy ?? (isKey ? {} : POLICY)), ...trial.also },
    ...(isKey ? { key: keys ?? sealed.key.publicKey } : {}),
    ...(trial.nowMs === "none" ? {} : { nowMs: trial.nowMs ?? NOW_MS }),
  };
  const root = trial.withoutRoot === true ? {} : { trustedRoot: decodeTrustedRoot(bytesOf(sealed.root)) };
  return createVerifier({ ...root, ...trial.options }).verify(question);
}

function digestOf(bytes: Uint8Array): Artifact {
  return { digests: new Map([["sha256", sha256(bytes)]]) };
}

/** What a verdict says, in one line. */
export function summary(verdict: Verdict): string {
  const check = decidingCheck(verdict);
  return check === undefined
    ? verdict.outcome
    : `${check.id} ${check.code} ${check.message} expected ${check.expected} found ${check.found}`;
}

/** Fails unless verified. */
export function assertVerified(verdict: Verdict): void {
  assert.equal(verdict.outcome, "verified", summary(verdict));
  assert.equal(decidingCheck(verdict), undefined);
}

const PROVED_MEMBERS: readonly (keyof Verdict)[] = [
  "mediaType",
  "identity",
  "key",
  "algorithm",
  "times",
  "logEntries",
  "artifact",
  "payloadType",
  "payload",
  "subjects",
  "predicateType",
  "predicate",
];

/** Fails unless refused, by this check and code, with nothing told that was not proved. */
export function assertRefused(verdict: Verdict, id: CheckId, code: LacreCode): void {
  assert.equal(verdict.outcome, "refused", "a bad bundle was accepted");
  const check = decidingCheck(verdict);
  assert.deepEqual([check?.id, check?.code], [id, code], summary(verdict));
  assert.equal(typeof check?.message, "string");
  assert.equal(typeof check?.hint, "string");
  for (const member of PROVED_MEMBERS) assert.ok(!(member in verdict), `a refused verdict tells ${member}`);
}

/** The trial with only those parts of its recipe that say what kind of bundle it is. */
function twinOf({ recipe = {}, ...trial }: Trial): Trial {
  const { dialect, content, signer, keyType, kind, mediaType, timestamp, payloadType } = recipe;
  const { bytes: _bytes, artifact, key, ...rest } = trial;
  return {
    ...rest,
    ...(artifact === "none" || artifact === "digest" ? { artifact } : {}),
    ...(key === undefined || recipe.signer !== "key" ? {} : { key }),
    recipe: Object.fromEntries(
      Object.entries({ dialect, content, signer, keyType, kind, mediaType, timestamp, payloadType }).filter(
        ([, value]) => value !== undefined,
      ),
    ),
  };
}

/** A test: accepted. */
export function accepts(name: string, trial: Trial): void {
  test(`accepts ${name}`, () => assertVerified(judge(trial)));
}

/** A test: refused by this check and code; and its good twin (the recipe without what changes anything) is accepted. */
export function refuses(name: string, trial: Trial, id: CheckId, code: LacreCode, twin: Trial | "none" = twinOf(trial)): void {
  test(`refuses ${name}`, () => {
    assertRefused(judge(trial), id, code);
    if (twin !== "none") assertVerified(judge(twin));
  });
}
