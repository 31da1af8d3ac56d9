// SPDX-License-Identifier: Apache-2.0
/**
 * Whom to trust and whom to ask: the trusted root of a verification, the signing config of a signature.
 *
 * The first that applies, and the verdict names it:
 * 1. the file of `--trusted-root` (`--signing-config`);
 * 2. cosign's environment variables;
 * 3. the directory of `--dir`, or of an explicitly set `LACRE_DIR`;
 * 4. the installation remembered by `lacre initialize` or `lacre up`;
 * 5. nothing: exit 3 with the choices.
 *
 * Never a `./.lacre` merely found in the current folder (a repository could bring its own), never a silent download.
 */
import { createReadStream } from "node:fs";
import { join, resolve } from "node:path";
import { decodeSigningConfig, decodeTrustedRoot, type SigningConfig, type TrustedRoot } from "@lacre/core/trust";
import type { RootSource } from "@lacre/core/verify";
import type { Context } from "./context.ts";
import { CliError, fileError } from "./errors.ts";
import { formatSize } from "./terminal.ts";
import { digestOf, findHome, type Installation, mirrorFolder, recall, trustFolder } from "./home.ts";

export interface TrustFlags {
  readonly trustedRoot?: string | undefined;
  readonly signingConfig?: string | undefined;
  readonly dir?: string | undefined;
  readonly offline?: boolean | undefined;
}

/** A document, and where it came from. */
export interface Chosen<T> {
  readonly value: T;
  readonly source: Required<RootSource>;
  /** Whether it belongs to an installation on this machine. */
  readonly isLocal: boolean;
}

/** Nothing that is named on a command line and read whole is honestly larger. */
const MAX_NAMED_BYTES = 256 << 20;

/** Reads a file named on the command line, up to a limit: `/dev/zero` has no end. */
export async function readNamed(context: Context, path: string): Promise<Uint8Array> {
  const parts: Buffer[] = [];
  let length = 0;
  try {
    for await (const chunk of createReadStream(resolve(context.cwd, path), { highWaterMark: 1 << 18 }) as AsyncIterable<Buffer>) {
      length += chunk.length;
      if (length > MAX_NAMED_BYTES)
        throw new CliError(
          "FILE_UNREADABLE",
          `${path} is larger than ${formatSize(MAX_NAMED_BYTES)}, and no file of this kind is`,
        );
      parts.push(chunk);
    }
  } catch (cause) {
    throw cause instanceof CliError ? cause : fileError("FILE_UNREADABLE", path, cause);
  }
  return Buffer.concat(parts);
}

/** The root to verify against. Throws TRUST_MISSING with the choices. */
export async function findTrustedRoot(context: Context, flags: TrustFlags): Promise<Chosen<TrustedRoot>> {
  const given = flags.trustedRoot;
  if (given !== undefined) return chosen(await readNamed(context, given), decodeTrustedRoot, given, "--trusted-root", false);
  refuseCosignKeys(context);
  const found = await findDocument(context, flags, "trusted_root.json");
  if (found === undefined) throw new CliError("TRUST_MISSING", "there is no trusted root to check against");
  return chosen(found.bytes, decodeTrustedRoot, found.source, found.reason, found.isLocal);
}

/** The root to check our own seals against: as `findTrustedRoot`, but undefined where there is none. */
export async function findOwnRoot(context: Context, flags: TrustFlags): Promise<Chosen<TrustedRoot> | undefined> {
  try {
    return await findTrustedRoot(context, flags);
  } catch (error) {
    if (error instanceof CliError && error.code === "TRUST_MISSING") return undefined;
    throw error;
  }
}

/** The services to sign with. Throws SERVICES_MISSING with the choices. */
export async function findSigningConfig(context: Context, flags: TrustFlags): Promise<Chosen<SigningConfig>> {
  const given = flags.signingConfig;
  if (given !== undefined) return chosen(await readNamed(context, given), decodeSigningConfig, given, "--signing-config", false);
  const found = await findDocument(context, flags, "signing_config.v0.2.json");
  if (found === undefined) throw new CliError("SERVICES_MISSING", "it is not known which services to sign with");
  return chosen(found.bytes, decodeSigningConfig, found.source, found.reason, found.isLocal);
}

function chosen<T>(
  bytes: Uint8Array,
  decode: (bytes: Uint8Array) => T,
  source: string,
  reason: string,
  isLocal: boolean,
): Chosen<T> {
  return { value: decode(bytes), source: { source, reason, digest: digestOf(bytes) }, isLocal };
}

/** The directory that `--dir` or an explicitly set `LACRE_DIR` names. */
export function namedDirectory(
  context: Context,
  flags: { readonly dir?: string | undefined },
): { readonly path: string; readonly reason: string } | undefined {
  if (flags.dir !== undefined) return { path: resolve(context.cwd, flags.dir), reason: "--dir" };
  const named = context.env["LACRE_DIR"];
  return named === undefined || named === "" ? undefined : { path: resolve(context.cwd, named), reason: "LACRE_DIR" };
}

interface Found {
  readonly bytes: Uint8Array;
  readonly source: string;
  readonly reason: string;
  readonly isLocal: boolean;
}

async function findDocument(context: Context, flags: TrustFlags, name: string): Promise<Found | undefined> {
  const directory = namedDirectory(context, flags);
  if (directory !== undefined) {
    const source = join(trustFolder(directory.path), name);
    return { bytes: await readNamed(context, source), source, reason: directory.reason, isLocal: true };
  }
  const home = findHome();
  const installation = await recall(home);
  if (installation === undefined) return undefined;
  if (installation.kind === "directory") return readRemembered(context, installation, name);
  const { readTargets } = await import("./mirror.ts");
  const folder = mirrorFolder(home, installation.mirror);
  const [bytes] = await readTargets(
    { url: installation.mirror, folder, rootDigest: installation.rootDigest, isOffline: flags.offline === true },
    [name],
  );
  if (bytes === undefined) throw new CliError("TRUST_MISSING", `the repository at ${installation.mirror} has no ${name}`);
  return { bytes, source: `${installation.mirror}/targets/${name}`, reason: "remembered by lacre initialize", isLocal: false };
}

async function readRemembered(
  context: Context,
  installation: Installation & { kind: "directory" },
  name: string,
): Promise<Found> {
  const folder = trustFolder(installation.path);
  const root = await readNamed(context, join(folder, "root.json"));
  if (digestOf(root) !== installation.rootDigest) {
    throw new CliError("TRUST_CHANGED", `the installation in ${installation.path} is not the one that was remembered`);
  }
  const source = join(folder, name);
  return { bytes: await readNamed(context, source), source, reason: "remembered by lacre up", isLocal: true };
}

const COSIGN_KEYS = [
  "SIGSTORE_ROOT_FILE",
  "SIGSTORE_REKOR_PUBLIC_KEY",
  "SIGSTORE_CT_LOG_PUBLIC_KEY_FILE",
  "SIGSTORE_TSA_CERTIFICATE_FILE",
];

/** Single keys and certificates in cosign's variables say nothing of windows and log names; they are not passed over. */
function refuseCosignKeys(context: Context): void {
  const set = [...COSIGN_KEYS, "TUF_ROOT", "TUF_MIRROR", "TUF_ROOT_JSON"].filter((name) => (context.env[name] ?? "") !== "");
  if (set.length === 0) return;
  throw new CliError("UNSUPPORTED_FLAG", `${set.join(", ")} in the environment ${set.length === 1 ? "is" : "are"} not read yet`, {
    hint: "Put the same material into a trusted root and give it with --trusted-root, or unset the variable.",
  });
}
