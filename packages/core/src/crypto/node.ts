// SPDX-License-Identifier: Apache-2.0
/** The platform binding for Node (and Bun and Deno through their node:crypto): OpenSSL behind a synchronous face. */
import {
  createHash, createPrivateKey, createPublicKey, createSign, generateKeyPairSync, hash, type KeyObject, randomBytes, sign, verify,
} from "node:crypto";
import { LacreError } from "../errors.ts";
import type { Algorithm } from "./algorithms.ts";
import type { Platform, PlatformKey, SignatureResult } from "./platform.ts";

function keyObject(key: PlatformKey): KeyObject {
  return key.platformKey as KeyObject;
}

function verifyMessage(algorithm: Algorithm, key: PlatformKey, message: Uint8Array, signature: Uint8Array): SignatureResult {
  switch (algorithm.family) {
    case "ecdsa":
    case "rsa-pkcs1":
      return verify(algorithm.hash, message, keyObject(key), signature) ? "valid" : "invalid";
    case "ed25519":
    case "ml-dsa":
      return verify(null, message, keyObject(key), signature) ? "valid" : "invalid";
    default:
      return "unknown";
  }
}

export const platform: Platform = {
  name: "node",
  hash: (algorithm, data) => hash(algorithm, data, "buffer"),
  hasher(algorithm) {
    const state = createHash(algorithm);
    return { update: (chunk) => void state.update(chunk), digest: () => state.digest() };
  },
  random: (length) => randomBytes(length),
  importKey(material) {
    try {
      return { platformKey: createPublicKey({ key: Buffer.from(material.spki), format: "der", type: "spki" }) };
    } catch (cause) {
      throw new LacreError("KEY_INVALID", "key is refused by the platform", { found: material.type, cause });
    }
  },
  verifyMessage,
  verifyDigest: () => "unknown",
  generateKey(type, rsaBits = 3072) {
    const pair =
      type === "RSA" ? generateKeyPairSync("rsa", { modulusLength: rsaBits })
      : type === "Ed25519" ? generateKeyPairSync("ed25519")
      : type.startsWith("ML-DSA") ? generateKeyPairSync(type.toLowerCase() as "ml-dsa-44")
      : generateKeyPairSync("ec", { namedCurve: type });
    return {
      pkcs8: pair.privateKey.export({ format: "der", type: "pkcs8" }),
      spki: pair.publicKey.export({ format: "der", type: "spki" }),
    };
  },
  importPrivateKey(pkcs8) {
    try {
      const key = createPrivateKey({ key: Buffer.from(pkcs8), format: "der", type: "pkcs8" });
      return { handle: { platformKey: key }, spki: createPublicKey(key).export({ format: "der", type: "spki" }) };
    } catch {
      // The cause could quote key bytes; it stays here.
      throw new LacreError("KEY_INVALID", "not an unencrypted PKCS#8 private key of a known type");
    }
  },
  sign(algorithm, key, message) {
    switch (algorithm.family) {
      case "ecdsa":
      case "rsa-pkcs1":
        return sign(algorithm.hash, message, keyObject(key));
      case "ed25519":
      case "ml-dsa":
        return sign(null, message, keyObject(key));
      default:
        throw new LacreError("ALGORITHM_UNKNOWN", "this platform cannot sign so", { found: algorithm.keyDetails });
    }
  },
  streamSigner(algorithm, key) {
    if (algorithm.family !== "ecdsa" && algorithm.family !== "rsa-pkcs1") {
      throw new LacreError("ALGORITHM_UNKNOWN", "this algorithm cannot sign a stream", { found: algorithm.keyDetails });
    }
    const state = createSign(algorithm.hash);
    return { update: (chunk) => void state.update(chunk), finish: () => state.sign(keyObject(key)) };
  },
} satisfies Platform;
