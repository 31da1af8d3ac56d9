// SPDX-License-Identifier: Apache-2.0
/**
 * Images in a tar: an OCI layout (`oci-archive`, `docker save` since Docker 25) or Docker's older form, or both at once.
 *
 * The archive is read once from end to end and never unpacked: every entry is hashed, small ones are kept. What counts is
 * the digest of what is there, not what an entry is called. An archive that two readers could read differently is refused:
 * two entries of one name, names that climb, entries that are neither files nor folders nor links within the archive.
 *
 * Docker's older form keeps no manifest:
 *
 *     manifest.json   [{"Config": "<hex>.json", "RepoTags": [text], "Layers": ["<id>/layer.tar"]}]
 *
 * A signature names a manifest, so that form alone proves nothing; with the signed manifest at hand it does, because the
 * manifest names the configuration by digest, and the configuration the layers, uncompressed, by theirs (`diff_ids`).
 */
import { once } from "node:events";
import { createReadStream } from "node:fs";
import { JsonObject, parseJson } from "@lacre/core/codec";
import { createHasher } from "@lacre/core/crypto";
import { toHex } from "@lacre/core/bytes";
import { LacreError } from "@lacre/core/errors";
import { isDigest, type Manifest } from "@lacre/core/oci";
import type { Parser, ReadEntry } from "tar";
import { fileError } from "../errors.ts";
import { checkLayoutVersion } from "./layout.ts";
import { type BlobStore, decodeLayoutIndex, MAX_SMALL_BYTES } from "./local.ts";

/** One entry of the archive, as it was found. */
interface Piece {
  readonly digest: string;
  readonly size: number;
  readonly bytes: Uint8Array | undefined;
}

/** An image of Docker's older form. */
export interface DockerImage {
  readonly tags: readonly string[];
  readonly config: Uint8Array;
  readonly configDigest: string;
  /** As stored, mostly uncompressed. */
  readonly layers: readonly { readonly digest: string; readonly size: number }[];
}

/** What an archive holds. */
export interface Archive {
  readonly name: string;
  /** Its OCI layout. */
  readonly store: BlobStore | undefined;
  /** Its images in Docker's form. */
  readonly docker: readonly DockerImage[];
}

const MAX_ENTRIES = 100_000;
const MAX_KEPT_BYTES = 64 << 20;
const MAX_LINKS = 8;
const FILES: readonly string[] = ["File", "OldFile", "ContiguousFile"];
const BLOB = /^blobs\/(sha256|sha512)\/([0-9a-f]+)$/;

function invalid(name: string, message: string, found?: string): LacreError {
  return new LacreError("MANIFEST_INVALID", `${name} ${message}`, found === undefined ? {} : { found: found.slice(0, 200) });
}

class Scan {
  readonly name: string;
  readonly pieces = new Map<string, Piece>();
  readonly #links = new Map<string, string>();
  readonly #seen = new Set<string>();
  #kept = 0;

  constructor(name: string) {
    this.name = name;
  }

