// SPDX-License-Identifier: Apache-2.0
/**
 * The answer to a write: a TransparencyLogEntry in protobuf's JSON, with exactly these members.
 *
 * Strict readers (sigstore-go, sigstore-python) refuse a member more. 64-bit numbers are strings; a v2 log promises no
 * time, so `integratedTime` is "0" and `inclusionPromise` null. Written by a template, because every write pays for it.
 * It is ASCII: the dash of the checkpoint's signature line is escaped, since one character beyond Latin-1 makes the whole
 * text twice as large and its way out several times as dear.
 */
import type { Receipt } from "../engine/index.ts";

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64");
}

/** Writes answers for the log with this id. */
export function createAnswerWriter(logId: Uint8Array): (kind: string, version: string, receipt: Receipt) => string {
  const keyId = base64(logId);
  let checkpoint = "";
  let escaped = '""';
  return (kind, version, receipt) => {
    // Many receipts share one checkpoint.
    if (receipt.checkpoint !== checkpoint) {
      checkpoint = receipt.checkpoint;
      escaped = JSON.stringify(checkpoint).replaceAll(
        /[^ -~]/g,
        (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
      );
    }
    return formatAnswer(kind, version, keyId, escaped, receipt);
  };
}

function formatAnswer(kind: string, version: string, logId: string, checkpoint: string, receipt: Receipt): string {
  const hashes = receipt.proof.map((hash) => `"${base64(hash)}"`).join(",");
  return (
    `{"logIndex":"${receipt.index}","logId":{"keyId":"${logId}"},"kindVersion":{"kind":"${kind}","version":"${version}"},` +
    `"integratedTime":"0","inclusionPromise":null,"inclusionProof":{"logIndex":"${receipt.index}","rootHash":"${base64(receipt.root)}",` +
    `"treeSize":"${receipt.size}","hashes":[${hashes}],"checkpoint":{"envelope":${checkpoint}}},` +
    `"canonicalizedBody":"${base64(receipt.record)}"}`
  );
}
