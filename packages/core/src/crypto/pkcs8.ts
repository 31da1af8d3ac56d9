// SPDX-License-Identifier: Apache-2.0
/**
 * Unencrypted private keys as PKCS#8 (RFC 5958) for platforms that do not read it themselves: EC keys (RFC 5915) and
 * Ed25519 (RFC 8410).
 */
import { concat } from "../bytes/index.ts";
import {
  bits,
  context,
  contextTag,
  decodeDer,
  integer,
  octets,
  openDer,
  readBits,
  readOctets,
  readOid,
  readSmall,
  sequence,
  TAG,
} from "../codec/der.ts";
import { LacreError } from "../errors.ts";
import { CURVES, type CurveName } from "./curve.ts";
import { algorithmIdentifier, curveOfOid, EC_KEY } from "./spki.ts";

export interface PrivateMaterial {
  readonly type: CurveName | "Ed25519";
  /** The scalar, as long as the order; for Ed25519 the seed. */
  readonly secret: Uint8Array;
  /** The public key beside it, where the file has one. */
  readonly raw: Uint8Array | undefined;
}

function invalid(message: string): LacreError {
  return new LacreError("KEY_INVALID", message);
}

/** The key in a PKCS#8 DER. Throws BAD_DER, KEY_INVALID for a key of another kind. */
export function decodePkcs8(pkcs8: Uint8Array): PrivateMaterial {
  const body = openDer(pkcs8);
  // Version 1 (RFC 5958) allows a public key behind the attributes.
  const version = readSmall(body.next(TAG.integer), 1);
  const algorithm = body.enter();
  const inner = readOctets(body.next(TAG.octetString));
  body.optional(contextTag(0));
  const beside = version === 1 ? body.optional(contextTag(1, false)) : undefined;
  body.end();
  const kind = readOid(algorithm.next(TAG.oid));
  if (kind === "1.3.101.112") {
    algorithm.end();
    const secret = readOctets(decodeDer(inner, TAG.octetString));
    if (secret.length !== 32) throw invalid("Ed25519 seed is not 32 octets");
    return { type: "Ed25519", secret, raw: beside?.content.subarray(1) };
  }
  const type = kind === EC_KEY ? curveOfOid(readOid(algorithm.next(TAG.oid))) : undefined;
  if (type === undefined) throw invalid("private key is of a type that this platform cannot use");
  algorithm.end();
  const key = openDer(inner);
  readSmall(key.next(TAG.integer), 1);
  const secret = readOctets(key.next(TAG.octetString));
  key.optional(contextTag(0));
  const point = key.optional(contextTag(1));
  key.end();
  if (secret.length !== CURVES[type].octets) throw invalid("private number has the wrong length");
  return { type, secret, raw: point === undefined ? undefined : readBits(decodeDer(point.content, TAG.bitString)) };
}

/** PKCS#8 of a key: for EC with its point, as OpenSSL writes it. */
export function encodePkcs8(type: CurveName | "Ed25519", secret: Uint8Array, raw: Uint8Array): Uint8Array {
  const inner = type === "Ed25519" ? octets(secret) : sequence(integer(1), octets(secret), context(1, bits(raw)));
  return sequence(integer(0), sequence(concat(...algorithmIdentifier(type))), octets(inner));
}
