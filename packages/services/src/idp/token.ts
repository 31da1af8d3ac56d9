// SPDX-License-Identifier: Apache-2.0
/**
 * Development identity tokens: JSON Web Tokens (RFC 7519) signed with RS256, as every Sigstore client takes them.
 *
 * The claims, and who needs them so:
 * - `aud` is a plain string (sigstore-rs), `iss`, `sub`, `iat`, `exp` are there (sigstore-python), nothing lies in the future.
 * - `email_verified` is a JSON boolean (sigstore-java); `sub` is the address too, because clients show it.
 * - The payload's text has neither `-` nor `_`: sigstore-rs reads it with the standard alphabet. In ASCII those two arise
 *   only from `>`, `?` and `~` at every third octet, so a `jti` of one more letter moves them away.
 * - The header is RS256: cosign takes a raw token argument only so.
 */
import { createHash, createPrivateKey, randomBytes } from "node:crypto";
import { toBase64, utf8 } from "@lacre/core/bytes";
import { defaultAlgorithm, importPrivateKey, signMessage } from "@lacre/core/crypto";
import { ServiceError } from "../errors.ts";

/** The RSA key that signs identity tokens. */
export interface IdentityKey {
  /** RFC 7638 thumbprint of the public key. */
  readonly kid: string;
  /** As published at the key set's address. */
  readonly publicJwk: {
    readonly kty: "RSA";
    readonly n: string;
    readonly e: string;
    readonly kid: string;
    readonly alg: "RS256";
    readonly use: "sig";
  };
  /** For the provider library alone. */
  privateJwk(): object;
  /** RSASSA-PKCS1-v1_5 with SHA-256. */
  sign(bytes: Uint8Array): Uint8Array;
}

/** What a token says beside issuer and audience. */
export interface MintOptions {
  readonly issuer: string;
  readonly key: IdentityKey;
  readonly email: string;
  readonly audience: string;
  readonly now: () => number;
  /** Default ten minutes. */
  readonly lifetimeMs?: number;
  readonly nonce?: string;
}

/** How long tokens live: as long as the certificates that are made from them. */
export const TOKEN_LIFE_MS: number = 10 * 60 * 1000;

/** What stands in `federated_claims.connector_id`: an authority may write it into certificates as the issuer. */
export const CONNECTOR = "lacre-development";

/** The key in an unencrypted PKCS#8 DER. Throws KEY_INVALID unless it is an RSA key of 2048 bits or more. */
export function importIdentityKey(pkcs8: Uint8Array): IdentityKey {
  const key = importPrivateKey(pkcs8);
  if (key.publicKey.type !== "RSA") throw new TypeError("identity tokens need an RSA key");
  const algorithm = defaultAlgorithm(key.publicKey);
  const jwk = createPrivateKey({ key: Buffer.from(pkcs8), format: "der", type: "pkcs8" }).export({ format: "jwk" });
  const { n, e } = jwk as { n: string; e: string };
  const kid = createHash("sha256")
    .update(JSON.stringify({ e, kty: "RSA", n }))
    .digest("base64url");
  return {
    kid,
    publicJwk: { kty: "RSA", n, e, kid, alg: "RS256", use: "sig" },
    privateJwk: () => ({ ...jwk, kid, alg: "RS256", use: "sig" }),
    sign: (bytes) => signMessage(algorithm, key, bytes),
  };
}

/**
 * A token for whatever address is asked for: nobody is authenticated. For development installations only; the caller
 * refuses in production. Throws EMAIL_INVALID.
 */
export function mintDevelopmentToken(options: MintOptions): string {
  const email = checkEmail(options.email);
  const issuedAt = Math.floor(options.now() / 1000);
  return signIdentityToken(options.key, {
    iss: options.issuer,
    sub: email,
    aud: options.audience,
    exp: issuedAt + Math.floor((options.lifetimeMs ?? TOKEN_LIFE_MS) / 1000),
    iat: issuedAt,
    ...(options.nonce === undefined ? {} : { nonce: options.nonce }),
    email,
    email_verified: true,
    federated_claims: { connector_id: CONNECTOR, user_id: email },
  });
}

/** The compact JWS (RFC 7515, section 3.1) of these claims. A `jti` is added. */
export function signIdentityToken(key: IdentityKey, claims: Readonly<Record<string, unknown>>): string {
  const header = base64url(JSON.stringify({ alg: "RS256", kid: key.kid, typ: "JWT" }));
  const id = randomBytes(12).toString("hex");
  const spellings = [id, `${id}0`, `${id}00`].map((jti) => base64url(JSON.stringify({ jti, ...claims })));
  const payload = spellings.find((spelling) => !/[-_]/.test(spelling)) ?? spellings[0]!;
  const signed = `${header}.${payload}`;
  return `${signed}.${urlSafe(toBase64(key.sign(utf8(signed))))}`;
}

/** The address, trimmed, if it looks like one: ASCII without spaces, quotes and angle brackets. Throws EMAIL_INVALID. */
export function checkEmail(text: string): string {
  const email = text.trim();
  if (email.length > 254 || !/^[A-Za-z0-9.!#$%*+/=?^_{|}~-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*$/.test(email))
    throw new ServiceError("EMAIL_INVALID");
  return email;
}

function base64url(text: string): string {
  return urlSafe(toBase64(utf8(text)));
}

function urlSafe(base64: string): string {
  return base64.replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}
