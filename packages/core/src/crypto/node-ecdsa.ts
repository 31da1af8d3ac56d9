// SPDX-License-Identifier: Apache-2.0
/**
 * ECDSA over a ready digest, on a platform that only verifies over messages.
 *
 * `node:crypto` hashes what it verifies, and nobody can name a message for a given digest. But the equation of FIPS 186-5
 * (section 6.4.2) moves: a signature (r, s) is good for digest z under key Q when r is the x of
 *
 *     z/s·G + r/s·Q,   and for any other z′ that is the same point as   z′/s·G + r/s·Q′   with   Q′ = Q + (z − z′)/r·G.
 *
 * So we take a message of our own with hash z′, move the key by W = (z − z′)/r·G, and let the platform verify (r, s) over
 * our message under Q′. The verdict is exact in both directions, for every z and every (r, s) in range; nothing is
 * secret. W comes from the platform's own fixed-base multiplication (an ECDH public key), the sum is one affine addition.
 *
 * The addition needs W ≠ ±Q. A signer can bring that about on purpose (he knows his key, and may choose z), so it is no
 * mere accident: we then take another message of ours. W is a different point for each, and two values are forbidden, so
 * the third message cannot fail. W = 0 (z ≡ z′) leaves the key as it is.
 *
 * Two inversions, 1/r and 1/(Wx − Qx), cost as much as a third of the platform's verification; a batch shares them.
 */
import * as crypto from "node:crypto";
import { addPoints, CURVES, type Curve, type CurveName, encodePoint, type Point } from "./curve.ts";
import { fromOctets, invertAll, residue, toOctets } from "./numbers.ts";

/** A signature over a digest. `signature` is strict DER with r and s in [1, n − 1], as checkEcdsaEncoding leaves it. */
export interface EcdsaClaim {
  readonly curve: Curve;
  readonly point: Point;
  readonly digest: Uint8Array;
  readonly signature: Uint8Array;
}

// Our messages and their hashes. SHA-256 for every curve: its 256 bits are never cut.
const MESSAGES: readonly { readonly message: Uint8Array; readonly z: bigint }[] = [[], [1], [2]].map((octets) => {
  const message = Uint8Array.from(octets);
  return { message, z: fromOctets(crypto.hash("sha256", message, "buffer")) };
});

interface Task extends EcdsaClaim {
  readonly index: number;
  readonly z: bigint;
  readonly inverseOfR: bigint;
}

interface Shifted {
  readonly task: Task;
  readonly message: Uint8Array;
  readonly w: Point;
}

/** Verdicts in the order of the claims. */
export function verifyEcdsaDigests(claims: readonly EcdsaClaim[]): boolean[] {
  const verdicts: boolean[] = [];
  for (const curve of Object.values(CURVES)) {
    const mine = [...claims.entries()].filter(([, claim]) => claim.curve === curve);
    if (mine.length === 0) continue;
    const inverses = invertAll(
      mine.map(([, claim]) => numberR(claim.signature)),
      curve.n,
    );
    const shifted: Shifted[] = [];
    for (const [i, [index, claim]] of mine.entries()) {
      const task: Task = { ...claim, index, z: digestNumber(curve, claim.digest), inverseOfR: inverses[i]! };
      const step = shift(task);
      if ("w" in step) shifted.push(step);
      else verdicts[index] = verifyUnder(curve, claim.point, step.message, claim.signature);
    }
    const slopes = invertAll(
      shifted.map(({ task, w }) => residue(w.x - task.point.x, curve.p)),
      curve.p,
    );
    for (const [i, { task, message, w }] of shifted.entries()) {
      verdicts[task.index] = verifyUnder(curve, addPoints(curve, task.point, w, slopes[i]!), message, task.signature);
    }
  }
  return verdicts;
}

/** The message to verify over and the point W to move the key by; without `w` the key stays. */
function shift(task: Task): Shifted | { readonly message: Uint8Array } {
  for (const { message, z } of MESSAGES) {
    const factor = residue((task.z - z) * task.inverseOfR, task.curve.n);
    if (factor === 0n) return { message };
    const w = multiplyBase(task.curve, factor);
    if (w.x !== task.point.x) return { task, message, w };
  }
  throw new Error("three different points cannot all be Q or −Q");
}

