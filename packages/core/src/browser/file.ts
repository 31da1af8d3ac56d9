// SPDX-License-Identifier: Apache-2.0
/**
 * Files of a page, read as streams: a file of any size is hashed as it comes and never held.
 *
 * The shapes are the few methods of `Blob` and `ReadableStream` that are used, so that the library needs no DOM types.
 */
import { createHasher, type HashName, type PublicKey } from "../crypto/index.ts";
import { LacreError } from "../errors.ts";
import { type Artifact, readNeeds } from "../verify/index.ts";

/** A `ReadableStream` of octets. */
export interface ByteStream {
  getReader(): ByteReader;
  getReader(options: { readonly mode: "byob" }): FillingReader;
}

/** A `ReadableStreamDefaultReader`: every piece is new. */
export interface ByteReader {
  read(): Promise<Piece>;
  cancel(reason?: unknown): Promise<void>;
}

/** A `ReadableStreamBYOBReader`: pieces are written into the view that is handed over. */
export interface FillingReader {
  read(view: Uint8Array<ArrayBuffer>): Promise<Piece>;
  cancel(reason?: unknown): Promise<void>;
}

/** One piece of a stream, or its end. */
export interface Piece {
  readonly done: boolean;
  readonly value?: Uint8Array<ArrayBuffer> | undefined;
}

/** A `File` or `Blob`. */
export interface FileLike {
  readonly size: number;
  stream(): ByteStream;
}

/** How a file is read. */
export interface ReadOptions {
  /** The key to verify with, where the bundle has no certificate. */
  readonly key?: PublicKey;
  /** Told after every piece how many octets were read. */
  readonly onProgress?: (octets: number) => void;
}

/** Schemes that sign the message itself need it in memory. */
const MAX_WHOLE = 256 << 20;

/**
 * What a verification of this bundle needs to know of the file: its digests, and for schemes that sign the message itself
 * (pure Ed25519) its octets. Throws TOO_LARGE for a file of more than 256 MiB of the second kind.
 */
export async function readArtifact(file: FileLike, bundle: Uint8Array, options: ReadOptions = {}): Promise<Artifact> {
  const { hashes, isWhole } = readNeeds(bundle, options.key);
  if (!isWhole) return { digests: await hashStream(file.stream(), hashes, options.onProgress) };
  if (file.size > MAX_WHOLE) {
    throw new LacreError("TOO_LARGE", "signatures of this kind cannot be verified over a file this large", {
      expected: `at most ${MAX_WHOLE} octets`,
      found: `${file.size}`,
    });
  }
  const message = new Uint8Array(file.size);
  let length = 0;
  for await (const piece of pieces(file.stream())) {
    if (length + piece.length > message.length) throw new LacreError("TOO_LARGE", "the file grew while it was read");
    message.set(piece, length);
    length += piece.length;
    options.onProgress?.(length);
  }
  return { digests: new Map(), message: message.subarray(0, length) };
}

/** The digests of a stream, made in one pass. */
export async function hashStream(
  stream: ByteStream,
  algorithms: readonly HashName[],
  onProgress?: (octets: number) => void,
): Promise<ReadonlyMap<HashName, Uint8Array>> {
  const hashers = algorithms.map((algorithm) => [algorithm, createHasher(algorithm)] as const);
  let length = 0;
  for await (const piece of pieces(stream)) {
    for (const [, hasher] of hashers) hasher.update(piece);
    length += piece.length;
    onProgress?.(length);
  }
  return new Map(hashers.map(([algorithm, hasher]) => [algorithm, hasher.digest()]));
}

const PIECE = 1 << 20;

/**
 * The pieces of a stream; each is good until the next is asked for. Where the stream allows, one buffer serves for all of
 * them: a collector that is not in a hurry would let hundreds of megabytes of read pieces lie. A stream that is not read to
 * its end is cancelled.
 */
async function* pieces(stream: ByteStream): AsyncGenerator<Uint8Array> {
  const { read, cancel } = openReader(stream);
  let isDone = false;
  try {
    for (;;) {
      const { done, value } = await read();
      isDone = done;
      if (done) return;
      if (value !== undefined) yield value;
    }
  } finally {
    if (!isDone) await cancel();
  }
}

function openReader(stream: ByteStream): { readonly read: () => Promise<Piece>; readonly cancel: () => Promise<void> } {
  let filling: FillingReader;
  try {
    filling = stream.getReader({ mode: "byob" });
  } catch (error) {
    // Not a stream of bytes in the standard's sense; older browsers have no other for files.
    if (!(error instanceof TypeError)) throw error;
    const reader = stream.getReader();
    return { read: () => reader.read(), cancel: () => reader.cancel() };
  }
  let buffer = new ArrayBuffer(PIECE);
  const read = async (): Promise<Piece> => {
    const piece = await filling.read(new Uint8Array(buffer));
    // The buffer went over with the request, and comes back with the answer.
    if (piece.value !== undefined) buffer = piece.value.buffer;
    return piece;
  };
  return { read, cancel: () => filling.cancel() };
}
