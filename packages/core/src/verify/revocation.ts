// SPDX-License-Identifier: Apache-2.0
/**
 * What was proved, held against the trusted root's revocations: the last step, because only what is proved can be compared.
 * Refused under the rule that would have accepted it: I5 for certificates and identities, J1 for keys, F9 for entries.
 */
import { equalBytes, fromHex, toHex } from "../bytes/index.ts";
import { sha256, type PublicKey } from "../crypto/index.ts";
import { LacreError } from "../errors.ts";
import type { Revocations } from "../trust/index.ts";
import type { Evidence } from "./evidence.ts";
import type { Signer } from "./signer.ts";
import type { ProvedTime } from "./times.ts";
import type { VerdictEntry } from "./verdict.ts";

/** Refuses what is revoked. */
export function checkRevocations(
  evidence: Evidence,
  revocations: Revocations,
  proved: {
    readonly signer: Signer | undefined;
    readonly key: PublicKey;
    readonly times: readonly ProvedTime[];
    readonly entries: readonly VerdictEntry[];
  },
): void {
  const { signer, key, times, entries } = proved;
  // Spared only if every proved time lies before, and there is one.
  const counts = (sinceMs: number | undefined): boolean =>
    sinceMs === undefined || times.length === 0 || times.some(({ timeMs }) => timeMs >= sinceMs);
  const refuse = (id: "I5" | "J1" | "F9", what: string, found: string): never =>
    evidence.refuse(id, new LacreError("REVOKED", `${what} is revoked by the trust in use`, { found }));

  if (signer !== undefined) {
    const serial = toHex(signer.certificate.serial).replace(/^(00)+(?=..)/, "");
    if (revocations.certificates.some((one) => one.serial === serial)) refuse("I5", "the signer's certificate", serial);
    const { san, issuer } = signer.identity;
    const isRevoked = revocations.identities.some(
      (one) => one.identity === san.value && (one.issuer === undefined || one.issuer === issuer) && counts(one.sinceMs),
    );
    if (isRevoked) refuse("I5", "the signer", san.value);
  }
  const digest = sha256(key.spki);
  if (revocations.keys.some((one) => equalBytes(fromHex(one.sha256), digest) && counts(one.sinceMs)))
    refuse("J1", "the signer's key", toHex(digest));
  for (const { logId, logIndex, treeIndex } of entries) {
    const found = revocations.entries.find((one) => one.logId === logId && (one.index === logIndex || one.index === treeIndex));
    if (found !== undefined) refuse("F9", "the log entry", `${logId} ${found.index}`);
  }
}
