// SPDX-License-Identifier: Apache-2.0
/** Answers of octets, whole or one range of them (RFC 9110 section 14). */
import type { FastifyReply, FastifyRequest } from "fastify";

/** One range of octets; undefined for no range, or for a header that may be passed over. */
export function readRange(
  header: string | undefined,
  length: number,
): { readonly offset: number; readonly length: number } | "unsatisfiable" | undefined {
  const match = /^bytes=(?:([0-9]{1,15})-([0-9]{1,15})?|-([0-9]{1,15}))$/.exec(header ?? "");
  if (match === null) return undefined;
  const [, first, last, suffix] = match;
  if (suffix !== undefined)
    return Number(suffix) === 0
      ? "unsatisfiable"
      : { offset: Math.max(0, length - Number(suffix)), length: Math.min(length, Number(suffix)) };
  const offset = Number(first);
  const end = last === undefined ? length - 1 : Math.min(Number(last), length - 1);
  if (last !== undefined && Number(last) < offset) return undefined;
  return offset >= length ? "unsatisfiable" : { offset, length: end - offset + 1 };
}

/** Sends octets, or the range of them that was asked for. Type and caching are set before. */
export function sendBytes(request: FastifyRequest, reply: FastifyReply, bytes: Uint8Array): FastifyReply {
  reply.header("accept-ranges", "bytes");
  // A condition on a version cannot hold: our answers name none.
  const range = readRange(request.headers["if-range"] === undefined ? request.headers.range : undefined, bytes.length);
  if (range === undefined) return reply.send(bytes);
  if (range === "unsatisfiable")
    return reply
      .code(416)
      .headers({ "content-range": `bytes */${bytes.length}`, "cache-control": "no-cache" })
      .send("");
  const { offset, length } = range;
  return reply
    .code(206)
    .header("content-range", `bytes ${offset}-${offset + length - 1}/${bytes.length}`)
    .send(bytes.subarray(offset, offset + length));
}
