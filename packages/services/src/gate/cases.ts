// SPDX-License-Identifier: Apache-2.0
/**
 * Cases to try a policy on: artifacts with what has to come of them.
 *
 *     cases:
 *       - artifact: dist/app
 *         bundles: [dist/app.sigstore.json]   # default: those beside it
 *         name: pkg:npm/app@1.0.0             # what the policy calls it; default: the path
 *         expect: verified | warned | refused
 *         code: SIGNERS_MISSING               # of a refusal
 *         now: 2026-01-31T12:00:00Z
 */
import type { Json } from "@lacre/core/codec";
import { readDocument } from "./document.ts";
import type { Decision } from "./evaluate.ts";
import { readTime } from "./policy.ts";
import { asText, Section } from "./section.ts";

/** One artifact and what has to come of it. */
export interface PolicyCase {
  readonly artifact: string;
  readonly bundles: readonly string[];
  readonly name: string | undefined;
  readonly expect: Decision["outcome"];
  readonly code: string | undefined;
  readonly nowMs: number | undefined;
}

const MAX_CASES = 5000;

/** Reads a file of cases. Throws POLICY_INVALID, TOO_LARGE. */
export function parseCases(bytes: Uint8Array, where: string): readonly PolicyCase[] {
  return new Section(readDocument(bytes, where), where, ["cases"]).list("cases", MAX_CASES, readCase);
}

function readCase(value: Json, where: string): PolicyCase {
  const section = new Section(value, where, ["artifact", "bundles", "name", "expect", "code", "now"]);
  section.text("expect");
  return {
    artifact: section.text("artifact"),
    bundles: section.optionalList("bundles", 100, asText),
    name: section.optionalText("name"),
    expect: section.choice("expect", ["verified", "warned", "refused"], "verified"),
    code: section.optionalText("code"),
    nowMs: section.has("now") ? readTime(section.text("now"), section.at("now")) : undefined,
  };
}
