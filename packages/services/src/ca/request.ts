// SPDX-License-Identifier: Apache-2.0
/**
 * Requests for certificates, v1 and v2: a key with its proof of possession, in one of two forms.
 *
 * - A certification request (PKCS#10) proves possession by its own signature. Of what it asks for, only the key is taken.
 * - A bare key comes with a signature over the challenge: the token's e-mail address or subject, as UTF-8.
 *
 * Both spellings of members are read, base64 in any of its alphabets, unknown members and the stated `algorithm` not at
 * all: Go clients send names there that no enum has.
 */
import { text, utf8 } from "@lacre/core/bytes";
import { der, type Json, JsonObject, parsePem } from "@lacre/core/codec";
import { type Algorithm, ALGORITHMS, checkSignature, importPublicKey, type PublicKey } from "@lacre/core/crypto";
import { LacreError } from "@lacre/core/errors";
import { algorithmFor, checkRequest, type CertificationRequest, decodeRequest } from "@lacre/core/x509";
import { refusing } from "../edge/index.ts";
import { ServiceError } from "../errors.ts";

/** A request, decoded and not yet proved. */
export interface SigningRequest {
  /** The token in the body; undefined when it holds none. */
  readonly token: string | undefined;
  readonly key:
    | { readonly kind: "request"; readonly request: CertificationRequest }
    | { readonly kind: "key"; readonly publicKey: PublicKey; readonly proof: Uint8Array };
}

/** The pairs of key and hash that are certified, by the names of configuration files. */
export const PERMITTED_ALGORITHMS: readonly string[] = [
  "ecdsa-sha2-256-nistp256",
  "ecdsa-sha2-384-nistp384",
  "ecdsa-sha2-512-nistp521",
  "rsa-sign-pkcs1-2048-sha256",
  "rsa-sign-pkcs1-3072-sha256",
  "rsa-sign-pkcs1-4096-sha256",
  "ed25519",
];

const PERMITTED: readonly Algorithm[] = ALGORITHMS.filter(
  ({ flag }) => flag !== undefined && PERMITTED_ALGORITHMS.includes(flag),
);

/** Reads a v2 body. Throws BAD_REQUEST and the KEY_, CSR_ and ALGORITHM_ codes. */
export function decodeSigningRequest(body: Json): SigningRequest {
  return shape(() => {
    const request = new JsonObject(body, "request");
    const credentials = request.optionalObject("credentials");
    const token = credentials?.optionalString("oidcIdentityToken", "oidc_identity_token") || undefined;
    const csr = request.optionalLooseBytes("certificateSigningRequest", "certificate_signing_request");
    if (csr !== undefined && csr.length > 0) return { token, key: { kind: "request", request: decodeCsr(csr) } };
    const keyRequest = request.optionalObject("publicKeyRequest", "public_key_request");
    const publicKey = keyRequest?.optionalObject("publicKey", "public_key");
    const content = publicKey?.optionalString("content");
    if (keyRequest === undefined || content === undefined || content === "")
      throw new ServiceError("KEY_UNREADABLE", undefined, {
        detail: "the request has neither a key nor a certification request",
      });
    const proof = keyRequest.optionalLooseBytes("proofOfPossession", "proof_of_possession") ?? new Uint8Array(0);
    return { token, key: { kind: "key", publicKey: decodeKey(rawBytes(content)), proof } };
  });
}

/** Reads a v1 body; its token is in the Authorization header only. Throws as `decodeSigningRequest`. */
export function decodeSigningRequestV1(body: Json): SigningRequest {
  return shape(() => {
    const request = new JsonObject(body, "request");
    const csr = request.optionalLooseBytes("certificateSigningRequest", "certificate_signing_request");
    if (csr !== undefined && csr.length > 0) return { token: undefined, key: { kind: "request", request: decodeCsr(csr) } };
    const content = request.optionalObject("publicKey", "public_key")?.optionalLooseBytes("content");
    if (content === undefined || content.length === 0)
      throw new ServiceError("KEY_UNREADABLE", undefined, {
        detail: "the request has neither a key nor a certification request",
      });
    const proof = request.optionalLooseBytes("signedEmailAddress", "signed_email_address") ?? new Uint8Array(0);
    return { token: undefined, key: { kind: "key", publicKey: decodeKey(content), proof } };
  });
}

/**
 * Proves that the requester holds the private key; returns the public one. `challenge` is what a bare key's proof signs.
 * Throws PROOF_WRONG, ALGORITHM_NOT_PERMITTED, KEY_WEAK.
 */
