// SPDX-License-Identifier: Apache-2.0
/**
 * A trusted root from loose keys and certificates, as cosign's flags and environment variables bring them:
 *
 *     --certificate-chain, --ca-roots with --ca-intermediates, SIGSTORE_ROOT_FILE     certificate authorities
 *     --timestamp-certificate-chain, SIGSTORE_TSA_CERTIFICATE_FILE                    timestamp authority
 *     SIGSTORE_REKOR_PUBLIC_KEY                                                       transparency logs
 *     SIGSTORE_CT_LOG_PUBLIC_KEY_FILE                                                 certificate logs
 *
 * What is given stands instead of everything of its kind in the root that would be used otherwise; the other kinds come
 * from there, or are empty, and what needs them is refused. The verdict names each piece.
 *
 * Files of this kind say nothing of time and name. So: an authority's window is that of its anchor's certificate; a key has
 * no window (whoever gives a key trusts it for all it has signed); a log is known by its key alone, save that the id of an
 * Ed25519 log follows from its name too, which is the host of `--rekor-url`. What has been put together goes through the checks of every trusted root.
 */
import { noteKeyId } from "@lacre/core/bundle";
import { utf8 } from "@lacre/core/bytes";
import { parsePemAll } from "@lacre/core/codec";
import { defaultAlgorithm, importPublicKey, sha256 } from "@lacre/core/crypto";
import { LacreError } from "@lacre/core/errors";
import {
  type CertificateAuthority,
  decodeTrustedRoot,
  encodeTrustedRoot,
  type TransparencyLog,
  type TrustedRoot,
} from "@lacre/core/trust";
import { type Certificate, checkIssuedBy, decodeCertificate } from "@lacre/core/x509";
import type { Context } from "./context.ts";
import { CliError } from "./errors.ts";
import { readNamed } from "./named.ts";
import type { PieceFlags } from "./trust-flags.ts";

/** Loose trust, by kind; undefined kinds come from elsewhere. */
export interface Pieces {
  readonly certificateAuthorities?: readonly CertificateAuthority[];
  readonly timestampAuthorities?: readonly CertificateAuthority[];
  readonly tlogs?: readonly TransparencyLog[];
  readonly ctlogs?: readonly TransparencyLog[];
  /** Where each is from, for the verdict. */
  readonly sources: readonly string[];
}

const VARIABLES = {
  SIGSTORE_ROOT_FILE: "certificateAuthorities",
  SIGSTORE_TSA_CERTIFICATE_FILE: "timestampAuthorities",
  SIGSTORE_REKOR_PUBLIC_KEY: "tlogs",
  SIGSTORE_CT_LOG_PUBLIC_KEY_FILE: "ctlogs",
} as const;

/** The pieces of the flags and, with `useEnvironment`, of the variables; a flag comes before a variable. Throws USAGE and what reading throws. */
export async function readPieces(context: Context, flags: PieceFlags, useEnvironment: boolean): Promise<Pieces | undefined> {
  const { certificateChain, caRoots, caIntermediates, timestampCertificateChain } = flags;
  if (certificateChain !== undefined && (caRoots ?? caIntermediates) !== undefined)
    throw new CliError("USAGE", "--certificate-chain and --ca-roots, --ca-intermediates are two ways to say the same");
  if (caIntermediates !== undefined && caRoots === undefined)
    throw new CliError("USAGE", "--ca-intermediates goes with --ca-roots");
  const pieces: { -readonly [K in keyof Pieces]: Pieces[K] } = { sources: [] };
  const sources: string[] = [];
  if (certificateChain !== undefined) {
    pieces.certificateAuthorities = [authorityOf(await readCertificates(context, certificateChain))];
    sources.push(`--certificate-chain ${certificateChain}`);
  } else if (caRoots !== undefined) {
    const between = caIntermediates === undefined ? [] : await readCertificates(context, caIntermediates);
    pieces.certificateAuthorities = (await readCertificates(context, caRoots)).flatMap((root) => chainsUnder(root, between));
    sources.push(`--ca-roots ${caRoots}`);
  }
  if (timestampCertificateChain !== undefined) {
    pieces.timestampAuthorities = [authorityOf(await readCertificates(context, timestampCertificateChain))];
    sources.push(`--timestamp-certificate-chain ${timestampCertificateChain}`);
  }
  for (const [name, kind] of useEnvironment ? Object.entries(VARIABLES) : []) {
    const path = context.env[name] ?? "";
    if (path === "" || pieces[kind] !== undefined) continue;
    if (kind === "certificateAuthorities") pieces[kind] = sortAuthorities(await readCertificates(context, path), name);
    else if (kind === "timestampAuthorities") pieces[kind] = [authorityOf(await readCertificates(context, path))];
    else pieces[kind] = await readLogs(context, path, kind === "tlogs" ? (flags.rekorUrl ?? "") : "");
    sources.push(`${name} ${path}`);
  }
  return sources.length === 0 ? undefined : { ...pieces, sources };
}

