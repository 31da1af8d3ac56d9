// SPDX-License-Identifier: Apache-2.0
/**
 * What an identity token says (JWT, RFC 7519), read without being verified: a signer cannot check it, and need not,
 * because the authority does. It is read to know what to sign as proof of possession, to refuse an expired token before
 * it is sent, and to tell a person who they are signing as.
 */
import { fromBase64, text } from "../bytes/index.ts";
import { JsonObject, parseJson } from "../codec/index.ts";
import { LacreError } from "../errors.ts";

/** Unverified claims of an identity token. */
export interface TokenFacts {
  readonly issuer: string;
  readonly subject: string;
  readonly audience: readonly string[];
  /** The verified email address, if the token has one. */
  readonly email: string | undefined;
  /** What a proof of possession is made over: the verified email address, else the subject. */
  readonly challenge: string;
  /** Milliseconds since 1970. */
  readonly expiresMs: number;
}

/**
 * Reads an identity token. Throws TOKEN_INVALID for what is no JWT, lacks issuer, subject or expiry, carries an email
 * address that its issuer has not verified, or (with `nowMs`) has expired. The token itself never enters an error.
 */
export function readToken(token: string, nowMs?: number): TokenFacts {
  const parts = token.split(".");
  if (parts.length !== 3 || parts.some((part) => part === ""))
    throw new LacreError("TOKEN_INVALID", "the identity token is not a signed JWT");
  let claims;
  try {
    claims = new JsonObject(parseJson(text(fromBase64Url(parts[1]!)), { maxBytes: 1 << 16 }), "token");
    const issuer = claims.string("iss");
    const subject = claims.string("sub");
    const expires = claims.get("exp");
    if (typeof expires !== "number" || !Number.isFinite(expires))
      throw new LacreError("TOKEN_INVALID", "the identity token has no expiry");
    const email = claims.optionalString("email");
    const verified = claims.get("email_verified");
    if (email !== undefined && verified !== true && verified !== "true") {
      throw new LacreError("TOKEN_INVALID", "the identity token's email address is not verified by its issuer", {
        expected: "email_verified true",
        found: `email_verified ${JSON.stringify(verified) ?? "absent"}`,
      });
    }
    const audience = claims.get("aud");
    const audiences =
      typeof audience === "string"
        ? [audience]
        : Array.isArray(audience)
          ? audience.filter((one) => typeof one === "string")
          : [];
    const expiresMs = expires * 1000;
    if (nowMs !== undefined && expiresMs <= nowMs) {
      throw new LacreError("TOKEN_INVALID", "the identity token has expired", {
        expected: `after ${showTime(nowMs)}`,
        found: `expired ${showTime(expiresMs)}`,
      });
    }
    return { issuer, subject, audience: audiences, email, challenge: email ?? subject, expiresMs };
  } catch (cause) {
    if (!(cause instanceof LacreError) || cause.code === "TOKEN_INVALID") throw cause;
    // The decoder's `found` could quote the token.
    throw new LacreError("TOKEN_INVALID", "the identity token's claims cannot be read", { found: cause.message });
  }
}

/** Octets of base64url without padding (RFC 7515 section 2). Throws BAD_BASE64. */
function fromBase64Url(value: string): Uint8Array {
  if (/[^\w-]/.test(value)) throw new LacreError("BAD_BASE64", "text is not base64url");
  return fromBase64(value.replaceAll("-", "+").replaceAll("_", "/") + "=".repeat((4 - (value.length % 4)) % 4));
}

function showTime(timeMs: number): string {
  return Math.abs(timeMs) <= 8.64e15 ? new Date(timeMs).toISOString() : `${timeMs} ms`;
}
