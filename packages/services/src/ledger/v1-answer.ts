// SPDX-License-Identifier: Apache-2.0
/**
 * Entries as the v1 dialect gives them out: an object of one member, named by the entry's UUID.
 *
 *     {"<16 hex of the tree id><64 hex of the leaf hash>":{"body":…,"integratedTime":…,"logID":…,"logIndex":…,"verification":…}}
 *
 * Written by a template with no white space, and with exactly these members: sigstore-rs cuts the text at fixed offsets and
 * refuses a member more. Numbers are numbers here, hashes hexadecimal. The promise (signed entry timestamp) is the log
 * key's signature over the canonical JSON of the first four members; it is made when it is asked for, from what the
 * journal says, and says the same each time.
 */
import { toBase64, toHex, utf8 } from "@lacre/core/bytes";
import { algorithmOf, signMessage, type PrivateKey } from "@lacre/core/crypto";
import type { Receipt } from "../engine/index.ts";

/** The origin of a v1 log's checkpoints. Clients take it for one by this form. */
export function originV1(name: string, treeId: string): string {
  return `${name} - ${treeId}`;
}

/** The first half of a log's UUIDs. */
export function treePrefix(treeId: string): string {
  return BigInt(treeId).toString(16).padStart(16, "0");
}

/** What a log promises entries with. */
export interface PromiseSigner {
  readonly key: PrivateKey;
  /** SHA-256 of the key, in hexadecimal. */
  readonly logId: string;
}

const ALGORITHM = algorithmOf("PKIX_ECDSA_P256_SHA_256");

/** What is signed for a promise: RFC 8785 by construction. `body` is base64. */
export function promisedText(body: string, seconds: number, logId: string, index: number): string {
  return `{"body":"${body}","integratedTime":${seconds},"logID":"${logId}","logIndex":${index}}`;
}

/** An entry's member of a reply: `"<uuid>":{…}`. */
export function formatMember(uuid: string, receipt: Receipt, signer: PromiseSigner, attestation?: Uint8Array): string {
  const body = toBase64(receipt.record);
  const seconds = Math.floor(receipt.timeMs / 1000);
  const promised = promisedText(body, seconds, signer.logId, receipt.index);
  const promise = toBase64(signMessage(ALGORITHM, signer.key, utf8(promised)));
  const kept = attestation === undefined ? "" : `"attestation":{"data":"${toBase64(attestation)}"},`;
  const hashes = receipt.proof.map((hash) => `"${toHex(hash)}"`).join(",");
  const proof =
    `{"checkpoint":${JSON.stringify(receipt.checkpoint)},"hashes":[${hashes}],"logIndex":${receipt.index},` +
    `"rootHash":"${toHex(receipt.root)}","treeSize":${receipt.size}}`;
  return `"${uuid}":{${kept}${promised.slice(1, -1)},"verification":{"inclusionProof":${proof},"signedEntryTimestamp":"${promise}"}}`;
}
