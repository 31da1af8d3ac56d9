// SPDX-License-Identifier: Apache-2.0
/**
 * Keys as text. Private: cosign's encrypted files, PKCS#8 (also encrypted), SEC1 and PKCS#1 (also with the encryption of
 * old OpenSSL). Public: SubjectPublicKeyInfo, and PKCS#1 for RSA.
 */
import { createPrivateKey, createPublicKey } from "node:crypto";
import { importPrivateKey, importPublicKey, type PrivateKey, type PublicKey } from "@lacre/core/crypto";
import { LacreError } from "@lacre/core/errors";
import type { Context } from "../context.ts";
import { CliError } from "../errors.ts";
import { type Password, readPassword } from "./password.ts";

/** Where a key's text came from, for messages; and its password, where that came with it. */
export interface KeyText {
  readonly name: string;
  readonly pem: string;
  readonly password?: Password | undefined;
}

/** The PKCS#8 of a private key, opened. Throws KEY_INVALID, KEY_LOCKED, PASSWORD_MISSING. */
export async function readPkcs8(context: Context, { name, pem, password }: KeyText): Promise<Uint8Array> {
  const { decodeEncryptedKey, isEncryptedKey, openEncryptedKey } = await import("./encrypted.ts");
  if (isEncryptedKey(pem)) {
    const key = decodeEncryptedKey(pem);
    const given = password ?? (await readPassword(context, name));
    const pkcs8 = await openEncryptedKey(key, given.octets);
    if (pkcs8 === undefined) throw locked(name, given);
    return pkcs8;
  }
  const isLocked = /-----BEGIN ENCRYPTED PRIVATE KEY-----|Proc-Type: *4, *ENCRYPTED/.test(pem);
  const given = isLocked ? (password ?? (await readPassword(context, name))) : undefined;
  try {
    const key = createPrivateKey({ key: pem, ...(given === undefined ? {} : { passphrase: Buffer.from(given.octets) }) });
    return key.export({ format: "der", type: "pkcs8" });
  } catch {
    // The cause could quote the key.
    if (given !== undefined) throw locked(name, given);
    throw new LacreError("KEY_INVALID", `${name} holds no private key in PEM`, { found: blockOf(pem) });
  }
}

function locked(name: string, { source }: Password): CliError {
  return new CliError("KEY_LOCKED", `${name} does not open with the password from ${source}`);
}

/** What the text says it is, without its content. */
function blockOf(pem: string): string {
  return /-----BEGIN ([A-Z0-9 ]{1,60})-----/.exec(pem)?.[1] ?? "no PEM block";
}

/** The private key of a text. Throws as `readPkcs8`, and KEY_INVALID for keys that the registry does not know. */
export async function readPrivateKey(context: Context, text: KeyText): Promise<PrivateKey> {
  return importPrivateKey(await readPkcs8(context, text));
}

/** The public key of a text. Throws USAGE for a private key and a certificate, KEY_INVALID. */
export function parsePublicKey({ name, pem }: KeyText): PublicKey {
  if (/-----BEGIN CERTIFICATE-----/.test(pem)) {
    throw new CliError("USAGE", `${name} is a certificate, not a key`, {
      hint: "Verify certificates with --certificate-identity and --certificate-oidc-issuer.",
    });
  }
  if (/PRIVATE KEY-----/.test(pem)) {
    throw new CliError("USAGE", `${name} is a private key; verifying needs the public one`, {
      hint: "lacre public-key --key FILE prints it.",
    });
  }
  try {
    // A Buffer is not what it seems: its slice() shares memory.
    return importPublicKey(Uint8Array.from(createPublicKey(pem).export({ format: "der", type: "spki" })));
  } catch (cause) {
    if (cause instanceof LacreError) throw cause;
    throw new LacreError("KEY_INVALID", `${name} holds no public key in PEM`, { found: blockOf(pem) });
  }
}
