// SPDX-License-Identifier: Apache-2.0
/**
 * Material that was made elsewhere, attached to an image in cosign's places. Nothing is signed here, and nothing verified:
 * what can be seen at once to be about something else, or of another kind, is refused, because it would never verify.
 */
import { decodeBundle, decodeStatement, encodeLegacyPromise, STATEMENT_PAYLOAD_TYPE } from "@lacre/core/bundle";
import { fromBase64, text, toBase64, utf8 } from "@lacre/core/bytes";
import { decodeEntryMap } from "@lacre/core/client";
import { formatPem, JsonObject, parseJson, parsePem } from "@lacre/core/codec";
import { LacreError } from "@lacre/core/errors";
import {
  ANNOTATION,
  decodeSimpleSigning,
  formatRepository,
  LAYER,
  type NewLayer,
  pushAttached,
  pushBundle,
  readStatementClaims,
  type Registry,
} from "@lacre/core/oci";
import type { Context } from "../context.ts";
import { documentTime } from "../document-time.ts";
import { CliError } from "../errors.ts";
import { openRegistry, type RegistryFlags, storagePlace } from "../registry.ts";
import { claimStdin } from "../stdin.ts";
import { plain } from "../terminal.ts";
import { readNamed } from "../trust.ts";
import { type Image, parseImages, resolveImage } from "./images.ts";
import { attachOptions } from "./legacy.ts";

/** An image to attach to, and its registry. */
export interface Target {
  readonly registry: Registry;
  readonly image: Image;
}

/** Finds the image that something is to be attached to. */
export async function openTarget(context: Context, flags: RegistryFlags, name: string): Promise<Target> {
  const [image] = parseImages([name]);
  const registry = await openRegistry(context, flags, [image!.reference, storagePlace(context, image!.reference)]);
  return { registry, image: await resolveImage(context, registry, image!) };
}

/** The parts of a signature of cosign's older form. */
export interface SignatureParts {
  readonly payload: string;
  readonly signature: string;
  readonly certificate?: string | undefined;
  readonly certificateChain?: string | undefined;
  readonly rekorResponse?: string | undefined;
  readonly tsr?: string | undefined;
}

/** Attaches a signature by cosign's older tag. */
export async function attachSignature(
  context: Context,
  { registry, image }: Target,
  parts: SignatureParts,
  flags: { readonly attachmentTagPrefix?: string | undefined },
): Promise<void> {
  const read = async (path: string | undefined): Promise<Uint8Array | undefined> =>
    path === undefined ? undefined : readInput(context, path, "the signature");
  const payload = await readNamed(context, parts.payload);
  checkPayload(payload, image);
  const certificate = await read(parts.certificate);
  const chain = await read(parts.certificateChain);
  const promise = await read(parts.rekorResponse);
  const timestamp = await read(parts.tsr);
  const layer: NewLayer = {
    mediaType: LAYER.simpleSigning,
    bytes: payload,
    annotations: {
      [ANNOTATION.signature]: base64Of((await read(parts.signature))!),
      ...(promise === undefined ? {} : { [ANNOTATION.bundle]: formatPromise(promise) }),
      ...(certificate === undefined ? {} : { [ANNOTATION.certificate]: pemOf(certificate, "--certificate") }),
      ...(certificate === undefined && chain === undefined
        ? {}
        : { [ANNOTATION.chain]: chain === undefined ? "" : pemOf(chain, "--certificate-chain") }),
      ...(timestamp === undefined ? {} : { [ANNOTATION.timestamp]: formatTimestamp(timestamp) }),
    },
  };
  const place = storagePlace(context, image.reference);
  const tag = await pushAttached(registry, place, image.reference.digest, "sig", layer, attachOptions(context, flags));
  context.terminal.say(`Attached the signature to ${plain(image.name)} as ${plain(formatRepository(place))}:${tag}`);
}

/** Attaches envelopes by cosign's older tag, and bundles as referrers. A file may hold several, one a line. */
export async function attachAttestations(
  context: Context,
  { registry, image }: Target,
  files: readonly string[],
  flags: { readonly attachmentTagPrefix?: string | undefined },
): Promise<void> {
  const place = storagePlace(context, image.reference);
  const { digest } = image.reference;
  // Everything is read before anything is attached.
  const documents = (await Promise.all(files.map(async (file) => splitDocuments(file, await readNamed(context, file))))).flat();
  const ready = documents.map((document) => readAttestation(document.file, document.bytes, image));
  for (const { kind, bytes, predicateType } of ready) {
    if (kind === "bundle") {
      await pushBundle(registry, place, image.descriptor, {
        json: bytes,
        content: "dsse-envelope",
        predicateType,
        createdMs: documentTime(context),
      });
    } else {
      const layer = { mediaType: LAYER.envelope, bytes, annotations: { [ANNOTATION.signature]: "" } };
      await pushAttached(registry, place, digest, "att", layer, attachOptions(context, flags));
    }
    context.terminal.say(
      `Attached the attestation (${plain(predicateType)}) to ${plain(image.name)} in ${plain(formatRepository(place))}`,
    );
  }
}

/** Attaches a bill of materials, unsigned, by cosign's tag. */
export async function attachSbom(
  context: Context,
  { registry, image }: Target,
  sbom: { readonly bytes: Uint8Array; readonly mediaType: string },
  flags: { readonly attachmentTagPrefix?: string | undefined },
): Promise<void> {
  const place = storagePlace(context, image.reference);
  const options = { ...attachOptions(context, flags), replaces: () => true };
  const tag = await pushAttached(registry, place, image.reference.digest, "sbom", sbom, options);
  context.terminal.say(
    `Attached the SBOM to ${plain(image.name)} as ${plain(formatRepository(place))}:${tag} (${sbom.mediaType})`,
  );
}

