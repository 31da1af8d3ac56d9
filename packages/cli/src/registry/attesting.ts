// SPDX-License-Identifier: Apache-2.0
/**
 * Statements about images: sealed, and kept beside the image as a referrer, or with `--new-bundle-format=false` as a layer
 * of cosign's older tag. Several images get a statement each; a ready-made one may have several subjects, and is stored
 * beside each image that is named, all of which must be among them.
 */
import { resolve } from "node:path";
import { utf8 } from "@lacre/core/bytes";
import { decodeStatement, STATEMENT_PAYLOAD_TYPE } from "@lacre/core/bundle";
import { fromHex } from "@lacre/core/bytes";
import { LacreError } from "@lacre/core/errors";
import {
  ANNOTATION,
  BUNDLE_ANNOTATION,
  formatRepository,
  LAYER,
  listBundles,
  pushAttached,
  pushBundle,
  readStatementClaims,
  type Registry,
  type Repository,
  removeReferrers,
  splitDigest,
} from "@lacre/core/oci";
import { encodeStatement, type Sealed, type Sealer } from "@lacre/core/sign";
import type { Context } from "../context.ts";
import { documentTime } from "../document-time.ts";
import { CliError } from "../errors.ts";
import { writeWhole } from "../home.ts";
import { formatEnvelope } from "../pieces.ts";
import { encodePredicate, predicateType } from "../predicates.ts";
import { openRegistry, storagePlace } from "../registry.ts";
import { describeSealed, saySealed } from "../sealing.ts";
import { claimStdin } from "../stdin.ts";
import { plain } from "../terminal.ts";
import { readNamed } from "../trust.ts";
import type { AttestFlags } from "./flags.ts";
import { type Image, parseImages, resolveImage, walkImages } from "./images.ts";
import { attachOptions, layerAnnotations, readChain } from "./legacy.ts";
import { isLegacy } from "./signing.ts";

const MAX_STDIN = 256 << 20;

/** States what the flags say about each image. */
export async function attestImages(
  context: Context,
  flags: AttestFlags,
  names: readonly string[],
  open: (legacy: boolean) => Promise<Sealer>,
): Promise<void> {
  if ((flags.predicate === undefined) === (flags.statement === undefined))
    throw new CliError("USAGE", "give either --predicate or --statement");
  const legacy = isLegacy(flags);
  const images = parseImages(names);
  const places = images.map(({ reference }) => storagePlace(context, reference));
  const registry = await openRegistry(context, flags, [...images.map(({ reference }) => reference), ...places]);
  const said = await readAll(context, flags.statement ?? flags.predicate!);
  const type = flags.type ?? "custom";
  const predicate = flags.statement === undefined ? encodePredicate(type, said, context.now()) : undefined;
  const resolved: Image[] = [];
  for (const image of images) {
    const root = await resolveImage(context, registry, image);
    if (flags.recursive !== true) resolved.push(root);
    else for await (const one of walkImages(registry, root)) resolved.push(one);
  }
  if (resolved.length > 1 && flags.bundle !== undefined)
    throw new CliError("USAGE", "several images, and one file for what is written", { hint: "Attest them one by one." });
  const payloads = resolved.map((image) =>
    predicate === undefined ? checkStatement(said, image) : makeStatement(image, predicateType(type), predicate),
  );
  const sealer = await open(legacy);
  // A ready-made statement is the same for all images: it is signed and logged once.
  let ready: Sealed | undefined;
  for (const [i, image] of resolved.entries()) {
    const sealed: Sealed = ready ?? (await sealer.sealEnvelope(payloads[i]!, STATEMENT_PAYLOAD_TYPE));
    if (flags.statement !== undefined) ready = sealed;
    const { predicateType: stated } = decodeStatement(payloads[i]!);
    if (flags.noUpload !== true) await store(context, flags, registry, image, legacy, sealed, stated);
    if (flags.bundle !== undefined) await writeWhole(resolve(context.cwd, flags.bundle), sealed.json, 0o644);
    if (flags.output === "json") {
      const report = {
        ...describeSealed(image.name, flags.bundle, sealed),
        image: image.reference.digest,
        predicateType: stated,
      };
      context.terminal.result(JSON.stringify(report));
    } else saySealed(context, image.name, flags.bundle, sealed);
    if (flags.noUpload === true && flags.bundle === undefined && flags.output !== "json")
      context.terminal.result(legacy ? formatEnvelope(sealed) : sealed.json);
  }
}

