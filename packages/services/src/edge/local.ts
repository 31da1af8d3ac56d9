// SPDX-License-Identifier: Apache-2.0
/**
 * Services in one process call each other through the same clients as across machines, without a socket: the request
 * goes through the whole edge of the other service (limits, dialects, normal paths), only the wire is missing.
 */
import type { Fetch } from "@lacre/core/client";
import type { FastifyInstance } from "fastify";

/** Where a call goes: addresses under one of `origins` stay in the process, all others go to `elsewhere`. */
export interface LocalFetchOptions {
  /** The edge that answers for `origins`. A function, because an edge may hold clients of itself. */
  readonly app: () => FastifyInstance;
  /** Origins (`http://localhost:7800`) that are this process. */
  readonly origins: readonly string[];
  /** For every other address; without it they are refused, so that a service on its own reaches nothing by accident. */
  readonly elsewhere?: Fetch;
}

/** A `Fetch` that answers for this process without a socket. */
export function createLocalFetch(options: LocalFetchOptions): Fetch {
  const own = new Set(options.origins.map((origin) => new URL(origin).origin));
  return async (url, init = {}) => {
    const target = new URL(url);
    if (!own.has(target.origin)) {
      if (options.elsewhere === undefined) throw new Error(`${target.origin} is not served by this process`);
      return options.elsewhere(url, init);
    }
    const answer = await options.app().inject({
      method: (init.method ?? "GET") as "GET",
      url: target.pathname + target.search,
      headers: { host: target.host, ...init.headers },
      ...(init.body === undefined ? {} : { payload: typeof init.body === "string" ? init.body : Buffer.from(init.body) }),
    });
    const headers = answer.headers;
    const bytes = answer.rawPayload;
    return {
      status: answer.statusCode,
      headers: {
        get(name) {
          const value = headers[name.toLowerCase()];
          return value === undefined ? null : String(value);
        },
      },
      // A copy: an ArrayBuffer of exactly these bytes, not the pool that a Buffer may sit in.
      arrayBuffer: async () => new Uint8Array(bytes).buffer,
    };
  };
}
