// SPDX-License-Identifier: Apache-2.0
/** What to look for, from flags: each is a criterion, and an entry has to meet all of them unless `--any` is given. */
import { toHex } from "@lacre/core/bytes";
import { parsePemAll } from "@lacre/core/codec";
import { sha256 } from "@lacre/core/crypto";
import { LacreError } from "@lacre/core/errors";
import { parseSearchKey } from "@lacre/core/search";
import { decodeCertificate } from "@lacre/core/x509";
import { hashArtifact } from "../../artifact.ts";
import type { Context } from "../../context.ts";
import { CliError } from "../../errors.ts";
import { readPublicKey } from "../../keys.ts";
import { readNamed } from "../../trust.ts";
import { type FlagTable, type FlagValues, text, toggle } from "../../verb.ts";

export const QUERY_FLAGS = {
  digest: text("A digest of what was signed: sha256:HEX, or the digits alone", { placeholder: "digest" }),
  file: text("A file that was signed, - for standard input", { placeholder: "file" }),
  email: text("An e-mail address that signed", { placeholder: "address" }),
  identity: text("Any name that signed: address, URI, user name", { placeholder: "name" }),
  issuer: text("Who vouched for the identity", { placeholder: "url" }),
  domain: text("A domain of e-mail addresses or hosts, and all below it", { placeholder: "domain" }),
  repository: text("A repository, an organisation or a whole forge: https://github.com/org/repo", { placeholder: "url" }),
  key: text("A public key, PEM", { placeholder: "file" }),
  certificate: text("A certificate, PEM or DER", { placeholder: "file" }),
  leaf: text("An entry by its leaf hash", { placeholder: "hex" }),
  serial: text("A certificate by its serial number (CT log)", { placeholder: "hex" }),
  any: toggle("Entries that meet any of the criteria"),
} as const satisfies FlagTable;

type QueryFlags = FlagValues<typeof QUERY_FLAGS>;

/** Criteria as the flags name them: each is met by any of its keys. */
export async function readQuery(context: Context, flags: QueryFlags): Promise<readonly (readonly string[])[]> {
  const criteria: string[][] = [];
  const add = (kind: string, value: string | undefined): void =>
    void (value !== undefined && criteria.push([spelled(kind, value)]));
  add("digest", flags.digest);
  if (flags.file !== undefined) criteria.push(await digestsOf(context, flags.file));
  add("identity", flags.email);
  add("identity", flags.identity);
  add("issuer", flags.issuer);
  add("domain", flags.domain);
  add("under", flags.repository);
  if (flags.key !== undefined) add("key", toHex(sha256((await readPublicKey(context, flags.key)).spki)));
  if (flags.certificate !== undefined) add("certificate", toHex(sha256(await readCertificate(context, flags.certificate))));
  add("leaf", flags.leaf);
  add("serial", flags.serial);
  return criteria;
}

/** A key in its one spelling; what no entry can have is the user's mistake. */
function spelled(kind: string, value: string): string {
  try {
    return parseSearchKey(`${kind}:${value}`);
  } catch (cause) {
    if (cause instanceof LacreError)
      throw new CliError("USAGE", `${JSON.stringify(value.slice(0, 80))} is no ${kind === "under" ? "repository" : kind}`, {
        cause,
      });
    throw cause;
  }
}

/** A file's digests: which one an entry has depends on the signer's key. */
async function digestsOf(context: Context, name: string): Promise<string[]> {
  const artifact =
    name === "-"
      ? ({ kind: "stdin", name } as const)
      : ({ kind: "file", name, path: name.startsWith("/") ? name : `${context.cwd}/${name}` } as const);
  const digests = await hashArtifact(context, artifact, ["sha256", "sha384", "sha512"]);
  return [...digests].map(([algorithm, value]) => `digest:${algorithm}:${toHex(value)}`);
}

async function readCertificate(context: Context, path: string): Promise<Uint8Array> {
  const bytes = await readNamed(context, path);
  const der =
    bytes[0] === 0x30
      ? bytes
      : parsePemAll(Buffer.from(bytes).toString("latin1")).find(({ label }) => label === "CERTIFICATE")?.der;
  if (der === undefined) throw new CliError("FILE_UNREADABLE", `${path} holds no certificate`);
  return decodeCertificate(der).der;
}
