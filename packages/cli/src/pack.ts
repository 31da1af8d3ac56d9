// SPDX-License-Identifier: Apache-2.0
/**
 * Trust packs: everything that a site without a network needs to verify, in one sealed file (docs/formats/trust-pack.md).
 *
 * A pack is a bundle like any other. Its payload, of type `application/vnd.lacre.trust-pack.v1+json`, holds a trusted root,
 * what is revoked, and until when all of it may be used. It is sealed with a key, or by an identity that the verifier already
 * trusts by other means; nothing in it is looked at before its seal has been verified, and nothing of an expired pack is
 * used.
 */
import { toHex, utf8 } from "@lacre/core/bytes";
import { JsonObject, parseJson } from "@lacre/core/codec";
import { sha256 } from "@lacre/core/crypto";
import { decodeTrustedRoot, formatTime, parseTime, readRevocations, readTrustedRoot, type TrustedRoot } from "@lacre/core/trust";
import { createVerifier, decidingCheck, type Policy } from "@lacre/core/verify";
import type { Context } from "./context.ts";
import { CliError } from "./errors.ts";
import { digestOf } from "./home.ts";
import { readPublicKey } from "./keys.ts";
import { plain } from "./terminal.ts";
import { readNamed } from "./named.ts";
import type { Chosen, TrustFlags } from "./trust-flags.ts";

/** The payload's type in the envelope. */
export const PACK_TYPE = "application/vnd.lacre.trust-pack.v1+json";

/** What a pack says, its seal verified. */
export interface Pack {
  readonly name: string;
  readonly issuedMs: number;
  readonly expiresMs: number;
  readonly root: TrustedRoot;
}

export interface PackFacts {
  readonly name: string;
  readonly issuedMs: number;
  readonly expiresMs: number;
  /** The JSON text of a trusted root. */
  readonly trustedRoot: string;
  /** As docs/formats/trust-pack.md has them. */
  readonly revocations: object;
}

/** The payload to seal. Throws what reading it again throws. */
export function encodePack({ name, issuedMs, expiresMs, trustedRoot, revocations }: PackFacts): Uint8Array {
  const payload = utf8(
    JSON.stringify({
      mediaType: PACK_TYPE,
      name,
      issued: formatTime(issuedMs),
      expires: formatTime(expiresMs),
      trustedRoot: JSON.parse(trustedRoot) as unknown,
      revocations,
    }),
  );
  decodePack(payload);
  return payload;
}

/** Reads a payload. Nothing is known yet of who sealed it. Throws BAD_JSON, TRUSTED_ROOT_INVALID and their kin. */
export function decodePack(payload: Uint8Array): Pack {
  const document = new JsonObject(parseJson(payload), "trust pack");
  const mediaType = document.string("mediaType");
  if (mediaType !== PACK_TYPE)
    throw new CliError("PACK_REFUSED", `the trust pack is of a version that is not known: ${plain(mediaType).slice(0, 80)}`);
  const pack = {
    name: document.string("name"),
    issuedMs: parseTime(document.string("issued")),
    expiresMs: parseTime(document.string("expires")),
    root: { ...readTrustedRoot(document.object("trustedRoot")), revocations: readRevocations(document.object("revocations")) },
  };
  const [unknown] = document.unread();
  // A member that we do not know could restrict what we do.
  if (unknown !== undefined)
    throw new CliError("PACK_REFUSED", `the trust pack has a member that is not known: ${plain(unknown).slice(0, 60)}`);
  return pack;
}

/** How the trust that applies without a pack is found. */
type FindRoot = (context: Context, flags: TrustFlags) => Promise<Chosen<TrustedRoot>>;

/**
 * The root of the pack that the flags name. Its document does not hold the revocations, so it is not handed on as bytes.
 * Throws USAGE, PACK_REFUSED, PACK_EXPIRED.
 */
