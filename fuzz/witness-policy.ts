// SPDX-License-Identifier: Apache-2.0
/** Policies of logs and witnesses, and their keys: read or refused, and no quorum without a cosignature. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { formatVerifierKey, parseCheckpoint, parseVerifierKey } from "../packages/core/src/bundle/index.ts";
import { text, utf8 } from "../packages/core/src/bytes/index.ts";
import { LacreError } from "../packages/core/src/errors.ts";
import { checkQuorum, parseWitnessPolicy } from "../packages/core/src/trust/index.ts";

export const name = "witness-policy";

const go = JSON.parse(readFileSync(join(import.meta.dirname, "..", "vectors", "cosignature", "go.json"), "utf8")) as Record<
  "logKey" | "ed25519" | "mlDsa44" | "rfc6962Key" | "checkpoint",
  string
>;
const cosigned = parseCheckpoint(go.checkpoint);

export const seeds: Uint8Array[] = [
  `log ${go.logKey} http://log.example/\nwitness a ${go.ed25519} https://a.example\nwitness b ${go.mlDsa44}\ngroup g any a b\nquorum g\n`,
  `# none\nlog ${go.rfc6962Key}\nwitness a ${go.ed25519}\ngroup g 1 a\nquorum none\n`,
  go.ed25519,
  go.mlDsa44,
  go.rfc6962Key,
].map(utf8);

export function target(bytes: Uint8Array): void {
  try {
    const line = text(bytes);
    if (formatVerifierKey(parseVerifierKey(line)) !== line) throw new Error("a verifier key is not written as it was read");
  } catch (error) {
    if (!(error instanceof LacreError)) throw error;
  }
  const policy = parseWitnessPolicy(bytes);
  const { votes } = checkQuorum(policy, cosigned);
  if (policy.quorum !== undefined && votes.length === 0) throw new Error("a quorum of nobody");
}