  take(entry: ReadEntry): void {
    const path = this.#pathOf(entry.path);
    if (this.#seen.size >= MAX_ENTRIES) throw new LacreError("TOO_LARGE", `${this.name} has more than ${MAX_ENTRIES} entries`);
    if (entry.type === "Directory") {
      entry.resume();
      return;
    }
    if (this.#seen.has(path)) throw invalid(this.name, "has two entries of one name", path);
    this.#seen.add(path);
    if (entry.type === "SymbolicLink" || entry.type === "Link") {
      const target = entry.linkpath ?? "";
      this.#links.set(path, entry.type === "Link" ? this.#pathOf(target) : this.#pathOf(join(path, target)));
      entry.resume();
      return;
    }
    if (!FILES.includes(entry.type)) throw invalid(this.name, "has an entry that is no file", `${path}: ${entry.type}`);
    const hasher = createHasher(BLOB.exec(path)?.[1] === "sha512" ? "sha512" : "sha256");
    const algorithm = BLOB.exec(path)?.[1] ?? "sha256";
    const isSmall = entry.size <= MAX_SMALL_BYTES && this.#kept + entry.size <= MAX_KEPT_BYTES;
    if (isSmall) this.#kept += entry.size;
    const parts: Uint8Array[] = [];
    let size = 0;
    entry.on("data", (chunk: Buffer) => {
      size += chunk.length;
      hasher.update(chunk);
      if (isSmall) parts.push(Uint8Array.from(chunk));
    });
    entry.on("end", () => {
      this.pieces.set(path, {
        digest: `${algorithm}:${toHex(hasher.digest())}`,
        size,
        bytes: isSmall ? Buffer.concat(parts) : undefined,
      });
    });
  }

  /** The entry of a name, through links within the archive. */
  find(path: string): Piece | undefined {
    let at = path;
    for (let links = 0; links <= MAX_LINKS; links++) {
      const piece = this.pieces.get(at);
      if (piece !== undefined) return piece;
      const next = this.#links.get(at);
      if (next === undefined) return undefined;
      at = next;
    }
    throw invalid(this.name, "has links without end", path);
  }

  /** The content of a small entry that has to be there. */
  read(path: string): Uint8Array {
    const piece = this.find(path);
    if (piece === undefined) throw invalid(this.name, `lacks ${path.slice(0, 100)}`);
    if (piece.bytes === undefined) throw new LacreError("TOO_LARGE", `${path.slice(0, 100)} in ${this.name} is too large`);
    return piece.bytes;
  }

  #pathOf(path: string): string {
    const parts = path
      .replace(/^(\.\/)+/, "")
      .replace(/\/+$/, "")
      .split("/");
    if (path.startsWith("/") || parts.includes("..")) throw invalid(this.name, "has an entry outside of itself", path);
    return parts.filter((part) => part !== "" && part !== ".").join("/");
  }
}

/** A link's target, read from where the link is. Climbing is left in, for the check of paths to find. */
function join(path: string, target: string): string {
  const parts = path.split("/").slice(0, -1);
  for (const part of target.split("/")) {
    if (part === ".." && parts.length > 0 && parts.at(-1) !== "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return target.startsWith("/") ? target : parts.join("/");
}

/** A parser that fills a scan, and what went wrong in it. */
interface Reading {
  readonly parser: Parser;
  readonly found: Scan;
  failure: unknown;
}

function read(name: string, TarParser: typeof Parser): Reading {
  const found = new Scan(name);
  const parser = new TarParser({
    strict: true,
    maxMetaEntrySize: 1 << 20,
    onReadEntry(entry) {
      try {
        if (reading.failure === undefined) found.take(entry);
        else entry.resume();
      } catch (error) {
        reading.failure ??= error;
        entry.resume();
      }
    },
  });
  const reading: Reading = { parser, found, failure: undefined };
  parser.on("error", (cause: Error) => {
    reading.failure ??= new LacreError("MANIFEST_INVALID", `${name} is not a sound tar`, {
      found: cause.message.slice(0, 200),
      cause,
    });
  });
  return reading;
}

async function scan(path: string, progress: (octets: number) => void): Promise<Scan> {
  const reading = read(path, (await import("tar")).Parser);
  const { parser } = reading;
  try {
    for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 }) as AsyncIterable<Buffer>) {
      progress(chunk.length);
      if (reading.failure !== undefined) break;
      if (!parser.write(chunk) && reading.failure === undefined)
        await Promise.race([once(parser, "drain"), once(parser, "error")]);
    }
  } catch (cause) {
    reading.failure ??= fileError("FILE_UNREADABLE", path, cause);
  }
  if (reading.failure === undefined) {
    const ended = Promise.race([once(parser, "end"), once(parser, "error")]);
    parser.end();
    await ended.catch(() => undefined);
  }
  if (reading.failure !== undefined) throw reading.failure;
  return reading.found;
}

/**
 * Reads an uncompressed archive that is in memory already, at once: `TarParser` is that of the library. Throws as
 * `openArchive`.
 */
export function decodeArchive(name: string, bytes: Uint8Array, TarParser: typeof Parser): Archive {
  const reading = read(name, TarParser);
  reading.parser.write(Buffer.from(bytes));
  reading.parser.end();
  if (reading.failure !== undefined) throw reading.failure;
  return describeArchive(reading.found);
}

/** Reads an archive. Throws FILE_UNREADABLE, MANIFEST_INVALID, TOO_LARGE, BAD_JSON. */
export async function openArchive(path: string, progress: (octets: number) => void = () => undefined): Promise<Archive> {
  return describeArchive(await scan(path, progress));
}

