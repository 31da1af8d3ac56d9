// SPDX-License-Identifier: Apache-2.0
/**
 * The parts of a seal in files of their own, and the bundle of cosign before 3, for scripts that still read them:
 *
 *     --output-signature       base64 (raw with --b64=false); of a statement, the whole DSSE envelope
 *     --output-attestation     the statement that was signed
 *     --output-certificate     PEM; base64 of the PEM, as cosign has it, unless --b64=false
 *     --rfc3161-timestamp      {"SignedRFC3161Timestamp": base64}
 *     --new-bundle-format=false   {"base64Signature", "cert", "rekorBundle": {"SignedEntryTimestamp", "Payload"}}
 */
import { resolve } from "node:path";
import { encodeLegacyPromise } from "@lacre/core/bundle";
import { formatLoggedEnvelope } from "@lacre/core/client";
import { formatPem } from "@lacre/core/codec";
import { toBase64 } from "@lacre/core/bytes";
import type { Sealed } from "@lacre/core/sign";
import type { Context } from "./context.ts";
import { CliError } from "./errors.ts";
import { writeWhole } from "./home.ts";

/** Which parts go where. */
export interface Pieces {
  readonly signature?: string | undefined;
  readonly certificate?: string | undefined;
  readonly attestation?: string | undefined;
  readonly timestamp?: string | undefined;
  readonly isBase64: boolean;
}

/** Writes the parts that are asked for. What the seal does not have is said, not passed over. */
export async function writePieces(context: Context, sealed: Sealed, pieces: Pieces): Promise<void> {
  const put = async (path: string | undefined, content: string | Uint8Array): Promise<void> => {
    if (path !== undefined) await writeWhole(resolve(context.cwd, path), content, 0o644);
  };
  const { content, key, timestamps } = sealed.bundle;
  await put(pieces.signature, content.kind === "dsse" ? formatEnvelope(sealed) : formatSignature(sealed, pieces.isBase64));
  if (content.kind === "dsse") await put(pieces.attestation, content.payload);
  if (pieces.certificate !== undefined) {
    if (key.kind !== "certificate")
      context.terminal.warn("--output-certificate: a bare key has no certificate, and none was written");
    else {
      const pem = formatPem("CERTIFICATE", key.chain[0]!);
      await put(pieces.certificate, pieces.isBase64 ? toBase64(Buffer.from(pem)) : pem);
    }
  }
  if (pieces.timestamp !== undefined) {
    const [first] = timestamps;
    if (first === undefined) {
      throw new CliError("SERVICES_MISSING", "a timestamp was asked for, and no timestamp authority is in use", {
        hint: "Give --timestamp-server-url, or a signing config that names one.",
      });
    }
    await put(pieces.timestamp, JSON.stringify({ SignedRFC3161Timestamp: toBase64(first) }));
  }
}

/** The signature as cosign prints it. */
export function formatSignature({ bundle }: Sealed, isBase64: boolean): string | Uint8Array {
  return isBase64 ? toBase64(bundle.content.signature) : bundle.content.signature;
}

/** The DSSE envelope of a statement's seal, as the ledger was shown it. */
export function formatEnvelope({ bundle }: Sealed): string {
  const { content } = bundle;
  if (content.kind !== "dsse") throw new TypeError("no envelope");
  return formatLoggedEnvelope(content);
}

/** A seal as cosign wrote it before the bundle format. Throws UNSUPPORTED_FLAG for a ledger entry that it has no room for. */
export function formatOldBundle(sealed: Sealed): string {
  const { content, key } = sealed.bundle;
  const promise = promiseOf(sealed);
  return JSON.stringify({
    base64Signature: toBase64(content.kind === "dsse" ? Buffer.from(formatEnvelope(sealed)) : content.signature),
    ...(key.kind === "certificate" ? { cert: toBase64(Buffer.from(formatPem("CERTIFICATE", key.chain[0]!))) } : {}),
    ...(promise === undefined ? {} : { rekorBundle: JSON.parse(promise) as object }),
  });
}

/**
 * The ledger's promise in cosign's old form; undefined when nothing was logged. Throws UNSUPPORTED_FLAG for an entry that
 * the form has no room for.
 */
export function promiseOf({ bundle: { logEntries } }: Sealed): string | undefined {
  const [entry] = logEntries;
  if (entry === undefined) return undefined;
  const promise = logEntries.length > 1 ? undefined : encodeLegacyPromise(entry);
  if (promise === undefined) {
    throw new CliError("UNSUPPORTED_FLAG", "the old format has no room for this ledger's entry", {
      hint: "Use a ledger of interface version 1 (--rekor-url URL --rekor-version 1), or the new format.",
    });
  }
  return promise;
}
