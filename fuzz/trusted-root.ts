// SPDX-License-Identifier: Apache-2.0
/** Trusted roots: what is read can be written, and is read again the same. */
import { noteKeyId } from "../packages/core/src/bundle/index.ts";
import { fromBase64, toBase64, utf8 } from "../packages/core/src/bytes/index.ts";
import { importPublicKey, sha256, type PublicKey } from "../packages/core/src/crypto/index.ts";
import { decodeTrustedRoot, encodeTrustedRoot } from "../packages/core/src/trust/index.ts";

export const name = "trusted-root";

const p256 = importPublicKey(
  fromBase64(
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE1lqTl3yqPRsIGFL/V6eeRl8WYFdzBLrq1QXdOkhYnPNQGF6JU3LfYiHqOhN1V+Rz/dtnVfBb1QfDxTP86ckShQ==",
  ),
);
const ed25519 = importPublicKey(fromBase64("MCowBQYDK2VwAyEAA6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg="));
// An authority and its issuing authority, made by this library for this file.
const chain = [
  "MIIBtzCCAV6gAwIBAgIEWgACATAKBggqhkjOPQQDAjAkMRMwEQYDVQQKDApsYWNyZSB0ZXN0MQ0wCwYDVQQDDARyb290MB4XDTI2MDIyNTA4MDAwMFoXDTI2MDMwNTE2MDAwMFowJzETMBEGA1UECgwKbGFjcmUgdGVzdDEQMA4GA1UEAwwHaXNzdWluZzBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABKYs9KOKvbiuvLXEoeSZ/NmlF1wBN5O2Yz5JYkuNzeVSkSY8E1jpas//ZFjnJ5dcxRM/Jgy5KdVe/8yiWq7kMGGjezB5MA4GA1UdDwEB/wQEAwIBBjATBgNVHSUEDDAKBggrBgEFBQcDAzASBgNVHRMBAf8ECDAGAQH/AgEAMB0GA1UdDgQWBBQxizfYemYGBSljBft015SfFUXT8TAfBgNVHSMEGDAWgBQGegZ/aP9Gbzr0ZXMiqPst7kzosDAKBggqhkjOPQQDAgNHADBEAiBhzp5wiyElkuu5ix+eWGB7QsqWpyb+JsEus6mZdNKj+AIgL95JFTg2S2p27frSjdoT3zpxvv4LJmEhwnS7BviJwns=",
  "MIIBfDCCASKgAwIBAgIEWgABATAKBggqhkjOPQQDAjAkMRMwEQYDVQQKDApsYWNyZSB0ZXN0MQ0wCwYDVQQDDARyb290MB4XDTI2MDExODIwMDAwMFoXDTI2MDQxMjA0MDAwMFowJDETMBEGA1UECgwKbGFjcmUgdGVzdDENMAsGA1UEAwwEcm9vdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABGr9DLJq7CepiScBAFi5nBBPOdiVMTXVPTYUyeFepkeSRtgof30j8203Nl/BrbOZi9ILqSVokwOgToqXyioLvpKjQjBAMA4GA1UdDwEB/wQEAwIBBjAPBgNVHRMBAf8EBTADAQH/MB0GA1UdDgQWBBQGegZ/aP9Gbzr0ZXMiqPst7kzosDAKBggqhkjOPQQDAgNIADBFAiEA6BHoVXnRf22+Eq/D7BjcU2Rt/P8cwqXkfKhy7YoDTy0CIDdcE5BKShuenkwIGhlyZf24T65Zl72Ioqh+k8clDFjg",
];
const validFor = { start: "2026-01-01T00:00:00Z", end: "2027-01-01T00:00:00.999Z" };

function log(host: string, key: PublicKey, keyDetails: string, id: Uint8Array): object {
  return {
    baseUrl: `https://${host}`,
    hashAlgorithm: "SHA2_256",
    publicKey: { rawBytes: toBase64(key.spki), keyDetails, validFor },
    logId: { keyId: toBase64(id) },
  };
}

function authority(...certificates: readonly string[]): object {
  const subject = { organization: "lacre test", commonName: "authority" };
  return {
    subject,
    uri: "https://ca.example.com",
    certChain: { certificates: certificates.map((rawBytes) => ({ rawBytes })) },
    validFor,
  };
}

const mediaType = "application/vnd.dev.sigstore.trustedroot+json;version=0.1";
const documents: object[] = [
  {
    mediaType,
    tlogs: [
      log("rekor.example.com", p256, "PKIX_ECDSA_P256_SHA_256", sha256(p256.spki)),
      log("log.example.com", ed25519, "PKIX_ED25519", noteKeyId("log.example.com", ed25519)),
    ],
    certificateAuthorities: [authority(...chain)],
    ctlogs: [log("ct.example.com/2026", p256, "PKIX_ECDSA_P256_SHA_256", sha256(p256.spki))],
    timestampAuthorities: [authority(chain[1]!)],
  },
  // Small, so that changes fall on what matters.
  { mediaType, ctlogs: [log("", p256, "PKIX_ECDSA_P256_SHA_256", sha256(p256.spki))] },
  { mediaType, certificateAuthorities: [authority(chain[1]!)] },
];

export const seeds: Uint8Array[] = documents.map((document) => utf8(JSON.stringify(document)));

export function target(bytes: Uint8Array): void {
  const text = encodeTrustedRoot(decodeTrustedRoot(bytes));
  if (encodeTrustedRoot(decodeTrustedRoot(utf8(text))) !== text) throw new Error("read again, it is another root");
}
