// SPDX-License-Identifier: Apache-2.0
/**
 * Keys of one's own, by `--key`: a PEM file, or `env://NAME` for a PEM in the environment.
 *
 * Public: SubjectPublicKeyInfo. Private: PKCS#8, SEC1 or PKCS#1, unencrypted. What cosign knows beside that (encrypted
 * files, key management services, tokens) is refused by name, never taken for a file.
 */
import { createPrivateKey, createPublicKey } from "node:crypto";
import { type Algorithm, importPrivateKey, importPublicKey, type PrivateKey, type PublicKey } from "@lacre/core/crypto";
import { text } from "@lacre/core/bytes";
import { LacreError } from "@lacre/core/errors";
import { createKeySigner, type Signer } from "@lacre/core/sign";
import type { Context } from "./context.ts";
import { CliError } from "./errors.ts";
import { readNamed } from "./trust.ts";

async function readPem(context: Context, reference: string): Promise<string> {
  if (reference.startsWith("env://")) {
    const name = reference.slice("env://".length);
    const value = context.env[name];
    if (value === undefined || value === "") throw new CliError("FILE_UNREADABLE", `the environment variable ${name} is not set`);
    return value;
  }
  const scheme = /^([a-z0-9+.-]+):(\/\/|[a-z])/i.exec(reference)?.[1];
  if (scheme !== undefined && scheme.length > 1) {
    throw new CliError("UNSUPPORTED_FLAG", `--key ${scheme}: is not supported yet`, { hint: "Give a PEM file, or env://NAME." });
  }
  const bytes = await readNamed(context, reference);
  try {
    return text(bytes);
  } catch (cause) {
    throw new CliError("FILE_UNREADABLE", `${reference} is not a PEM file`, { cause });
  }
}

/** The key to verify with. Throws FILE_UNREADABLE, KEY_INVALID, UNSUPPORTED_FLAG. */
export async function readPublicKey(context: Context, reference: string): Promise<PublicKey> {
  const pem = await readPem(context, reference);
  if (/-----BEGIN CERTIFICATE-----/.test(pem)) {
    throw new CliError("USAGE", `${reference} is a certificate, not a key`, {
      hint: "Verify certificates with --certificate-identity and --certificate-oidc-issuer.",
    });
  }
  if (/PRIVATE KEY-----/.test(pem)) throw new CliError("USAGE", `${reference} is a private key; verifying needs the public one`);
  try {
    return importPublicKey(createPublicKey(pem).export({ format: "der", type: "spki" }));
  } catch (cause) {
    if (cause instanceof LacreError) throw cause;
    throw new LacreError("KEY_INVALID", `${reference} holds no public key in PEM`);
  }
}

/** What signs with the key that `--key` names. Throws FILE_UNREADABLE, KEY_INVALID, UNSUPPORTED_FLAG. */
export async function openSigner(context: Context, reference: string, algorithm?: Algorithm): Promise<Signer> {
  return createKeySigner(await readPrivateKey(context, reference), algorithm);
}

async function readPrivateKey(context: Context, reference: string): Promise<PrivateKey> {
  const pem = await readPem(context, reference);
  if (/ENCRYPTED|Proc-Type/.test(pem)) {
    throw new CliError("UNSUPPORTED_FLAG", `${reference} is encrypted, and encrypted keys are not read yet`, {
      hint: "openssl pkcs8 -topk8 -nocrypt writes an unencrypted copy of a PEM key.",
    });
  }
  let pkcs8;
  try {
    pkcs8 = createPrivateKey(pem).export({ format: "der", type: "pkcs8" });
  } catch {
    // The cause could quote the key.
    throw new LacreError("KEY_INVALID", `${reference} holds no private key in PEM`);
  }
  return importPrivateKey(pkcs8);
}
