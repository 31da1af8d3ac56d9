// SPDX-License-Identifier: Apache-2.0
/**
 * Whom to trust and whom to ask: the trusted root of a verification, the signing config of a signature.
 *
 * The first that applies, and the verdict names it:
 * 1. the file of `--trusted-root` (`--signing-config`);
 * 2. cosign's environment variables: `TUF_MIRROR` with `TUF_ROOT_JSON`; loose keys and certificates (`SIGSTORE_ROOT_FILE`
 *    and its kin) stand instead of what the root that is found below says of their kind;
 * 3. the directory of `--dir`, or of an explicitly set `LACRE_DIR`;
 * 4. the installation remembered by `lacre initialize` or `lacre up`;
 * 5. nothing: exit 3 with the choices.
 *
 * Never a `./.lacre` merely found in the current folder (a repository could bring its own), never a silent download.
 */
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { LacreError } from "@lacre/core/errors";
import { decodeSigningConfig, decodeTrustedRoot, type SigningConfig, type TrustedRoot } from "@lacre/core/trust";
import type { Pieces } from "./assembled.ts";
import type { Context } from "./context.ts";
import { CliError } from "./errors.ts";
import { readNamed } from "./named.ts";
import type { Chosen, PieceFlags, TrustFlags } from "./trust-flags.ts";
import { digestOf, findHome, type Installation, mirrorFolder, recall, recallAll, trustFolder } from "./home.ts";

export { readNamed } from "./named.ts";

export { PACK_FLAGS, PIECE_FLAGS, type Chosen, type TrustFlags } from "./trust-flags.ts";

/** The root to verify against. Throws TRUST_MISSING with the choices. */
export async function findTrustedRoot(context: Context, flags: TrustFlags): Promise<Chosen<TrustedRoot>> {
  if (flags.trustPack !== undefined) return (await import("./pack.ts")).openPack(context, flags, findTrustedRoot);
  if ((flags.trustPackKey ?? flags.trustPackIdentity ?? flags.trustPackIssuer) !== undefined)
    throw new CliError("USAGE", "--trust-pack-key and its kin say who sealed --trust-pack, and that is not given");
  // A named file is whole: the environment does not reach into it, flags beside it do.
  const pieces = await (await assembling(context, flags))?.readPieces(context, flags, flags.trustedRoot === undefined);
  const base = await findWholeRoot(context, flags, pieces);
  if (pieces === undefined) {
    if (base === undefined) throw new CliError("TRUST_MISSING", "there is no trusted root to check against");
    return base;
  }
  const { assembleRoot } = await import("./assembled.ts");
  const { root, bytes } = assembleRoot(base?.value, pieces);
  const source = [...pieces.sources, ...(base === undefined ? [] : [`the rest from ${base.source.source}`])].join("; ");
  return {
    value: root,
    source: { source, reason: "put together", digest: digestOf(bytes) },
    isLocal: base?.isLocal ?? false,
    bytes,
  };
}

/** Loaded only where there is something to put together. */
async function assembling(context: Context, flags: PieceFlags): Promise<typeof import("./assembled.ts") | undefined> {
  const named = [flags.certificateChain, flags.caRoots, flags.caIntermediates, flags.timestampCertificateChain];
  const isNeeded = named.some((one) => one !== undefined) || COSIGN_KEYS.some((name) => (context.env[name] ?? "") !== "");
  return isNeeded ? import("./assembled.ts") : undefined;
}

/** The root that a file, a directory or an installation brings; undefined where there is none, or nothing of it is needed. */
async function findWholeRoot(
  context: Context,
  flags: TrustFlags,
  pieces: Pieces | undefined,
): Promise<Chosen<TrustedRoot> | undefined> {
  const given = flags.trustedRoot;
  if (given !== undefined) return chosen(await readNamed(context, given), decodeTrustedRoot, given, "--trusted-root", false);
  if (pieces !== undefined && (await import("./assembled.ts")).isComplete(pieces)) return undefined;
  const found = await findDocument(context, flags, "trusted_root.json");
  return found === undefined ? undefined : chosen(found.bytes, decodeTrustedRoot, found.source, found.reason, found.isLocal);
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
  return { value: named(source, () => decode(bytes)), source: { source, reason, digest: digestOf(bytes) }, isLocal, bytes };
}

// Several documents take part in a verification: a refusal says which of them it is about.
function named<T>(document: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    if (!(cause instanceof LacreError)) throw cause;
    const { code, message, expected, found, rule } = cause;
    throw new LacreError(code, `${document}: ${message}`, {
      ...(expected === undefined ? {} : { expected }),
      ...(found === undefined ? {} : { found }),
      ...(rule === undefined ? {} : { rule }),
      cause,
    });
  }
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
  const isOffline = flags.offline === true;
  const mirror = await readEnvironmentMirror(context);
  if (mirror !== undefined) return readMirror(context, mirror, "TUF_MIRROR", name, isOffline);
  const directory = namedDirectory(context, flags);
  if (directory !== undefined) {
    const source = join(trustFolder(directory.path), name);
    return { bytes: await readNamed(context, source), source, reason: directory.reason, isLocal: true };
  }
  const installation = await recall(findHome(context.env));
  if (installation === undefined) return undefined;
  if (installation.kind === "directory") return readRemembered(context, installation, name);
  return readMirror(context, installation, "remembered by lacre initialize", name, isOffline);
}

/** A mirror that is trusted from a pinned root on, and where its documents are cached. */
export type Mirror = Pick<Installation & { kind: "mirror" }, "mirror" | "path" | "rootDigest">;

async function readMirror(context: Context, mirror: Mirror, reason: string, name: string, isOffline: boolean): Promise<Found> {
  const { readTargets } = await import("./mirror.ts");
  const { mirror: url, path: folder, rootDigest } = mirror;
  const [bytes] = await readTargets({ url, folder, rootDigest, isOffline, fetch: context.fetch }, [name]);
  if (bytes === undefined) throw new CliError("TRUST_MISSING", `the repository at ${url} has no ${name}`);
  return { bytes, source: `${url}/targets/${name}`, reason, isLocal: false };
}

/** cosign's `TUF_MIRROR` and `TUF_ROOT_JSON`: pinned anew whenever the root's file is another. Without the file, an installation of that address. */
async function readEnvironmentMirror(context: Context): Promise<Mirror | undefined> {
  const [url, rootFile] = ["TUF_MIRROR", "TUF_ROOT_JSON"].map((name) => context.env[name] ?? "") as [string, string];
  if (url === "" && rootFile === "") return undefined;
  const hint =
    "TUF_MIRROR is the repository's address, TUF_ROOT_JSON the file of its first root: set both, or run lacre initialize with them.";
  if (url === "") throw new CliError("TRUST_MISSING", "TUF_ROOT_JSON is set and TUF_MIRROR is not", { hint });
  const home = findHome(context.env);
  const mirror = url.replace(/\/+$/, "");
  if (rootFile === "") {
    const known = (await recallAll(home)).find((one) => one.kind === "mirror" && one.mirror === mirror);
    if (known?.kind === "mirror") return known;
    throw new CliError("TRUST_MISSING", `TUF_MIRROR names ${mirror}, which was not initialised, and TUF_ROOT_JSON is not set`, {
      hint,
    });
  }
  const root = await readNamed(context, rootFile);
  const rootDigest = digestOf(root);
  const path = mirrorFolder(home, `${mirror} ${rootDigest}`);
  if (!existsSync(join(path, "pinned.root.json"))) await (await import("./mirror.ts")).createMirror(path, root);
  return { mirror, path, rootDigest };
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