export async function openPack(context: Context, flags: TrustFlags, findRoot: FindRoot): Promise<Chosen<TrustedRoot>> {
  const path = flags.trustPack!;
  if (flags.trustedRoot !== undefined)
    throw new CliError("USAGE", "--trust-pack and --trusted-root are two ways to say whom to trust");
  const bytes = await readNamed(context, path);
  const pack = decodePack(await openSeal(context, flags, bytes, findRoot));
  const nowMs = context.now();
  if (nowMs > pack.expiresMs) {
    throw new CliError("PACK_EXPIRED", `the trust pack ${plain(pack.name)} expired on ${formatTime(pack.expiresMs)}`);
  }
  // A clock that was set back must not bring an old pack back to life.
  if (nowMs < pack.issuedMs - 86_400_000)
    throw new CliError(
      "PACK_REFUSED",
      `the trust pack is from ${formatTime(pack.issuedMs)}, and this machine's clock says ${formatTime(nowMs)}`,
    );
  const source = {
    source: `${path} (${plain(pack.name)}, until ${formatTime(pack.expiresMs)})`,
    reason: "--trust-pack",
    digest: digestOf(bytes),
  };
  return { value: pack.root, source, isLocal: false };
}

/** The payload, its seal verified with the key or for the identity of the flags. */
async function openSeal(context: Context, flags: TrustFlags, bundle: Uint8Array, findRoot: FindRoot): Promise<Uint8Array> {
  const { trustPackKey, trustPackIdentity, trustPackIssuer } = flags;
  const byIdentity = trustPackIdentity !== undefined && trustPackIssuer !== undefined;
  if (
    (trustPackKey === undefined) === !byIdentity ||
    (trustPackKey !== undefined && (trustPackIdentity ?? trustPackIssuer) !== undefined)
  ) {
    throw new CliError("USAGE", "it is not said who must have sealed the trust pack", {
      hint: "Give --trust-pack-key FILE, or --trust-pack-identity and --trust-pack-issuer.",
    });
  }
  const common: Policy = { checkClaims: false, payloadTypes: [PACK_TYPE] };
  const question = { bundle, artifact: undefined, nowMs: context.now() };
  const verdict =
    trustPackKey !== undefined
      ? createVerifier({}).verify({
          ...question,
          key: await readPublicKey(context, trustPackKey, { offline: flags.offline }),
          policy: { ...common, ignoreTlog: true, allowCurrentTime: true },
        })
      : createVerifier({
          trustedRoot: (
            await findRoot(context, {
              ...flags,
              trustPack: undefined,
              trustPackIdentity: undefined,
              trustPackIssuer: undefined,
            })
          ).value,
        }).verify({
          ...question,
          policy: { ...common, identities: [{ identity: { exact: trustPackIdentity! }, issuer: { exact: trustPackIssuer! } }] },
        });
  if (verdict.outcome !== "verified" || verdict.payload === undefined) {
    const check = decidingCheck(verdict);
    throw new CliError(
      "PACK_REFUSED",
      `the trust pack's seal does not verify: ${check?.id ?? "?"}, ${check?.message ?? "unknown reason"}`,
    );
  }
  return Buffer.from(verdict.payload, "base64");
}

/** A serial, an identity, a key or an entry as a flag names it. Throws USAGE. */
export function describeRevocation(kind: "certificate" | "identity" | "entry", given: string): object {
  if (kind === "certificate") {
    const serial = given.replaceAll(":", "").toLowerCase();
    if (!/^[0-9a-f]+$/.test(serial))
      throw new CliError("USAGE", `--revoke-certificate is no serial number in hexadecimal: ${plain(given).slice(0, 80)}`);
    return { serial: serial.padStart(serial.length + (serial.length % 2), "0") };
  }
  if (kind === "identity") {
    const [identity, issuer] = given.split(",issuer=") as [string, string | undefined];
    return { identity, ...(issuer === undefined ? {} : { issuer }) };
  }
  const match = /^([0-9a-fA-F]{8,}):(\d+)$/.exec(given);
  if (match === null) throw new CliError("USAGE", `--revoke-entry is LOGID:INDEX, not ${JSON.stringify(given.slice(0, 80))}`);
  return { logId: match[1]!.toLowerCase(), index: match[2]! };
}

/** A key to revoke: its file. */
export async function describeRevokedKey(context: Context, reference: string): Promise<object> {
  const { spki } = await readPublicKey(context, reference, {});
  return { sha256: toHex(sha256(spki)) };
}

/** The root document that goes into a pack: read once, so that what cannot be read is not packed. */
export function checkRoot(bytes: Uint8Array): string {
  decodeTrustedRoot(bytes);
  return Buffer.from(bytes).toString("utf8");
}
