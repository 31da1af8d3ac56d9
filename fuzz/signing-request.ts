// SPDX-License-Identifier: Apache-2.0
/** Requests for certificates, v1 and v2, up to and including the proof of possession. */
import { parseJson } from "../packages/core/src/codec/index.ts";
import { formatPem } from "../packages/core/src/codec/index.ts";
import { algorithmOf, generateKey, signMessage } from "../packages/core/src/crypto/index.ts";
import { EMPTY_NAME, prepareRequest, signUnsigned } from "../packages/core/src/x509/index.ts";
import { checkPossession, decodeSigningRequest, decodeSigningRequestV1 } from "../packages/services/src/ca/request.ts";
import { ServiceError } from "../packages/services/src/errors.ts";

export const name = "signing-request";

const EMAIL = "dev@example.com";

export function seeds(): Uint8Array[] {
  const algorithm = algorithmOf("PKIX_ECDSA_P256_SHA_256");
  const key = generateKey("P-256");
  const rsa = generateKey("RSA", 2048);
  const pem = formatPem("PUBLIC KEY", key.publicKey.spki);
  const proof = Buffer.from(signMessage(algorithm, key, Buffer.from(EMAIL))).toString("base64");
  const csr = formatPem(
    "CERTIFICATE REQUEST",
    signUnsigned(prepareRequest({ publicKey: key.publicKey, algorithm, subject: EMPTY_NAME }), key),
  );
  const requests = [
    {
      credentials: { oidcIdentityToken: "a.b.c" },
      publicKeyRequest: { publicKey: { algorithm: "ECDSA", content: pem }, proofOfPossession: proof },
    },
    {
      credentials: { oidc_identity_token: "a.b.c" },
      public_key_request: { public_key: { content: formatPem("PUBLIC KEY", rsa.publicKey.spki) }, proof_of_possession: proof },
    },
    { certificateSigningRequest: Buffer.from(csr).toString("base64") },
    { publicKey: { content: Buffer.from(key.publicKey.spki).toString("base64"), algorithm: "ecdsa" }, signedEmailAddress: proof },
    { publicKey: { content: Buffer.from(pem).toString("base64") }, signedEmailAddress: proof },
  ];
  return requests.map((request) => Buffer.from(JSON.stringify(request)));
}

export function target(bytes: Uint8Array): void {
  // Not JSON is the parser's LacreError, which the edge turns into a refusal.
  const body = parseJson(bytes, { maxDepth: 32 });
  for (const decode of [decodeSigningRequest, decodeSigningRequestV1]) {
    try {
      checkPossession(decode(body), EMAIL);
    } catch (error) {
      if (!(error instanceof ServiceError) || error.status !== 400) throw error;
    }
  }
}