/** A file, or standard input for `-`. */
export async function readInput(context: Context, path: string, purpose: string): Promise<Uint8Array> {
  if (path !== "-") return readNamed(context, path);
  const parts: Uint8Array[] = [];
  for await (const chunk of claimStdin(context, purpose)) parts.push(chunk);
  return Buffer.concat(parts);
}

function checkPayload(payload: Uint8Array, { name, reference }: Image): void {
  let digest: string;
  try {
    ({ digest } = decodeSimpleSigning(payload));
  } catch (cause) {
    if (!(cause instanceof LacreError)) throw cause;
    throw new CliError("USAGE", `--payload is no payload of an image signature: ${cause.message}`, {
      hint: "lacre generate IMAGE makes one.",
      cause,
    });
  }
  if (digest !== reference.digest)
    throw new CliError("USAGE", `--payload is about ${digest}, and ${plain(name)} is ${reference.digest}`, {
      hint: "Attach it to the image that it is about.",
    });
}

/** A signature in base64, whichever way the file has it. */
function base64Of(bytes: Uint8Array): string {
  try {
    const written = text(bytes).replaceAll(/\s/g, "");
    if (written !== "") return toBase64(fromBase64(written));
  } catch (cause) {
    if (!(cause instanceof LacreError)) throw cause;
  }
  if (bytes.length === 0) throw new CliError("USAGE", "--signature is empty");
  return toBase64(bytes);
}

function pemOf(bytes: Uint8Array, flag: string): string {
  const pem = Buffer.from(bytes).toString("utf8");
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  if (blocks.length === 0) throw new CliError("USAGE", `${flag} holds no certificate in PEM`);
  return blocks.map((block) => formatPem("CERTIFICATE", parsePem(block, "CERTIFICATE"))).join("");
}

/** The ledger's promise in cosign's form, from that form or from the ledger's own answer. */
function formatPromise(bytes: Uint8Array): string {
  try {
    const json = new JsonObject(parseJson(bytes), "rekor-response");
    if (json.has("SignedEntryTimestamp")) {
      json.bytes("SignedEntryTimestamp");
      json.object("Payload").string("body");
      return Buffer.from(bytes).toString("utf8").trim();
    }
    const promise = encodeLegacyPromise(decodeEntryMap(bytes));
    if (promise === undefined) throw new LacreError("BAD_JSON", "the entry holds no promise of the ledger");
    return promise;
  } catch (cause) {
    if (!(cause instanceof LacreError)) throw cause;
    throw new CliError("USAGE", `--rekor-response is neither cosign's bundle nor a ledger's answer: ${cause.message}`, { cause });
  }
}

function formatTimestamp(bytes: Uint8Array): string {
  try {
    new JsonObject(parseJson(bytes), "tsr").bytes("SignedRFC3161Timestamp");
    return Buffer.from(bytes).toString("utf8").trim();
  } catch (cause) {
    if (!(cause instanceof LacreError)) throw cause;
    // A response as the authority sent it is DER: a sequence.
    if (bytes[0] === 0x30) return JSON.stringify({ SignedRFC3161Timestamp: toBase64(bytes) });
    throw new CliError("USAGE", "--tsr is neither cosign's JSON nor a timestamp response", { cause });
  }
}

interface Document {
  readonly file: string;
  readonly bytes: Uint8Array;
}

function splitDocuments(file: string, bytes: Uint8Array): readonly Document[] {
  try {
    parseJson(bytes);
    return [{ file, bytes }];
  } catch (cause) {
    if (!(cause instanceof LacreError)) throw cause;
    const lines = Buffer.from(bytes)
      .toString("utf8")
      .split("\n")
      .filter((line) => line.trim() !== "");
    if (lines.length < 2) throw new CliError("USAGE", `${plain(file)} is not JSON: ${cause.message}`, { cause });
    return lines.map((line) => ({ file, bytes: utf8(line) }));
  }
}

function readAttestation(
  file: string,
  bytes: Uint8Array,
  { name, reference }: Image,
): { readonly kind: "bundle" | "envelope"; readonly bytes: Uint8Array; readonly predicateType: string } {
  try {
    const json = new JsonObject(parseJson(bytes), "attestation");
    const isBundle = json.has("mediaType", "media_type");
    const payload = isBundle ? payloadOfBundle(bytes) : payloadOfEnvelope(json);
    readStatementClaims(payload, reference.digest);
    return { kind: isBundle ? "bundle" : "envelope", bytes, predicateType: decodeStatement(payload).predicateType };
  } catch (cause) {
    if (!(cause instanceof LacreError)) throw cause;
    throw new CliError("USAGE", `${plain(file)} is no attestation about ${plain(name)} (${reference.digest}): ${cause.message}`, {
      hint: "An envelope or a bundle with an in-toto statement that has the image's digest among its subjects.",
      cause,
    });
  }
}

function payloadOfBundle(bytes: Uint8Array): Uint8Array {
  const { content } = decodeBundle(bytes);
  if (content.kind === "dsse") return content.payload;
  throw new LacreError("BUNDLE_SHAPE", "the bundle signs a message and holds no statement");
}

function payloadOfEnvelope(envelope: JsonObject): Uint8Array {
  const type = envelope.string("payloadType");
  if (type !== STATEMENT_PAYLOAD_TYPE)
    throw new LacreError("STATEMENT_INVALID", "the envelope holds no statement", {
      expected: STATEMENT_PAYLOAD_TYPE,
      found: type,
    });
  if (envelope.objects(100, "signatures").length === 0)
    throw new LacreError("STATEMENT_INVALID", "the envelope has no signature");
  return envelope.looseBytes("payload");
}
