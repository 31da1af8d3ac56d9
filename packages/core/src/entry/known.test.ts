// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { createHash, createPrivateKey, type KeyObject, sign } from "node:crypto";
import { test } from "node:test";
import { toBase64, utf8 } from "../bytes/index.ts";
import { formatPem, pae, type Json } from "../codec/index.ts";
import { algorithmOf, generateKey } from "../crypto/index.ts";
import { prepareCertificate, signerFields, signUnsigned } from "../x509/index.ts";
import { createWorkshop, ISSUER, SIGNED_MS } from "../../../../test/workshop/workshop.ts";
import { admitProposed, admitRequest, describeEntry, type Admitted } from "./index.ts";

const workshop = createWorkshop();
interface Signer {
  readonly key: KeyObject;
  readonly spki: Uint8Array;
  readonly certificate: Uint8Array;
}
function signer(email: string): Signer {
  const key = generateKey("P-256");
  const fields = signerFields({
    serial: Uint8Array.of(1, 2, 3),
    publicKey: key.publicKey,
    issuer: workshop.authority.certificate,
    notBeforeMs: SIGNED_MS,
    notAfterMs: SIGNED_MS + 600_000,
    san: { kind: "email", value: email },
    identityIssuer: ISSUER,
    claims: new Map(),
  });
  const certificate = signUnsigned(prepareCertificate(fields, algorithmOf("PKIX_ECDSA_P256_SHA_256")), workshop.authority.key);
  return {
    key: createPrivateKey({ key: Buffer.from(key.pkcs8), format: "der", type: "pkcs8" }),
    spki: key.publicKey.spki,
    certificate,
  };
}
const [one, two] = [signer("one@example.com"), signer("two@example.com")];
const base64 = (bytes: Uint8Array | string): string => toBase64(typeof bytes === "string" ? utf8(bytes) : bytes);

const artifact = utf8("artifact");
const digest = createHash("sha256").update(artifact).digest();
const signature = (by: Signer, message: Uint8Array): string => base64(sign("sha256", message, by.key));
const keyDetails = "PKIX_ECDSA_P256_SHA_256";
const verifier = ({ spki, certificate }: Signer, bare: boolean): Json => ({
  keyDetails,
  ...(bare ? { publicKey: { rawBytes: base64(spki) } } : { x509Certificate: { rawBytes: base64(certificate) } }),
});
const pem = ({ spki, certificate }: Signer, bare: boolean): string =>
  base64(bare ? formatPem("PUBLIC KEY", spki) : formatPem("CERTIFICATE", certificate));
const payload = utf8('{"_type":"https://in-toto.io/Statement/v1"}');
const TYPE = "application/vnd.in-toto+json";
const signed = (by: Signer): string => signature(by, pae(TYPE, payload));
const envelope = (
  by: readonly Signer[],
): { payload: string; payloadType: string; signatures: { sig: string; keyid: string }[] } => ({
  payload: base64(payload),
  payloadType: TYPE,
  signatures: by.map((each) => ({ sig: signed(each), keyid: "" })),
});

test("what is told of an entry on the way in is what its body says", () => {
  const admitted: Admitted[] = [];
  for (const bare of [true, false]) {
    admitted.push(
      admitRequest({
        hashedRekordRequestV002: {
          digest: base64(digest),
          signature: { content: signature(one, artifact), verifier: verifier(one, bare) },
        },
      }),
      admitRequest({ dsseRequestV002: { envelope: envelope([one]), verifiers: [verifier(one, bare)] } }),
      admitRequest({
        dsseRequestV002: { envelope: envelope([one, two]), verifiers: [verifier(one, bare), verifier(two, bare)] },
      }),
      admitRequest({
        dsseRequestV002: { envelope: envelope([two, one]), verifiers: [verifier(two, bare), verifier(one, bare)] },
      }),
      admitProposed({
        apiVersion: "0.0.1",
        kind: "hashedrekord",
        spec: {
          data: { hash: { algorithm: "sha256", value: digest.toString("hex").toUpperCase() } },
          signature: { content: signature(one, artifact), publicKey: { content: pem(one, bare) } },
        },
      }),
      admitProposed({
        apiVersion: "0.0.1",
        kind: "dsse",
        spec: { proposedContent: { envelope: JSON.stringify(envelope([one])), verifiers: [pem(one, bare)] } },
      }),
      admitProposed({
        apiVersion: "0.0.1",
        kind: "dsse",
        spec: {
          proposedContent: { envelope: JSON.stringify(envelope([two, one])), verifiers: [pem(one, bare), pem(two, bare)] },
        },
      }),
    );
  }
  for (const { body, facts, kind, version } of admitted) {
    assert.ok(facts !== undefined, `${kind} ${version}`);
    const certificates = facts.signatures.map(({ verifier: by }) => by.certificate?.der);
    assert.deepEqual(
      certificates.every((der, at) => (facts.signatures[at]!.verifier.kind === "certificate") === (der !== undefined)),
      true,
    );
    const plain = {
      ...facts,
      signatures: facts.signatures.map((each) => ({ ...each, verifier: { kind: each.verifier.kind, der: each.verifier.der } })),
    };
    assert.deepEqual(spelled(plain), spelled(describeEntry(body)), `${kind} ${version}`);
  }
});

/** Octets as text, so that views and copies compare alike. */
function spelled(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value, (_, member: unknown) =>
      member instanceof Uint8Array ? base64(member) : member === undefined ? "none" : member,
    ),
  );
}
