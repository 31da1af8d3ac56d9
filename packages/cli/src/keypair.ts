// SPDX-License-Identifier: Apache-2.0
/**
 * Key pairs as files, as cosign names them: PREFIX.key, encrypted and for its owner alone, and PREFIX.pub. The password is
 * asked for before anything is written, and no file is replaced unasked: a lost private key is lost for ever.
 */
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { formatPem } from "@lacre/core/codec";
import type { PublicKey } from "@lacre/core/crypto";
import type { Context } from "./context.ts";
import { CliError } from "./errors.ts";
import { writeWhole } from "./home.ts";
import { sealKey } from "./keys/encrypted.ts";
import { readNewPassword } from "./keys/password.ts";
import { plain } from "./terminal.ts";

export interface KeyPairFiles {
  readonly privatePath: string;
  readonly publicPath: string;
}

/** The two files of a prefix, free to be written. Throws FILE_EXISTS when nobody agrees to replace what is there. */
export async function claimFiles(context: Context, prefix: string, isAgreed: boolean): Promise<KeyPairFiles> {
  const files = { privatePath: `${prefix}.key`, publicPath: `${prefix}.pub` };
  for (const path of Object.values(files)) await claimFile(context, path, isAgreed);
  return files;
}

/** One file, free to be written. Throws FILE_EXISTS. */
export async function claimFile(context: Context, path: string, isAgreed: boolean): Promise<void> {
  if (isAgreed || !existsSync(resolve(context.cwd, path))) return;
  if (!(await context.terminal.confirm(`${plain(path)} exists. Replace it?`)))
    throw new CliError("FILE_EXISTS", `${path} exists and is not replaced`);
}

/** Writes the pair, the private key encrypted with a password that is asked for. */
export async function writePair(context: Context, files: KeyPairFiles, pkcs8: Uint8Array, publicKey: PublicKey): Promise<void> {
  const password = await readNewPassword(context);
  await writeWhole(resolve(context.cwd, files.privatePath), await sealKey(pkcs8, password.octets), 0o600);
  await writeWhole(resolve(context.cwd, files.publicPath), formatPem("PUBLIC KEY", publicKey.spki), 0o644);
  if (password.octets.length === 0) context.terminal.warn(`${plain(files.privatePath)} is encrypted with an empty password`);
  context.terminal.say(`Private key written to ${plain(files.privatePath)}`);
  context.terminal.say(`Public key written to ${plain(files.publicPath)}`);
}
