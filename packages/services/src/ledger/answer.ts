// SPDX-License-Identifier: Apache-2.0
/**
 * The answer to a write: a TransparencyLogEntry in protobuf's JSON (contracts 4.5), with exactly these members.
 *
 * Strict readers (sigstore-go, sigstore-python) refuse a member more. 64-bit numbers are strings; a v2 log promises no
 * time, so `integratedTime` is "0" and `inclusionPromise` null. Written by a template, because every write pays for it;
 * only the checkpoint can hold a character that needs escaping.
 */
import type { Receipt } from "../engine/index.ts";

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64");
}

/** The JSON for an entry of this kind under its receipt. `logId` is base64. */
export function formatAnswer(kind: string, version: string, logId: string, receipt: Receipt): string {
  const hashes = receipt.proof.map((hash) => `"${base64(hash)}"`).join(",");
  return (
    `{"logIndex":"${receipt.index}","logId":{"keyId":"${logId}"},"kindVersion":{"kind":"${kind}","version":"${version}"},` +
    `"integratedTime":"0","inclusionPromise":null,"inclusionProof":{"logIndex":"${receipt.index}","rootHash":"${base64(receipt.root)}",` +
    `"treeSize":"${receipt.size}","hashes":[${hashes}],"checkpoint":{"envelope":${JSON.stringify(receipt.checkpoint)}}},` +
    `"canonicalizedBody":"${base64(receipt.record)}"}`
  );
}