export function checkPossession(request: SigningRequest, challenge: string): PublicKey {
  const { key } = request;
  try {
    if (key.kind === "request") {
      const { signatureAlgorithm, publicKey } = key.request;
      checkPermitted(algorithmFor(signatureAlgorithm, publicKey), publicKey);
      checkRequest(key.request);
      return publicKey;
    }
    const algorithm = PERMITTED.find(
      (row) => row.keyType === key.publicKey.type && (row.rsaBits === 0 || row.rsaBits === key.publicKey.rsaBits),
    );
    if (algorithm === undefined) throw notPermitted(key.publicKey, undefined);
    checkSignature(algorithm, key.publicKey, { message: utf8(challenge) }, key.proof);
    return key.publicKey;
  } catch (cause) {
    if (!(cause instanceof LacreError)) throw cause;
    if (cause.code === "ALGORITHM_UNKNOWN") throw new ServiceError("ALGORITHM_NOT_PERMITTED", undefined, { cause });
    if (cause.code === "KEY_INVALID" && !(key.kind === "request" && isMismatch(key.request)))
      throw new ServiceError("KEY_WEAK", undefined, { cause });
    throw new ServiceError("PROOF_WRONG", undefined, { cause });
  }
}

/** Whether the request is signed with an algorithm that its key cannot have. */
function isMismatch({ signatureAlgorithm, publicKey }: CertificationRequest): boolean {
  try {
    algorithmFor(signatureAlgorithm, publicKey);
    return false;
  } catch {
    return true;
  }
}

function checkPermitted(algorithm: Algorithm, key: PublicKey): void {
  if (!PERMITTED.some((row) => row.family === algorithm.family && row.hash === algorithm.hash && row.keyType === key.type))
    throw notPermitted(key, algorithm);
}

function notPermitted(key: PublicKey, algorithm: Algorithm | undefined): ServiceError {
  return new ServiceError(
    "ALGORITHM_NOT_PERMITTED",
    `signing algorithm not permitted: ${key.type}, ${algorithm?.hash ?? "unknown"}`,
  );
}

/** JSON of the wrong shape is the parser's sentence; our own refusals pass. */
function shape<T>(work: () => T): T {
  return refusing("BAD_REQUEST", undefined, work);
}

function decodeCsr(bytes: Uint8Array): CertificationRequest {
  try {
    const pem = text(bytes);
    return decodeRequest(
      parsePem(pem, pem.includes("BEGIN NEW CERTIFICATE REQUEST") ? "NEW CERTIFICATE REQUEST" : "CERTIFICATE REQUEST"),
    );
  } catch (cause) {
    if (!(cause instanceof LacreError)) throw cause;
    if (cause.code === "KEY_INVALID") throw new ServiceError("KEY_WEAK", undefined, { cause });
    if (cause.code === "ALGORITHM_UNKNOWN") throw new ServiceError("ALGORITHM_NOT_PERMITTED", undefined, { cause });
    throw new ServiceError("CSR_UNREADABLE", undefined, { cause });
  }
}

/** A string that is PEM, or DER with one character an octet. */
function rawBytes(content: string): Uint8Array {
  const bytes = Buffer.from(content, "latin1");
  if (bytes.toString("latin1") !== content)
    throw new ServiceError("KEY_UNREADABLE", undefined, { detail: "the key is neither PEM nor DER" });
  return bytes;
}

const RSA_IDENTIFIER = der.sequence(der.oid("1.2.840.113549.1.1.1"), der.nil());

/** PEM or DER of a SubjectPublicKeyInfo; in PEM also a bare RSA key (PKCS#1). */
function decodeKey(bytes: Uint8Array): PublicKey {
  try {
    if (bytes[0] !== 0x2d && !startsWithSpace(bytes)) return importPublicKey(bytes);
    const pem = text(bytes);
    if (pem.includes("BEGIN RSA PUBLIC KEY"))
      return importPublicKey(der.sequence(RSA_IDENTIFIER, der.bits(parsePem(pem, "RSA PUBLIC KEY"))));
    return importPublicKey(parsePem(pem, "PUBLIC KEY"));
  } catch (cause) {
    if (!(cause instanceof LacreError)) throw cause;
    throw new ServiceError(cause.code === "KEY_INVALID" ? "KEY_WEAK" : "KEY_UNREADABLE", undefined, { cause });
  }
}

function startsWithSpace(bytes: Uint8Array): boolean {
  return bytes[0] === 0x0a || bytes[0] === 0x0d || bytes[0] === 0x20;
}
