// SPDX-License-Identifier: Apache-2.0
/** A seal in the form in which cosign before 3 stores it: what vouches for a layer stands in the layer's annotations. */
import { toBase64 } from "@lacre/core/bytes";
import { formatPem } from "@lacre/core/codec";
import { ANNOTATION, type AttachOptions } from "@lacre/core/oci";
import type { Sealed } from "@lacre/core/sign";
import type { Context } from "../context.ts";
import { documentTime } from "../document-time.ts";
import { promiseOf } from "../pieces.ts";
import { readNamed } from "../trust.ts";

/**
 * The annotations of a layer that this seal vouches for. `chain`: authorities of a certificate of one's own, PEM. Throws
 * UNSUPPORTED_FLAG for a ledger entry without a promise.
 */
export function layerAnnotations(sealed: Sealed, chain = ""): Readonly<Record<string, string>> {
  const { content, key, timestamps } = sealed.bundle;
  const promise = promiseOf(sealed);
  const [timestamp] = timestamps;
  return {
    // The signatures of an envelope are in it.
    [ANNOTATION.signature]: content.kind === "dsse" ? "" : toBase64(content.signature),
    ...(key.kind === "certificate"
      ? { [ANNOTATION.certificate]: formatPem("CERTIFICATE", key.chain[0]!), [ANNOTATION.chain]: chain }
      : {}),
    ...(promise === undefined ? {} : { [ANNOTATION.bundle]: promise }),
    ...(timestamp === undefined
      ? {}
      : { [ANNOTATION.timestamp]: JSON.stringify({ SignedRFC3161Timestamp: toBase64(timestamp) }) }),
  };
}

/** The chain that `--certificate-chain` names, as text. */
export async function readChain(
  context: Context,
  flags: { readonly certificateChain?: string | undefined },
): Promise<string | undefined> {
  const path = flags.certificateChain ?? "";
  return path === "" ? undefined : Buffer.from(await readNamed(context, path)).toString("utf8");
}

/** How layers are attached, by flags and environment. */
export function attachOptions(
  context: Context,
  flags: { readonly attachmentTagPrefix?: string | undefined; readonly recordCreationTimestamp?: boolean | undefined },
): AttachOptions {
  const docker = context.env["COSIGN_DOCKER_MEDIA_TYPES"] ?? "";
  return {
    prefix: flags.attachmentTagPrefix ?? "",
    dockerTypes: docker !== "" && docker !== "0" && docker !== "false",
    createdMs: flags.recordCreationTimestamp === true ? documentTime(context) : undefined,
  };
}
