// SPDX-License-Identifier: Apache-2.0
/** Whole request bodies of the ledger's v1 dialect, up to the checks of signatures: an entry, a retrieval, a search. */
import { utf8 } from "../packages/core/src/bytes/index.ts";
import { ServiceError } from "../packages/services/src/errors.ts";
import { admitV1, readRetrieval, readSearch } from "../packages/services/src/ledger/index.ts";

export const name = "ledger-v1-request";

const base64 = (text: string): string => Buffer.from(text).toString("base64");
const pem = base64(
  "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEAhfmF/C2RDkoJ4+WmZ5pojpPLBUr\n321s32bluAKC1O0ZSn3ry5dxLS3aPKhaqHZaVvRfx1hZllLyiXxlMG5XlA==\n-----END PUBLIC KEY-----\n",
);
const signature = "MEUCIQDY+Fcb+o9PQLk7UK9FkfVLgs33ZMCC67+HPtXRZ3tkJgIgJURBgjb47Fau4K2UaLevdgW2lX36eRrGZTuMSs22wlM=";
const digest = "6221d61fdb870e48655996ed4278171b093e3d8079dc4b8ab6c6550655ab4231";
const envelope = JSON.stringify({
  payload: "e30=",
  payloadType: "application/vnd.in-toto+json",
  signatures: [{ keyid: "", sig: signature }],
});
const hash = { algorithm: "sha256", value: digest };
const of = (kind: string, spec: object, apiVersion = "0.0.1"): object => ({ apiVersion, kind, spec });
const entries = [
  of("hashedrekord", { data: { hash }, signature: { content: signature, publicKey: { content: pem } } }),
  of("dsse", { proposedContent: { envelope, verifiers: [pem] } }),
  of("intoto", { content: { envelope }, publicKey: pem }),
  of(
    "intoto",
    {
      content: {
        envelope: { payload: base64("e30="), payloadType: "a/b", signatures: [{ sig: base64(signature), publicKey: pem }] },
        hash,
      },
    },
    "0.0.2",
  ),
  of("rekord", {
    signature: { format: "x509", content: signature, publicKey: { content: pem } },
    data: { content: base64("lacre\n") },
  }),
  of("rfc3161", { tsr: { content: base64("0") } }),
];
export const seeds: Uint8Array[] = [
  ...entries,
  { entries: entries.slice(0, 3), entryUUIDs: [digest], logIndexes: [0, 7] },
  {
    email: "a@example.com",
    hash: `sha256:${digest}`,
    publicKey: { format: "x509", content: pem },
    subject: "x",
    operator: "and",
  },
].map((seed) => utf8(JSON.stringify(seed)));

export function target(bytes: Uint8Array): void {
  for (const read of [admitV1, readRetrieval, readSearch]) {
    try {
      read(bytes);
    } catch (error) {
      // A service's refusal is as good as the library's.
      if (!(error instanceof ServiceError)) throw error;
    }
  }
}
