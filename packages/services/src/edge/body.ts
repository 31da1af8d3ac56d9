// SPDX-License-Identifier: Apache-2.0
/** Reading a request's body: all of it as bytes, up to the route's limit, counted while it arrives. */
import type { IncomingMessage } from "node:http";
import { ServiceError } from "../errors.ts";

/**
 * Octets beyond the limit that are read and thrown away before the refusal. A connection that is closed with octets
 * unread is reset, and most clients then report the reset instead of the answer.
 */
const DISCARDED = 16 * 1024 * 1024;

/**
 * Collects a body; `onPart` hears of the octets as they are kept. Refuses BODY_TOO_LARGE when it is longer than `limit`.
 * A body that ends early never resolves to less: the connection is gone, and with it the request.
 */
export function collectBody(payload: IncomingMessage, limit: number, onPart: (octets: number) => void): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    if (Number(payload.headers["content-length"] ?? 0) > limit + DISCARDED) return reject(new ServiceError("BODY_TOO_LARGE"));
    let chunks: Buffer[] = [];
    let received = 0;
    const end = (work: () => void): void => {
      payload.off("data", take).off("end", finish).off("error", fail);
      work();
    };
    const refuse = (): void => reject(new ServiceError("BODY_TOO_LARGE"));
    const take = (chunk: Buffer): void => {
      received += chunk.length;
      if (received <= limit) {
        onPart(chunk.length);
        chunks.push(chunk);
      } else if (received > limit + DISCARDED) end(refuse);
      else chunks = [];
    };
    // Copied even when it came in one piece: it must not keep the whole buffer that the socket was read into.
    const finish = (): void => end(() => (received > limit ? refuse() : resolve(Buffer.concat(chunks, received))));
    const fail = (cause: Error): void => end(() => reject(new ServiceError("BAD_REQUEST", "the body was cut off", { cause })));
    payload.on("data", take).on("end", finish).on("error", fail);
  });
}
