// SPDX-License-Identifier: Apache-2.0
/**
 * The bytes of a journal segment: frames, each at a multiple of 4,096 octets, numbers big-endian.
 *
 *     0   4  "LJF1"
 *     4   1  kind: 1 commit, 2 start: stands for everything before it
 *     5   3  zero
 *     8   4  octets of the body
 *    12   4  zero
 *    16   8  number of the segment
 *    24  16  salt of the segment: random, the same in all its frames
 *    40  80  state before: size 8, root 32, time 8, epoch 8, nonce 16, zero 8
 *   120  80  state after
 *   200  16  first half of SHA-256 over: context (u16 length before it), octets 0 to 199, body
 *   216      body
 *            zeros or anything up to the next multiple of 4,096
 *
 * A segment that continues another starts with a commit. One written by `takeOver` starts with a start frame, whose two
 * states are equal and whose body is empty.
 *
 * Why so: a frame starts on a block of its own, since rewriting a block that holds the end of an acknowledged frame could
 * tear it. The checksum covers segment number and salt, so that neither a stale frame in a recycled segment nor a frame
 * that a client hid inside an entry can ever be taken for one of ours. The context (the log's origin) keeps journals of
 * two logs apart.
 */
import { createHash } from "node:crypto";
import { concat, utf8 } from "@lacre/core/bytes";
import type { Committed } from "./commit.ts";

/** Frames start at multiples of this. */
export const BLOCK = 4096;
/** Octets before the body. */
export const HEADER = 216;
/** A frame's body is smaller than this: what says otherwise is damage. */
export const MAX_BODY: number = 64 << 20;

const MAGIC = 0x4c4a4631;
const KINDS = { commit: 1, start: 2 } as const;
const SUM_AT = 200;
const SALT = 16;

/** `commit`: one commit; `start`: where the journal begins, earlier segments are superseded. */
export type FrameKind = keyof typeof KINDS;

/** Where a frame belongs: the same for all frames of a segment. */
export interface SegmentMark {
  readonly context: string;
  readonly number: number;
  readonly salt: Uint8Array;
}

export interface Frame {
  readonly kind: FrameKind;
  readonly previous: Committed;
  readonly next: Committed;
  readonly body: Uint8Array;
}

/** Octets that a frame with this body takes in a segment. */
export function frameLength(bodyLength: number): number {
  return Math.ceil((HEADER + bodyLength) / BLOCK) * BLOCK;
}

function sum(context: string, header: Uint8Array, body: Uint8Array): Uint8Array {
  const name = utf8(context);
  const state = createHash("sha256");
  state.update(Uint8Array.of(name.length >> 8, name.length & 0xff));
  state.update(name);
  state.update(header.subarray(0, SUM_AT));
  state.update(body);
  return state.digest().subarray(0, HEADER - SUM_AT);
}

function putState(view: DataView, header: Uint8Array, at: number, state: Committed): void {
  view.setBigUint64(at, BigInt(state.size));
  header.set(state.root, at + 8);
  view.setBigUint64(at + 40, BigInt(state.timeMs));
  view.setBigUint64(at + 48, BigInt(state.epoch));
  header.set(state.nonce, at + 56);
}

function takeState(view: DataView, header: Uint8Array, at: number): Committed {
  return {
    size: Number(view.getBigUint64(at)),
    root: header.slice(at + 8, at + 40),
    timeMs: Number(view.getBigUint64(at + 40)),
    epoch: Number(view.getBigUint64(at + 48)),
    nonce: header.slice(at + 56, at + 72),
  };
}

/** The header of a frame; the body follows it in the file, unchanged. */
export function encodeHeader(mark: SegmentMark, { kind, previous, next, body }: Frame): Uint8Array {
  if (body.length >= MAX_BODY) throw new TypeError(`a frame of ${body.length} octets`);
  const header = new Uint8Array(HEADER);
  const view = new DataView(header.buffer);
  view.setUint32(0, MAGIC);
  header[4] = KINDS[kind];
  view.setUint32(8, body.length);
  view.setBigUint64(16, BigInt(mark.number));
  header.set(mark.salt, 24);
  putState(view, header, 40, previous);
  putState(view, header, 120, next);
  header.set(sum(mark.context, header, body), SUM_AT);
  return header;
}

/** A whole frame with its padding, for segments that are written in one piece. */
export function encodeFrame(mark: SegmentMark, frame: Frame): Uint8Array {
  const padding = frameLength(frame.body.length) - HEADER - frame.body.length;
  return concat(encodeHeader(mark, frame), frame.body, new Uint8Array(padding));
}

/**
 * The frame at `at` of a segment's bytes and the salt it carries, or undefined for anything else: torn, stale, foreign,
 * padding. `salt`, where known, is what the frame must carry.
 */
export function decodeFrame(
  bytes: Uint8Array,
  at: number,
  mark: { readonly context: string; readonly number: number; readonly salt?: Uint8Array | undefined },
): { readonly frame: Frame; readonly salt: Uint8Array } | undefined {
  if (at + HEADER > bytes.length) return undefined;
  const header = bytes.subarray(at, at + HEADER);
  const view = new DataView(header.buffer, header.byteOffset, HEADER);
  if (view.getUint32(0) !== MAGIC || view.getBigUint64(16) !== BigInt(mark.number)) return undefined;
  const kind = (Object.keys(KINDS) as FrameKind[]).find((name) => KINDS[name] === header[4]);
  const length = view.getUint32(8);
  if (kind === undefined || length >= MAX_BODY || at + HEADER + length > bytes.length) return undefined;
  const salt = header.slice(24, 24 + SALT);
  if (mark.salt !== undefined && Buffer.compare(salt, mark.salt) !== 0) return undefined;
  const body = bytes.subarray(at + HEADER, at + HEADER + length);
  if (Buffer.compare(sum(mark.context, header, body), header.subarray(SUM_AT)) !== 0) return undefined;
  return { frame: { kind, previous: takeState(view, header, 40), next: takeState(view, header, 120), body }, salt };
}
