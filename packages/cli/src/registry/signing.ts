// SPDX-License-Identifier: Apache-2.0
/**
 * Signing images: a statement that names the digest, sealed and kept beside the image as a referrer; or with
 * `--new-bundle-format=false` (`--registry-referrers-mode legacy`) cosign's older payload and tag.
 *
 * A signature is pushed after it is whole. If pushing fails the seal is lost with it; signing again makes another one,
 * and the ledger then has two.
 */
import { resolve } from "node:path";
import { utf8 } from "@lacre/core/bytes";
import {
  encodeSimpleSigning,
  formatRepository,
  LAYER,
  pushAttached,
  pushBundle,
  type Reference,
  type Registry,
  SIGNATURE_PREDICATE_TYPE,
  splitDigest,
} from "@lacre/core/oci";
import type { Sealed, Sealer } from "@lacre/core/sign";
import type { Context } from "../context.ts";
import { documentTime } from "../document-time.ts";
import { CliError } from "../errors.ts";
import { writeWhole } from "../home.ts";
import { formatSignature, writePieces } from "../pieces.ts";
import { openRegistry, storagePlace } from "../registry.ts";
import { describeSealed, saySealed } from "../sealing.ts";
import { plain } from "../terminal.ts";
import { readNamed } from "../trust.ts";
import type { ImageFlags } from "./flags.ts";
import { type Image, parsePairs, resolveImage, walkImages } from "./images.ts";
import { attachOptions, layerAnnotations, readChain } from "./legacy.ts";

/** Whether signatures shall be stored as cosign before 3 did. Throws UNSUPPORTED_FLAG, USAGE. */
export function isLegacy(flags: {
  readonly newBundleFormat?: boolean | undefined;
  readonly registryReferrersMode?: string | undefined;
  readonly payload?: string | undefined;
}): boolean {
  if (flags.newBundleFormat === false && flags.registryReferrersMode === "oci-1-1") {
    throw new CliError(
      "UNSUPPORTED_FLAG",
      "--new-bundle-format=false with --registry-referrers-mode oci-1-1 cannot be honoured",
      {
        hint: "Leave one of them out: bundles are stored as referrers, the older format by tags.",
      },
    );
  }
  if (flags.newBundleFormat === true && (flags.registryReferrersMode === "legacy" || flags.payload !== undefined))
    throw new CliError("USAGE", "--new-bundle-format contradicts --registry-referrers-mode legacy and --payload");
  return flags.newBundleFormat === false || flags.registryReferrersMode === "legacy" || flags.payload !== undefined;
}

/** Signs images one after the other. */
export async function signImages(
  context: Context,
  flags: ImageFlags,
  images: readonly { readonly name: string; readonly reference: Reference }[],
  open: (legacy: boolean) => Promise<Sealer>,
): Promise<void> {
  const legacy = isLegacy(flags);
  const annotations = parsePairs("--annotations", flags.annotations ?? []);
  if (flags.payload !== undefined && (images.length > 1 || flags.recursive === true))
    throw new CliError("USAGE", "one --payload is for one image");
  const places = images.map(({ reference }) => storagePlace(context, reference));
  const registry = await openRegistry(context, flags, [...images.map(({ reference }) => reference), ...places]);
  // Everything is resolved before anything is signed: what cannot be found is not logged either.
  const resolved: Image[] = [];
  for (const image of images) {
    const root = await resolveImage(context, registry, image);
    if (flags.recursive !== true) resolved.push(root);
    else for await (const one of walkImages(registry, root)) resolved.push(one);
  }
  if (resolved.length > 1 && [flags.bundle, flags.outputSignature, flags.outputPayload, flags.outputCertificate].some(Boolean))
    throw new CliError("USAGE", "several images, and one file for what is written", { hint: "Sign them one by one." });
  const sealer = await open(legacy);
  for (const image of resolved) {
    const { payload, sealed } = legacy
      ? await sealPayload(context, flags, sealer, image, annotations)
      : await sealStatement(sealer, image, annotations);
    if (flags.upload !== false) await store(context, flags, registry, image, { legacy, payload, sealed });
    await writeParts(context, flags, image, { legacy, payload, sealed });
  }
}

interface Signed {
  readonly legacy: boolean;
  readonly payload: Uint8Array;
  readonly sealed: Sealed;
}

/** The statement that stands for a signature in cosign 3: this digest, these annotations, and nothing more. */
async function sealStatement(
  sealer: Sealer,
  { reference }: Image,
  annotations: Readonly<Record<string, string>>,
): Promise<{ payload: Uint8Array; sealed: Sealed }> {
  const { algorithm, hex } = splitDigest(reference.digest);
  const names = Object.keys(annotations).sort();
  const payload = utf8(
    JSON.stringify({
      _type: "https://in-toto.io/Statement/v1",
      subject: [
        {
          digest: { [algorithm]: hex },
          ...(names.length === 0 ? {} : { annotations: Object.fromEntries(names.map((name) => [name, annotations[name]])) }),
        },
      ],
      predicateType: SIGNATURE_PREDICATE_TYPE,
      predicate: {},
    }),
  );
  return { payload, sealed: await sealer.sealEnvelope(payload, "application/vnd.in-toto+json") };
}

async function sealPayload(
  context: Context,
  flags: ImageFlags,
  sealer: Sealer,
  { reference }: Image,
  annotations: Readonly<Record<string, string>>,
): Promise<{ payload: Uint8Array; sealed: Sealed }> {
  const payload =
    flags.payload === undefined
      ? encodeSimpleSigning({
          dockerReference: flags.signContainerIdentity ?? formatRepository(reference),
          digest: reference.digest,
          optional: annotations,
        })
      : await readNamed(context, flags.payload);
  return { payload, sealed: await sealer.sealArtifact([payload]) };
}

async function store(context: Context, flags: ImageFlags, registry: Registry, image: Image, signed: Signed): Promise<void> {
  const { legacy, payload, sealed } = signed;
  const place = storagePlace(context, image.reference);
  if (legacy) {
    const layer = {
      mediaType: LAYER.simpleSigning,
      bytes: payload,
      annotations: layerAnnotations(sealed, await readChain(context, flags)),
    };
    await pushAttached(registry, place, image.reference.digest, "sig", layer, attachOptions(context, flags));
  } else {
    await pushBundle(registry, place, image.descriptor, {
      json: utf8(sealed.json),
      content: "dsse-envelope",
      predicateType: SIGNATURE_PREDICATE_TYPE,
      createdMs: documentTime(context),
    });
  }
  context.terminal.say(`Stored the signature of ${plain(image.name)} in ${plain(formatRepository(place))}`);
}

async function writeParts(context: Context, flags: ImageFlags, image: Image, { legacy, payload, sealed }: Signed): Promise<void> {
  if (flags.bundle !== undefined) await writeWhole(resolve(context.cwd, flags.bundle), sealed.json, 0o644);
  if (flags.outputPayload !== undefined) await writeWhole(resolve(context.cwd, flags.outputPayload), payload, 0o644);
  await writePieces(context, sealed, {
    signature: flags.outputSignature,
    certificate: flags.outputCertificate,
    isBase64: true,
  });
  const report = { ...describeSealed(image.name, flags.bundle, sealed), image: image.reference.digest };
  if (flags.output === "json") context.terminal.result(JSON.stringify(report));
  else saySealed(context, image.name, flags.bundle, sealed);
  // What is neither stored nor written would be lost: it is printed.
  if (flags.upload === false && flags.bundle === undefined && flags.outputSignature === undefined && flags.output !== "json")
    context.terminal.result(legacy ? (formatSignature(sealed, true) as string) : sealed.json);
}
