// SPDX-License-Identifier: Apache-2.0
import { text as decodeText, toBase64 } from "@lacre/core/bytes";
import { parsePemAll, type Json } from "@lacre/core/codec";
import type { LegacySignature } from "@lacre/core/bundle";
import { CliError } from "../../errors.ts";
import { openImage } from "../../images/open.ts";
import { findSeals, type StoredSeal } from "../../images/seals.ts";
import { attachmentLimit, REGISTRY_FLAGS } from "../../registry.ts";
import { applyGlobals, GLOBAL_FLAGS } from "../../globals.ts";
import { defineVerb, text, toggle, type Verb } from "../../verb.ts";

export const verb: Verb = defineVerb({
  brief: "Print an image's signatures, unverified",
  details: `One a line: bundles as they are, older signatures as cosign prints them. Nothing is verified: lacre verify does that.`,
  isCosign: true,
  flags: {
    ...REGISTRY_FLAGS,
    attachmentTagPrefix: text("What tags of cosign 2 begin with", { placeholder: "text" }),
    localImage: toggle("The image is an OCI layout (a folder) or an archive"),
    ...GLOBAL_FLAGS,
  },
  operands: { name: "IMAGE", brief: "registry/repository:tag, …@sha256:DIGEST, oci-layout:DIR", maximum: 1 },
  async run(given, flags, operands) {
    const context = applyGlobals(given, flags);
    const image = await openImage(context, flags, operands[0]!);
    const seals = await findSeals(
      { registry: image.registry, place: image.storage, digest: image.root.descriptor.digest },
      "signature",
      { maxBytes: attachmentLimit(context), prefix: flags.attachmentTagPrefix },
    );
    if (seals.length === 0) throw new CliError("IMAGE_UNSIGNED", `${operands[0]!} has no signatures`);
    for (const seal of seals) context.terminal.result(formatStored(seal));
  },
});

function formatStored(stored: StoredSeal): string {
  if (stored.seal instanceof Uint8Array) return oneLine(stored.seal);
  const { content, certificate, chain, rekorBundle, timestamp } = stored.seal;
  const json = (part: LegacySignature["timestamp"]): Json => (typeof part === "string" ? (JSON.parse(part) as Json) : null);
  const record: Json = {
    Base64Signature: content.kind === "message" && typeof content.signature === "string" ? content.signature : "",
    Payload: toBase64(stored.payload ?? new Uint8Array()),
    Cert: certificates(certificate)[0] ?? null,
    Chain: chain === undefined ? null : certificates(chain),
    Bundle: json(rekorBundle),
    RFC3161Timestamp: json(timestamp),
  };
  return JSON.stringify(record);
}

/** Certificates as their octets: what cosign prints besides is its reading of them. */
function certificates(pem: LegacySignature["chain"]): readonly Json[] {
  if (pem === undefined) return [];
  const written = typeof pem === "string" ? pem : decodeText(pem);
  return parsePemAll(written).map(({ der }) => ({ Raw: toBase64(der) }));
}

function oneLine(bytes: Uint8Array): string {
  const written = decodeText(bytes).trim();
  // A bundle written over several lines is still one; its strings hold no line ends.
  return written.includes("\n") ? JSON.stringify(JSON.parse(written)) : written;
}
