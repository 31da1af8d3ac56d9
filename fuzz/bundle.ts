// SPDX-License-Identifier: Apache-2.0
/** Bundles: what is read as 0.3 is written and read again to the same. */
import { isDeepStrictEqual } from "node:util";
import { decodeBundle, encodeBundle } from "../packages/core/src/bundle/index.ts";
import { utf8 } from "../packages/core/src/bytes/index.ts";

export const name = "bundle";

const HASH = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";
const ENTRY = {
  logIndex: "5",
  logId: { keyId: HASH },
  kindVersion: { kind: "hashedrekord", version: "0.0.1" },
  integratedTime: "1700000000",
  inclusionPromise: { signedEntryTimestamp: "AQID" },
  inclusionProof: { logIndex: "4", rootHash: HASH, treeSize: "6", hashes: [HASH], checkpoint: { envelope: "x\n" } },
  canonicalizedBody: "e30=",
};
const MESSAGE = { messageSignature: { messageDigest: { algorithm: "SHA2_256", digest: HASH }, signature: "AQID" } };
const ENVELOPE = {
  dsseEnvelope: { payload: "e30=", payloadType: "application/vnd.in-toto+json", signatures: [{ sig: "AQID", keyid: "k" }] },
};
const rest = { tlogEntries: [ENTRY], timestampVerificationData: { rfc3161Timestamps: [{ signedTimestamp: "MAMCAQU=" }] } };

export const seeds: Uint8Array[] = [
  {
    mediaType: "application/vnd.dev.sigstore.bundle.v0.3+json",
    verificationMaterial: { certificate: { rawBytes: "MAMCAQU=" }, ...rest },
    ...MESSAGE,
  },
  {
    mediaType: "application/vnd.dev.sigstore.bundle+json;version=0.3",
    verificationMaterial: { publicKey: { hint: "k" }, ...rest },
    ...ENVELOPE,
  },
  {
    mediaType: "application/vnd.dev.sigstore.bundle+json;version=0.2",
    verificationMaterial: { x509CertificateChain: { certificates: [{ rawBytes: "MAMCAQU=" }] }, ...rest },
    ...ENVELOPE,
  },
  {
    mediaType: "application/vnd.dev.sigstore.bundle+json;version=0.1",
    verificationMaterial: { x509CertificateChain: { certificates: [{ rawBytes: "MAMCAQU=" }] }, tlogEntries: [ENTRY] },
    ...MESSAGE,
  },
].map((bundle) => utf8(JSON.stringify(bundle)));

export function target(bytes: Uint8Array): void {
  const bundle = decodeBundle(bytes);
  const written = decodeBundle(utf8(encodeBundle(bundle)));
  if (bundle.version !== "0.3") return;
  const { mediaType: _, unknownFields: __, ...first } = bundle;
  const { mediaType: ___, unknownFields: ____, ...second } = written;
  if (!isDeepStrictEqual(first, second)) throw new Error("a bundle is not read as it was written");
}