async function readAll(context: Context, path: string): Promise<Uint8Array> {
  if (path !== "-") return readNamed(context, path);
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of claimStdin(context, "the predicate")) {
    length += chunk.length;
    if (length > MAX_STDIN) throw new CliError("FILE_UNREADABLE", "standard input is larger than any predicate");
    parts.push(chunk);
  }
  return Buffer.concat(parts);
}

function makeStatement({ reference }: Image, type: string, predicate: Parameters<typeof encodeStatement>[2]): Uint8Array {
  const { algorithm, hex } = splitDigest(reference.digest);
  return encodeStatement([{ name: formatRepository(reference), digest: { algorithm, value: fromHex(hex) } }], type, predicate);
}

/** A ready-made statement, if it is about the image: one about something else would never verify. Throws USAGE. */
function checkStatement(statement: Uint8Array, { name, reference }: Image): Uint8Array {
  try {
    readStatementClaims(statement, reference.digest);
    return statement;
  } catch (cause) {
    if (!(cause instanceof LacreError)) throw cause;
    throw new CliError("USAGE", `--statement is not about ${plain(name)} (${reference.digest}): ${cause.message}`, {
      hint: "The image's digest must be that of one of the statement's subjects.",
      cause,
    });
  }
}

async function store(
  context: Context,
  flags: AttestFlags,
  registry: Registry,
  image: Image,
  legacy: boolean,
  sealed: Sealed,
  stated: string,
): Promise<void> {
  const place = storagePlace(context, image.reference);
  const { digest } = image.reference;
  if (legacy) {
    const annotations = { ...layerAnnotations(sealed, await readChain(context, flags)), [ANNOTATION.predicateType]: stated };
    await pushAttached(
      registry,
      place,
      digest,
      "att",
      { mediaType: LAYER.envelope, bytes: utf8(formatEnvelope(sealed)), annotations },
      {
        ...attachOptions(context, flags),
        ...(flags.replace === true ? { replaces: (layer) => layer.annotations?.[ANNOTATION.predicateType] === stated } : {}),
      },
    );
  } else {
    const before = flags.replace === true ? await listBundles(registry, place, digest) : [];
    const stored = await pushBundle(registry, place, image.descriptor, {
      json: utf8(sealed.json),
      content: "dsse-envelope",
      predicateType: stated,
      createdMs: documentTime(context),
    });
    // The new one is there before the old ones go.
    const old = before
      .filter(({ annotations }) => annotations[BUNDLE_ANNOTATION.predicateType] === stated)
      .map(({ manifest }) => manifest.digest)
      .filter((one) => one !== stored.digest);
    if (old.length > 0) await removeOld(context, registry, place, digest, old);
  }
  context.terminal.say(`Stored the attestation about ${plain(image.name)} in ${plain(formatRepository(place))}`);
}

/** Takes away what was replaced. Many registries forbid to delete: what no list names any more is gone all the same. */
async function removeOld(
  context: Context,
  registry: Registry,
  place: Repository,
  digest: string,
  old: readonly string[],
): Promise<void> {
  const isUnlisted = await removeReferrers(registry, place, digest, old);
  for (const one of old) {
    try {
      await registry.deleteManifest({ ...place, digest: one });
    } catch (error) {
      if (!(error instanceof LacreError) || (error.code !== "REGISTRY_REFUSED" && error.code !== "REGISTRY_DENIED")) throw error;
      if (!isUnlisted)
        context.terminal.warn(`the new attestation is stored, and the old one is still there too: ${plain(error.message)}`);
    }
  }
}
