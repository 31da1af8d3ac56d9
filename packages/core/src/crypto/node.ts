// SPDX-License-Identifier: Apache-2.0
/** The platform binding for Node (and Bun and Deno through their node:crypto): OpenSSL behind a synchronous face. */
import * as crypto from "node:crypto";
import { LacreError } from "../errors.ts";
import type { Algorithm, HashName, KeyType } from "./algorithms.ts";
import { curveOf, decodePoint } from "./curve.ts";
import { PREHASHED, verifyEdwards } from "./edwards.ts";
import { adoptNative, type EcdsaClaim, verifyEcdsaDigests } from "./node-ecdsa.ts";
import type { DigestClaim, KeyMaterial, Platform, PlatformKey, SignatureResult } from "./platform.ts";
import { isPkcs1Encoding, isPssEncoding } from "./rsa.ts";

/** A public key: what a verification over a digest needs is not what one over a message needs, and each is costly. */
class NodeKey {
  readonly material: KeyMaterial;
  #isUsed = false;
  #object: crypto.KeyObject | undefined;
  #claim: Pick<EcdsaClaim, "curve" | "point"> | undefined;

  constructor(material: KeyMaterial) {
    this.material = material;
  }

  get object(): crypto.KeyObject {
    return (this.#object ??= importSpki(this.material));
  }

  /**
   * The key for one verification over a message. Most keys verify one signature, and an object for that outlives its use
   * until the collector comes by: the first time the text serves, and is read on the way.
   */
  get once(): crypto.KeyObject | string {
    if (this.#object === undefined && !this.#isUsed) {
      this.#isUsed = true;
      return pemOf(this.material);
    }
    return this.object;
  }

  get curveAndPoint(): Pick<EcdsaClaim, "curve" | "point"> {
    if (this.#claim === undefined) {
      const curve = curveOf(this.material.type);
      if (curve === undefined) throw new TypeError(`${this.material.type} has no curve`);
      this.#claim = { curve, point: decodePoint(curve, this.material.raw) };
    }
    return this.#claim;
  }
}

// Since Node 24 this is parsed in half the time of DER and JWK; how long its lines are is no matter.
function pemOf({ spki }: KeyMaterial): string {
  const base64 = Buffer.from(spki.buffer, spki.byteOffset, spki.length).toString("base64");
  return `-----BEGIN PUBLIC KEY-----\n${base64}\n-----END PUBLIC KEY-----\n`;
}

function importSpki(material: KeyMaterial): crypto.KeyObject {
  try {
    return crypto.createPublicKey(pemOf(material));
  } catch (cause) {
    // Not every Node has ML-DSA. Its keys are well formed by their length alone, so nothing else can be wrong.
    if (material.type.startsWith("ML-DSA")) throw noMlDsa(cause);
    throw new LacreError("KEY_INVALID", "key is refused by the platform", { found: material.type, cause });
  }
}

function nodeKey(key: PlatformKey): NodeKey {
  return key.platformKey as NodeKey;
}

function privateKey(key: PlatformKey): crypto.KeyObject {
  return key.platformKey as crypto.KeyObject;
}

/** How OpenSSL is told to pad, beside the key: nothing for ECDSA and PKCS#1 v1.5, a salt as long as the hash for PSS. */
function padding(algorithm: Algorithm): { padding?: number; saltLength?: number } {
  if (algorithm.family !== "rsa-pss") return {};
  return { padding: crypto.constants.RSA_PKCS1_PSS_PADDING, saltLength: crypto.constants.RSA_PSS_SALTLEN_DIGEST };
}

function verifyMessage(algorithm: Algorithm, key: PlatformKey, message: Uint8Array, signature: Uint8Array): SignatureResult {
  switch (algorithm.family) {
    case "ecdsa":
      return answer(verifyEcdsa(algorithm.hash, message, nodeKey(key), signature));
    case "rsa-pkcs1":
    case "rsa-pss":
      return answer(crypto.verify(algorithm.hash, message, { key: nodeKey(key).object, ...padding(algorithm) }, signature));
    case "ed25519":
    case "ml-dsa":
      return answer(crypto.verify(null, message, nodeKey(key).object, signature));
    case "ed25519ph":
      return answer(verifyEdwards(sha512, PREHASHED, nodeKey(key).material.raw, sha512(message), signature));
  }
}

function verifyEcdsa(hashName: HashName, message: Uint8Array, key: NodeKey, signature: Uint8Array): boolean {
  try {
    return crypto.verify(hashName, message, key.once, signature);
  } catch (error) {
    // If it is the key that the platform cannot take, making an object of it says so.
    void key.object;
    throw error;
  }
}

function answer(verified: boolean): SignatureResult {
  return verified ? "valid" : "invalid";
}

const nativeVerifyDigest = adoptNative((crypto as { readonly verifyDigest?: unknown }).verifyDigest);

function verifyDigests(claims: readonly DigestClaim[]): SignatureResult[] {
  const results: SignatureResult[] = [];
  const ecdsa: EcdsaClaim[] = [];
  const places: number[] = [];
  for (const [place, { algorithm, key, digest, signature }] of claims.entries()) {
    switch (algorithm.family) {
      case "ecdsa":
        if (nativeVerifyDigest !== undefined) {
          results[place] = answer(nativeVerifyDigest(algorithm.hash, digest, nodeKey(key).object, signature));
          break;
        }
        ecdsa.push({ ...nodeKey(key).curveAndPoint, digest, signature });
        places.push(place);
        break;
      case "rsa-pkcs1":
      case "rsa-pss":
        results[place] = answer(verifyRsaDigest(algorithm, nodeKey(key), digest, signature));
        break;
      case "ed25519ph":
        results[place] = answer(verifyEdwards(sha512, PREHASHED, nodeKey(key).material.raw, digest, signature));
        break;
      default:
        results[place] = "unknown";
    }
  }
  for (const [i, verified] of verifyEcdsaDigests(ecdsa).entries()) results[places[i]!] = answer(verified);
  return results;
}

function verifyRsaDigest(algorithm: Algorithm, key: NodeKey, digest: Uint8Array, signature: Uint8Array): boolean {
  if (signature.length !== key.material.rsaBits / 8) return false;
  let encoded: Uint8Array;
  try {
    encoded = crypto.publicDecrypt({ key: key.object, padding: crypto.constants.RSA_NO_PADDING }, signature);
  } catch {
    // OpenSSL refuses a signature that is no number below the modulus (and keys that it cannot use: one bad claim must
    // not take the batch with it).
    return false;
  }
  return algorithm.family === "rsa-pss"
    ? isPssEncoding(hash, algorithm.hash, digest, encoded)
    : isPkcs1Encoding(algorithm.hash, digest, encoded);
}

// By way of a string: a digest as a buffer is an allocation outside the heap, which costs three times the hash of a node.
function hash(algorithm: HashName, data: Uint8Array): Uint8Array {
  const octets = crypto.hash(algorithm, data, "binary");
  const digest = new Uint8Array(octets.length);
  for (let at = 0; at < octets.length; at++) digest[at] = octets.charCodeAt(at);
  return digest;
}

function sha512(data: Uint8Array): Uint8Array {
  return hash("sha512", data);
}

// A Buffer is not what it seems: its slice() shares memory where a Uint8Array's copies. None leaves this file.
function plain(buffer: Uint8Array): Uint8Array {
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.length);
}

