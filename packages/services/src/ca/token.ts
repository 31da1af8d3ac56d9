// SPDX-License-Identifier: Apache-2.0
/**
 * Identity tokens, taken apart and verified (RFC 7515, 7519, 8725).
 *
 *     token = base64url(header) "." base64url(claims) "." base64url(signature)
 *
 * In this order: its size and its two dots, before anything is decoded; header and claims as strict JSON; the issuer among
 * those configured; the algorithm among those the issuer announces and we accept, which are asymmetric ones only, so that
 * neither `none` nor a public key used as a secret gets anywhere; a key of that issuer's set; the signature; audience and
 * times. `jwk`, `jku`, `x5u` and their like in a header are never looked at, and a critical extension is refused.
 *
 * Every refusal is the same sentence to the client; the code and the detail say more to the operator, and never quote the
 * token.
 */
import { utf8 } from "@lacre/core/bytes";
import { type Json, parseJson } from "@lacre/core/codec";
import { LacreError } from "@lacre/core/errors";
import { ServiceError, type ServiceCode } from "../errors.ts";
import type { Discovery } from "./discovery.ts";
import type { IssuerEntry, IssuerTable } from "./issuers.ts";
import type { Claims } from "./principal.ts";

/** A token whose signature, audience and times hold. */
export interface VerifiedToken {
  readonly issuer: string;
  readonly entry: IssuerEntry;
  readonly claims: Claims;
}

/** Longest token. A header field cannot carry much more; the longest seen in the field have some 4,000 characters. */
export const MAX_TOKEN: number = 16 * 1024;
/** How far another machine's clock may be ahead for `nbf`. `exp` has no leeway: the token lives by its issuer's word. */
const NOT_BEFORE_LEEWAY_MS = 5 * 60 * 1000;
/** Keys tried when a token does not say which one, or several share a name. */
const MAX_TRIES = 10;

/** What a token says before anything is verified. */
export interface DecodedToken {
  readonly algorithm: string;
  readonly kid: string | undefined;
  readonly claims: Claims;
}

export interface TokenOptions {
  readonly issuers: IssuerTable;
  readonly discovery: Discovery;
  readonly now: () => number;
}

function refuse(code: ServiceCode, detail: string, cause?: unknown): ServiceError {
  return new ServiceError(code, undefined, { detail, cause });
}

/** Takes a compact JWS apart, with bounded work. Throws TOKEN_INVALID. */
export function decodeToken(token: string): DecodedToken {
  if (token.length > MAX_TOKEN) throw refuse("TOKEN_INVALID", `token is longer than ${MAX_TOKEN} characters`);
  const first = token.indexOf(".");
  const second = token.indexOf(".", first + 1);
  if (first < 1 || second < first + 2 || second === token.length - 1 || token.includes(".", second + 1))
    throw refuse("TOKEN_INVALID", "token is not of three parts");
  const header = part(token.slice(0, first), "header");
  const claims = part(token.slice(first + 1, second), "payload");
  const { alg, kid, crit, b64 } = header;
  if (typeof alg !== "string") throw refuse("TOKEN_INVALID", "header names no algorithm");
  if (kid !== undefined && (typeof kid !== "string" || kid.length > 512))
    throw refuse("TOKEN_INVALID", "kid is not a short text");
  if (crit !== undefined || b64 !== undefined) throw refuse("TOKEN_INVALID", "header has a critical extension");
  return { algorithm: alg, kid, claims };
}

function part(text: string, name: string): { readonly [member: string]: Json } {
  const bytes = bytesOf(text);
  try {
    const value = parseJson(bytes, { maxBytes: MAX_TOKEN, maxDepth: 16 });
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as { readonly [member: string]: Json };
  } catch (cause) {
    if (!(cause instanceof LacreError)) throw cause;
    // The cause may quote pieces of the token: its code is enough.
    throw refuse("TOKEN_INVALID", `${name} is malformed (${cause.code})`);
  }
  throw refuse("TOKEN_INVALID", `${name} is not an object`);
}

/** Base64url without padding (RFC 7515, appendix C), strict: one text, one decoding. */
function bytesOf(text: string): Uint8Array {
  const bytes = Buffer.from(text, "base64url");
  if (bytes.toString("base64url") !== text) throw refuse("TOKEN_INVALID", "a part is not base64url");
  return bytes;
}

/** Verifies a token. Throws the TOKEN_ and ISSUER_ codes. */
export async function verifyToken(token: string, options: TokenOptions): Promise<VerifiedToken> {
  const { algorithm, kid, claims } = decodeToken(token);
  const issuer = claims.iss;
  if (typeof issuer !== "string" || issuer === "") throw refuse("TOKEN_INVALID", "token names no issuer");
  const entry = options.issuers.find(issuer);
  if (entry === undefined) throw refuse("ISSUER_UNKNOWN", `issuer ${JSON.stringify(issuer.slice(0, 200))} is not configured`);
  await checkTokenSignature(token, algorithm, kid, issuer, entry, options.discovery);
  checkAudience(claims.aud, entry.clientId);
  checkTimes(claims, options.now());
  return { issuer, entry, claims };
}

async function checkTokenSignature(
  token: string,
  algorithm: string,
  kid: string | undefined,
  issuer: string,
  entry: IssuerEntry,
  discovery: Discovery,
): Promise<void> {
  const end = token.lastIndexOf(".");
  const signed = utf8(token.slice(0, end));
  const signature = bytesOf(token.slice(end + 1));
  for (const again of [false, true]) {
    const { algorithms, keys } = await discovery.keysOf(issuer, entry, again);
    if (!algorithms.includes(algorithm))
      throw refuse("TOKEN_INVALID", `algorithm ${JSON.stringify(algorithm.slice(0, 20))} is not one of this issuer's`);
    const candidates = keys.filter(
      (key) => key.fits(algorithm) && (kid === undefined || key.kid === undefined || key.kid === kid),
    );
    if (candidates.slice(0, MAX_TRIES).some((key) => key.verifies(algorithm, signed, signature))) return;
    // A named key that is known and does not verify is a forgery; asking again would not help.
    if (kid !== undefined && candidates.some((key) => key.kid === kid)) break;
  }
  throw refuse("TOKEN_INVALID", "no key of the issuer verifies the signature");
}

function checkAudience(aud: Json | undefined, wanted: string): void {
  const audiences = Array.isArray(aud) ? (aud as readonly Json[]) : [aud];
  if (!audiences.includes(wanted)) throw refuse("TOKEN_AUDIENCE", `audience is not ${wanted}`);
}

function checkTimes(claims: Claims, nowMs: number): void {
  const { exp, nbf } = claims;
  if (typeof exp !== "number" || !(exp * 1000 > nowMs))
    throw refuse("TOKEN_EXPIRED", "token is expired, or does not say until when it is valid");
  if (nbf !== undefined && (typeof nbf !== "number" || !(nbf * 1000 <= nowMs + NOT_BEFORE_LEEWAY_MS)))
    throw refuse("TOKEN_EXPIRED", "token is not valid yet");
}