function describeArchive(found: Scan): Archive {
  const hasLayout = found.find("oci-layout") !== undefined && found.find("index.json") !== undefined;
  const docker = found.find("manifest.json") === undefined ? [] : decodeDockerManifest(found);
  if (!hasLayout && docker.length === 0) throw invalid(found.name, "is neither an OCI archive nor of docker save");
  return { name: found.name, store: hasLayout ? createStore(found) : undefined, docker };
}

function createStore(found: Scan): BlobStore {
  checkLayoutVersion(found.name, found.read("oci-layout"));
  // By what they are: an entry under another's name is not that other.
  const blobs = new Map<string, Piece>();
  for (const [path, piece] of found.pieces) if (BLOB.test(path)) blobs.set(piece.digest, piece);
  return {
    name: found.name,
    index: decodeLayoutIndex(found.name, found.read("index.json")),
    size: (digest) => Promise.resolve(blobs.get(digest)?.size),
    open(digest) {
      const bytes = blobs.get(digest)?.bytes;
      if (bytes !== undefined) return [bytes];
      throw new LacreError("TOO_LARGE", `${digest} is larger than is read from inside an archive`, {
        expected: `at most ${MAX_SMALL_BYTES} octets`,
      });
    },
    prove({ digest, size }) {
      const held = blobs.get(digest);
      if (held?.size === size) return Promise.resolve();
      throw new LacreError("CONTENT_MISMATCH", `${found.name} lacks content, or holds other content under its name`, {
        expected: `${digest}, ${size} octets`,
        found: held === undefined ? "nothing of that digest" : `${held.size} octets`,
      });
    },
    async *small() {
      for (const [digest, { bytes }] of blobs) if (bytes !== undefined) yield { digest, bytes };
    },
  };
}

function decodeDockerManifest(found: Scan): readonly DockerImage[] {
  const images = parseJson(found.read("manifest.json"), { maxDepth: 16 });
  if (!Array.isArray(images) || images.length > 1000) throw invalid(found.name, "has a manifest.json that is no list of images");
  return images.map((image, at): DockerImage => {
    const object = new JsonObject(image, `image ${at + 1} of manifest.json`);
    const config = found.read(object.string("Config"));
    const layers = object.strings(4096, "Layers").map((path) => {
      const piece = found.find(path);
      if (piece === undefined) throw invalid(found.name, `lacks the layer ${path.slice(0, 100)}`);
      return { digest: piece.digest, size: piece.size };
    });
    const hasher = createHasher("sha256");
    hasher.update(config);
    return {
      tags: object.get("RepoTags") === null || !object.has("RepoTags") ? [] : object.strings(1000, "RepoTags"),
      config,
      configDigest: `sha256:${toHex(hasher.digest())}`,
      layers,
    };
  });
}

/**
 * Proves that an image in Docker's form is the one that a manifest describes: its configuration by digest, each layer by
 * the configuration's digest of it uncompressed, or by the manifest's own. Throws CONTENT_MISMATCH.
 */
export function checkDockerImage(image: DockerImage, manifest: Manifest): void {
  if (manifest.config.digest !== image.configDigest) {
    throw new LacreError("CONTENT_MISMATCH", "the configuration in the archive is not that of the signed image", {
      expected: manifest.config.digest,
      found: image.configDigest,
    });
  }
  const rootfs = new JsonObject(parseJson(image.config, { maxDepth: 32 }), "configuration").object("rootfs");
  const diffs = rootfs.strings(4096, "diff_ids");
  if (diffs.length !== image.layers.length || diffs.length !== manifest.layers.length || !diffs.every(isDigest)) {
    throw new LacreError("CONTENT_MISMATCH", "the archive has another number of layers than the signed image", {
      expected: `${manifest.layers.length}`,
      found: `${image.layers.length}, and ${diffs.length} in the configuration`,
    });
  }
  for (const [at, { digest }] of image.layers.entries()) {
    if (digest === diffs[at] || digest === manifest.layers[at]!.digest) continue;
    throw new LacreError("CONTENT_MISMATCH", `layer ${at + 1} in the archive is not that of the signed image`, {
      expected: diffs[at]!,
      found: digest,
    });
  }
}