function generatePair(type: KeyType, rsaBits: number): crypto.KeyPairKeyObjectResult {
  switch (type) {
    case "RSA":
      return crypto.generateKeyPairSync("rsa", { modulusLength: rsaBits });
    case "Ed25519":
      return crypto.generateKeyPairSync("ed25519");
    case "P-256":
    case "P-384":
    case "P-521":
      return crypto.generateKeyPairSync("ec", { namedCurve: type });
    default:
      try {
        return crypto.generateKeyPairSync(type.toLowerCase() as "ml-dsa-44");
      } catch (cause) {
        throw noMlDsa(cause);
      }
  }
}

function noMlDsa(cause: unknown): LacreError {
  return new LacreError("ALGORITHM_UNKNOWN", "this Node has no ML-DSA", { found: process.version, cause });
}

/** The platform of Node. */
export const platform: Platform = {
  name: "node",
  hash,
  hasher(algorithm) {
    const state = crypto.createHash(algorithm);
    return { update: (chunk) => void state.update(chunk), digest: () => plain(state.digest()) };
  },
  random: (length) => plain(crypto.randomBytes(length)),
  importKey: (material) => ({ platformKey: new NodeKey(material) }),
  verifyMessage,
  verifyDigests,
  generateKey(type, rsaBits = 3072) {
    const pair = generatePair(type, rsaBits);
    return {
      pkcs8: plain(pair.privateKey.export({ format: "der", type: "pkcs8" })),
      spki: plain(pair.publicKey.export({ format: "der", type: "spki" })),
    };
  },
  importPrivateKey(pkcs8) {
    try {
      const key = crypto.createPrivateKey({ key: Buffer.from(pkcs8), format: "der", type: "pkcs8" });
      return { handle: { platformKey: key }, spki: plain(crypto.createPublicKey(key).export({ format: "der", type: "spki" })) };
    } catch {
      // The cause could quote key bytes; it stays here.
      throw new LacreError("KEY_INVALID", "not an unencrypted PKCS#8 private key of a known type");
    }
  },
  sign(algorithm, key, message) {
    switch (algorithm.family) {
      case "ecdsa":
        // The bare key: wrapped in options it costs half as much again.
        return plain(crypto.sign(algorithm.hash, message, privateKey(key)));
      case "rsa-pkcs1":
      case "rsa-pss":
        return plain(crypto.sign(algorithm.hash, message, { key: privateKey(key), ...padding(algorithm) }));
      case "ed25519":
      case "ml-dsa":
        return plain(crypto.sign(null, message, privateKey(key)));
      case "ed25519ph":
        throw new LacreError("ALGORITHM_UNKNOWN", "this platform cannot sign so", { found: algorithm.keyDetails });
    }
  },
  streamSigner(algorithm, key) {
    if (!algorithm.prehashed || algorithm.family === "ed25519ph") {
      throw new LacreError("ALGORITHM_UNKNOWN", "this algorithm cannot sign a stream", { found: algorithm.keyDetails });
    }
    const state = crypto.createSign(algorithm.hash);
    return {
      update: (chunk) => void state.update(chunk),
      finish: () => plain(state.sign({ key: privateKey(key), ...padding(algorithm) })),
    };
  },
} satisfies Platform;