/** Whether nothing is left to be taken from elsewhere. */
export function isComplete(pieces: Pieces): boolean {
  return Object.values(VARIABLES).every((kind) => pieces[kind] !== undefined);
}

/** The root that the pieces make, over another's kinds. Throws TRUSTED_ROOT_INVALID. */
export function assembleRoot(
  base: TrustedRoot | undefined,
  pieces: Pieces,
): { readonly root: TrustedRoot; readonly bytes: Uint8Array } {
  const pick = <K extends "tlogs" | "ctlogs" | "certificateAuthorities" | "timestampAuthorities">(kind: K): TrustedRoot[K] =>
    (pieces[kind] ?? base?.[kind] ?? []) as TrustedRoot[K];
  const bytes = utf8(
    encodeTrustedRoot({
      tlogs: pick("tlogs"),
      ctlogs: pick("ctlogs"),
      certificateAuthorities: pick("certificateAuthorities"),
      timestampAuthorities: pick("timestampAuthorities"),
    }),
  );
  return { root: decodeTrustedRoot(bytes), bytes };
}

/** Every certificate of a PEM file, or the one of a DER file. Throws FILE_UNREADABLE, USAGE, and what decoding throws. */
export async function readCertificates(context: Context, path: string): Promise<readonly Certificate[]> {
  const bytes = await readNamed(context, path);
  const words = Buffer.from(bytes).toString("latin1");
  const blocks = words.includes("-----BEGIN") ? parsePemAll(words, "CERTIFICATE").map(({ der }) => der) : [bytes];
  if (blocks.length === 0) throw new CliError("USAGE", `${path} holds no certificate`);
  return blocks.map(decodeCertificate);
}

/** One authority from a chain in order: its last certificate is the anchor, and lends its window. */
export function authorityOf(
  chain: readonly Certificate[],
  more: Partial<Pick<CertificateAuthority, "uri" | "startMs" | "endMs">> = {},
): CertificateAuthority {
  const anchor = chain.at(-1)!;
  return {
    subject: { organization: "", commonName: "" },
    uri: "",
    chain,
    startMs: anchor.notBeforeMs,
    endMs: anchor.notAfterMs,
    ...more,
  };
}

/** The ways from a root down to each certificate between that signs no other: one authority each, or the root alone. */
function chainsUnder(root: Certificate, between: readonly Certificate[]): readonly CertificateAuthority[] {
  const grow = (chain: readonly Certificate[]): readonly (readonly Certificate[])[] => {
    const children = between.filter((one) => !chain.includes(one) && isIssuedBy(one, chain[0]!));
    return children.length === 0 || chain.length > 8 ? [chain] : children.flatMap((child) => grow([child, ...chain]));
  };
  return grow([root]).map((chain) => authorityOf(chain));
}

/** Roots and what is between, told apart by who signed whom: an own signature makes a root. */
function sortAuthorities(certificates: readonly Certificate[], name: string): readonly CertificateAuthority[] {
  const roots = certificates.filter((one) => isIssuedBy(one, one));
  if (roots.length === 0)
    throw new CliError("USAGE", `${name} names a file without a root certificate`, {
      hint: "It holds the authority's root, and the certificates under it.",
    });
  return roots.flatMap((root) =>
    chainsUnder(
      root,
      certificates.filter((one) => !roots.includes(one)),
    ),
  );
}

function isIssuedBy(child: Certificate, issuer: Certificate): boolean {
  try {
    checkIssuedBy(child, issuer);
    return true;
  } catch (error) {
    if (error instanceof LacreError) return false;
    throw error;
  }
}

async function readLogs(context: Context, path: string, baseUrl: string): Promise<readonly TransparencyLog[]> {
  const bytes = await readNamed(context, path);
  const words = Buffer.from(bytes).toString("latin1");
  const blocks = words.includes("-----BEGIN") ? parsePemAll(words, "PUBLIC KEY").map(({ der }) => der) : [bytes];
  if (blocks.length === 0) throw new CliError("USAGE", `${path} holds no public key`);
  // An address is where a log is reached, and says nothing of its name: it is used only where there is no id without one.
  return blocks.map((spki) => logOf(spki, importPublicKey(spki).type === "Ed25519" ? baseUrl : ""));
}

/** A log from its key. Its id is that of its key, or of name and key where such keys have theirs from both. */
export function logOf(
  spki: Uint8Array,
  baseUrl: string,
  window: { readonly startMs: number; readonly endMs: number | undefined } = { startMs: 0, endMs: undefined },
  origin?: string,
): TransparencyLog {
  const key = importPublicKey(spki);
  const name = origin ?? (URL.canParse(baseUrl) ? new URL(baseUrl).hostname : "");
  const logId = name !== "" && key.type === "Ed25519" ? noteKeyId(name, key) : sha256(key.spki);
  return { baseUrl, name, key, keyDetails: defaultAlgorithm(key).keyDetails, logId, ...window };
}
