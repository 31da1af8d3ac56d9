// SPDX-License-Identifier: Apache-2.0
/**
 * Private keys as cosign stores them: PEM around a JSON document around an encrypted PKCS#8.
 *
 *     -----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----        (older: ENCRYPTED COSIGN PRIVATE KEY)
 *     {"kdf":    {"name": "scrypt", "params": {"N": 65536, "r": 8, "p": 1}, "salt": "<base64>"},
 *      "cipher": {"name": "nacl/secretbox", "nonce": "<base64>"},
 *      "ciphertext": "<base64>"}
 *
 * The box is XSalsa20 and Poly1305 under scrypt(password, salt) (RFC 7914), with its own 24 octets of nonce. The costs of
 * scrypt come from the file and are bounded before it runs: a file cannot make the command eat the machine.
 */
import { randomBytes, scrypt } from "node:crypto";
import { toBase64, utf8 } from "@lacre/core/bytes";
import { formatPem, JsonObject, parseJson, parsePemAll } from "@lacre/core/codec";
import { LacreError } from "@lacre/core/errors";

const LABEL = "ENCRYPTED SIGSTORE PRIVATE KEY";
const LABELS: readonly string[] = [LABEL, "ENCRYPTED COSIGN PRIVATE KEY"];

/** An encrypted key, read and not opened. */
export interface EncryptedKey {
  readonly cost: { readonly n: number; readonly r: number; readonly p: number };
  readonly salt: Uint8Array;
  readonly nonce: Uint8Array;
  readonly ciphertext: Uint8Array;
}

/** What cosign writes with: 64 MiB and about a tenth of a second. */
const COST = { n: 65_536, r: 8, p: 1 };
/** scrypt holds 128·N·r octets and computes as many p times. */
const MAX_MEMORY = 256 << 20;
const MAX_LANES = 8;
const MAX_KEY_BYTES = 1 << 16;

/** Whether a text is an encrypted key of cosign's kind. */
export function isEncryptedKey(pem: string): boolean {
  return LABELS.some((label) => pem.includes(`-----BEGIN ${label}-----`));
}

/** Reads an encrypted key. Throws BAD_PEM, BAD_JSON, BAD_BASE64, TOO_LARGE, KEY_INVALID for other methods and costs. */
export function decodeEncryptedKey(pem: string): EncryptedKey {
  if (pem.length > 2 * MAX_KEY_BYTES) throw new LacreError("TOO_LARGE", "an encrypted key is not as large as this");
  const blocks = parsePemAll(pem);
  const [block] = blocks;
  if (block === undefined || blocks.length !== 1 || !LABELS.includes(block.label)) {
    throw new LacreError("KEY_INVALID", "the file holds something beside one encrypted key", {
      expected: LABEL,
      found: blocks.map(({ label }) => label).join(", "),
    });
  }
  const document = new JsonObject(parseJson(block.der, { maxBytes: MAX_KEY_BYTES, maxDepth: 4 }), "key");
  const kdf = document.object("kdf");
  const cipher = document.object("cipher");
  checkName("key derivation", kdf.string("name"), "scrypt");
  checkName("cipher", cipher.string("name"), "nacl/secretbox");
  const params = kdf.object("params");
  const cost = { n: number(params, "N"), r: number(params, "r"), p: number(params, "p") };
  const isSane = cost.n > 1 && (cost.n & (cost.n - 1)) === 0 && cost.r > 0 && cost.p > 0;
  if (!isSane || 128 * cost.n * cost.r > MAX_MEMORY || cost.p > MAX_LANES) {
    throw new LacreError("KEY_INVALID", "the costs of the key's derivation are out of bounds", {
      expected: `N a power of two, 128·N·r at most ${MAX_MEMORY >> 20} MiB, p at most ${MAX_LANES}`,
      found: `N ${cost.n}, r ${cost.r}, p ${cost.p}`,
    });
  }
  const salt = kdf.bytes("salt");
  const nonce = cipher.bytes("nonce");
  const ciphertext = document.bytes("ciphertext");
  if (salt.length === 0 || nonce.length !== 24 || ciphertext.length <= 16)
    throw new LacreError("KEY_INVALID", "the encrypted key is incomplete", {
      expected: "a salt, a nonce of 24 octets, a ciphertext",
      found: `${salt.length}, ${nonce.length} and ${ciphertext.length} octets`,
    });
  return { cost, salt, nonce, ciphertext };
}

/** The PKCS#8 in an encrypted key; undefined when the password is not its own (or the file has been changed). */
export async function openEncryptedKey(key: EncryptedKey, password: Uint8Array): Promise<Uint8Array | undefined> {
  const { secretbox } = await import("@noble/ciphers/salsa.js");
  try {
    return secretbox(await derive(password, key.salt, key.cost), key.nonce).open(key.ciphertext);
  } catch {
    // All that can fail is the box's authenticator: the lengths have been checked.
    return undefined;
  }
}

/** A PKCS#8 encrypted with a password, as cosign writes it. */
export async function sealKey(pkcs8: Uint8Array, password: Uint8Array): Promise<string> {
  const { secretbox } = await import("@noble/ciphers/salsa.js");
  const salt = randomBytes(32);
  const nonce = randomBytes(24);
  const ciphertext = secretbox(await derive(password, salt, COST), nonce).seal(pkcs8);
  const document = {
    kdf: { name: "scrypt", params: { N: COST.n, r: COST.r, p: COST.p }, salt: toBase64(salt) },
    cipher: { name: "nacl/secretbox", nonce: toBase64(nonce) },
    ciphertext: toBase64(ciphertext),
  };
  return formatPem(LABEL, utf8(JSON.stringify(document)));
}

function derive(password: Uint8Array, salt: Uint8Array, { n, r, p }: EncryptedKey["cost"]): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    scrypt(password, salt, 32, { N: n, r, p, maxmem: 2 * MAX_MEMORY }, (error, key) =>
      error === null ? resolve(key) : reject(error),
    );
  });
}

function checkName(what: string, found: string, expected: string): void {
  if (found !== expected)
    throw new LacreError("KEY_INVALID", `the key's ${what} is not one that is read here`, {
      expected,
      found: found.slice(0, 40),
    });
}

function number(params: JsonObject, name: string): number {
  const value = params.get(name);
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0 && value <= 0x7fffffff) return value;
  throw new LacreError("KEY_INVALID", `${params.where}.${name} is no whole number`);
}
