// SPDX-License-Identifier: Apache-2.0
/** Bodies of log entries, and requests to log them: what is admitted is canonical, and is read back by its own kind. */
import { text, toBase64, utf8 } from "../packages/core/src/bytes/index.ts";
import { canonicalJson, formatPem, parseJson } from "../packages/core/src/codec/index.ts";
import { generateKey, sha256 } from "../packages/core/src/crypto/index.ts";
import { admitRequest, checkEntryMatches, decodeEntry } from "../packages/core/src/entry/index.ts";
import { LacreError } from "../packages/core/src/errors.ts";

export const name = "entry";

const { publicKey } = generateKey("P-256");
const SIG = "MAYCAQECAQE=";
const HEX = { algorithm: "sha256", value: "07".repeat(32) };
const DIGEST = toBase64(new Uint8Array(32).fill(7));
const PEM = toBase64(utf8(formatPem("PUBLIC KEY", publicKey.spki)));
const verifier = { keyDetails: "PKIX_ECDSA_P256_SHA_256", publicKey: { rawBytes: toBase64(publicKey.spki) } };
const envelope = { payload: "e30=", payloadType: "t", signatures: [{ sig: SIG, keyid: "" }] };

export const seeds: Uint8Array[] = [
  {
    apiVersion: "0.0.1",
    kind: "hashedrekord",
    spec: { data: { hash: HEX }, signature: { content: SIG, publicKey: { content: PEM } } },
  },
  {
    apiVersion: "0.0.2",
    kind: "hashedrekord",
    spec: { hashedRekordV002: { data: { algorithm: "SHA2_256", digest: DIGEST }, signature: { content: SIG, verifier } } },
  },
  {
    apiVersion: "0.0.1",
    kind: "dsse",
    spec: { envelopeHash: HEX, payloadHash: HEX, signatures: [{ signature: SIG, verifier: PEM }] },
  },
  {
    apiVersion: "0.0.2",
    kind: "dsse",
    spec: { dsseV002: { payloadHash: { algorithm: "SHA2_256", digest: DIGEST }, signatures: [{ content: SIG, verifier }] } },
  },
  { apiVersion: "0.0.1", kind: "intoto", spec: { content: { hash: HEX, payloadHash: HEX }, publicKey: PEM } },
  {
    apiVersion: "0.0.2",
    kind: "intoto",
    spec: {
      content: {
        envelope: { payloadType: "t", signatures: [{ publicKey: PEM, sig: toBase64(utf8(SIG)) }] },
        hash: HEX,
        payloadHash: HEX,
      },
    },
  },
  { hashedRekordRequestV002: { digest: DIGEST, signature: { content: SIG, verifier } } },
  { dsseRequestV002: { envelope, verifiers: [verifier] } },
].map((body) => utf8(JSON.stringify(body)));

const KINDS = [
  ["hashedrekord", "0.0.1"],
  ["hashedrekord", "0.0.2"],
  ["dsse", "0.0.1"],
  ["dsse", "0.0.2"],
  ["intoto", "0.0.1"],
  ["intoto", "0.0.2"],
] as const;
// Another signature than any seed has: nothing may match it.
const content = {
  kind: "dsse",
  payload: utf8("{}"),
  payloadType: "t",
  signature: sha256(utf8("never signed")),
  keyid: "",
} as const;

function ours<T>(run: () => T): T | undefined {
  try {
    return run();
  } catch (error) {
    if (error instanceof LacreError) return undefined;
    throw error;
  }
}

export function target(bytes: Uint8Array): void {
  for (const [kind, version] of KINDS) {
    const facts = ours(() => decodeEntry(bytes, kind, version));
    if (facts === undefined) continue;
    const matched = ours(() => {
      checkEntryMatches(facts, { content, artifact: new Map(), certificate: undefined, key: publicKey });
      return true;
    });
    if (matched === true) throw new Error("an entry matches a signature that it does not hold");
    return;
  }
  const { kind, version, body } = admitRequest(parseJson(bytes));
  if (canonicalJson(parseJson(body)) !== text(body)) throw new Error("a leaf is not canonical");
  decodeEntry(body, kind, version);
}