/** The digest as a number: its leftmost bits, as many as the order has. */
function digestNumber(curve: Curve, digest: Uint8Array): bigint {
  const spare = 8 * digest.length - ORDER_BITS[curve.name];
  return spare > 0 ? fromOctets(digest) >> BigInt(spare) : fromOctets(digest);
}

const ORDER_BITS: Readonly<Record<CurveName, number>> = { "P-256": 256, "P-384": 384, "P-521": 521 };

/** r of a signature that is known to be strict DER. */
function numberR(signature: Uint8Array): bigint {
  const start = signature[1]! < 0x80 ? 4 : 5;
  return fromOctets(signature.subarray(start, start + signature[start - 1]!));
}

// One ECDH object a curve, as a calculator: what it holds between calls are public numbers, overwritten before use.
const calculators: Partial<Record<CurveName, crypto.ECDH>> = {};
const OPENSSL_NAME: Readonly<Record<CurveName, string>> = { "P-256": "prime256v1", "P-384": "secp384r1", "P-521": "secp521r1" };

function multiplyBase(curve: Curve, factor: bigint): Point {
  const calculator = (calculators[curve.name] ??= crypto.createECDH(OPENSSL_NAME[curve.name]));
  calculator.setPrivateKey(toOctets(factor, curve.octets));
  const point = calculator.getPublicKey();
  return { x: fromOctets(point.subarray(1, 1 + curve.octets)), y: fromOctets(point.subarray(1 + curve.octets)) };
}

// SubjectPublicKeyInfo up to the point (RFC 5480).
const SPKI_HEAD: Readonly<Record<CurveName, Uint8Array>> = {
  "P-256": Buffer.from("3059301306072a8648ce3d020106082a8648ce3d030107034200", "hex"),
  "P-384": Buffer.from("3076301006072a8648ce3d020106052b81040022036200", "hex"),
  "P-521": Buffer.from("30819b301006072a8648ce3d020106052b8104002303818600", "hex"),
};

// PEM, and no KeyObject: of the forms that Node takes, this text is parsed fastest, and the key is freed with the call.
function verifyUnder(curve: Curve, point: Point, message: Uint8Array, signature: Uint8Array): boolean {
  const spki = Buffer.concat([SPKI_HEAD[curve.name], encodePoint(curve, point)]).toString("base64");
  return crypto.verify("sha256", message, `-----BEGIN PUBLIC KEY-----\n${spki}\n-----END PUBLIC KEY-----\n`, signature);
}

/** `crypto.verifyDigest` as proposed for Node (nodejs/node pull request 62345): `verify`, without the hashing. */
export type NativeVerifyDigest = (algorithm: string, digest: Uint8Array, key: crypto.KeyObject, signature: Uint8Array) => boolean;

/**
 * The platform's own call, if `candidate` is one and gives the right answers to two known questions; undefined otherwise.
 * No released Node has it; a call of that name with another meaning must not be trusted with signatures.
 */
export function adoptNative(candidate: unknown): NativeVerifyDigest | undefined {
  if (typeof candidate !== "function") return undefined;
  const native = candidate as (...question: Parameters<NativeVerifyDigest>) => unknown;
  const key = crypto.createPublicKey({
    key: Buffer.from(
      "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEAhfmF/C2RDkoJ4+WmZ5pojpPLBUr321s32bluAKC1O0ZSn3ry5dxLS3aPKhaqHZaVvRfx1hZllLyiXxlMG5XlA==",
      "base64",
    ),
    format: "der",
    type: "spki",
  });
  const signature = Buffer.from(
    "MEUCIQDY+Fcb+o9PQLk7UK9FkfVLgs33ZMCC67+HPtXRZ3tkJgIgJURBgjb47Fau4K2UaLevdgW2lX36eRrGZTuMSs22wlM=",
    "base64",
  );
  const digest = Buffer.from("6221d61fdb870e48655996ed4278171b093e3d8079dc4b8ab6c6550655ab4231", "hex");
  const other = Buffer.from(digest);
  other[0]! ^= 1;
  try {
    const right = native("sha256", digest, key, signature) === true && native("sha256", other, key, signature) === false;
    return right ? (candidate as NativeVerifyDigest) : undefined;
  } catch {
    return undefined;
  }
}
