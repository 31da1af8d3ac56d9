// SPDX-License-Identifier: Apache-2.0
/** The keys of an installation: one for each thing that is signed, each in a file of its own that its owner alone reads. */
import { existsSync, statSync } from "node:fs";
import { formatPem, parsePem } from "@lacre/core/codec";
import { generateKey, importPrivateKey, type KeyType, type PrivateKey } from "@lacre/core/crypto";
import { LacreError } from "@lacre/core/errors";
import { text } from "@lacre/core/bytes";
import { ServiceError } from "../errors.ts";
import { createFile, readWhole } from "./files.ts";
import { layoutOf, type KeyName } from "./layout.ts";

/** A private key and the PKCS#8 bytes that it was read from. */
export interface StoredKey extends PrivateKey {
  readonly pkcs8: Uint8Array;
}

/**
 * What each key is. P-256 where the field's verifiers are narrow: the CT log (cosign reads no other), the ledger's log in
 * the v1 dialect (its promises are checked with ECDSA alone), the authority (a P-384 check costs eight times as much, at
 * every verification), trust metadata. RSA for identity tokens, because cosign
 * takes a token argument only with RS256.
 */
export function keyTypeOf(name: KeyName, ledger: "Ed25519" | "P-256"): { readonly type: KeyType; readonly rsaBits?: number } {
  if (name === "ledger") return { type: ledger };
  if (name === "idp") return { type: "RSA", rsaBits: 2048 };
  return { type: "P-256" };
}

/** Makes a key and stores it at `path`. */
export function createKey(path: string, kind: { readonly type: KeyType; readonly rsaBits?: number }): StoredKey {
  const key = generateKey(kind.type, kind.rsaBits);
  createFile(path, formatPem("PRIVATE KEY", key.pkcs8), 0o600);
  return key;
}

/** A key of the installation in `dir`. Throws DIRECTORY_DAMAGED, and DIRECTORY_OWNER when others may read it. */
export function readKey(dir: string, name: KeyName): StoredKey {
  return readKeyFile(layoutOf(dir).key(name));
}

/** The key in the file `path`, made when there is none. */
export function openKey(path: string, type: KeyType): StoredKey {
  return existsSync(path) ? readKeyFile(path) : createKey(path, { type });
}

function readKeyFile(path: string): StoredKey {
  const pem = readWhole(path);
  if (process.platform !== "win32" && (statSync(path).mode & 0o077) !== 0) {
    throw new ServiceError("DIRECTORY_OWNER", "A private key can be read by other users", { detail: `chmod 600 ${path}` });
  }
  try {
    const pkcs8 = parsePem(text(pem), "PRIVATE KEY");
    return { ...importPrivateKey(pkcs8), pkcs8 };
  } catch (cause) {
    // The cause could quote key bytes; only its code leaves.
    const code = cause instanceof LacreError ? cause.code : "unreadable";
    throw new ServiceError("DIRECTORY_DAMAGED", "A private key cannot be read", { detail: `${path}: ${code}` });
  }
}
