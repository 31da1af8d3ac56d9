// SPDX-License-Identifier: Apache-2.0
/**
 * How the command reaches the network.
 *
 * Every request goes through the platform's `fetch`, which honours `HTTP_PROXY`, `HTTPS_PROXY`, `NO_PROXY` and
 * `SSL_CERT_FILE` once `prepareNetwork` has told the platform of them. Where one service wants a certificate authority or a
 * client certificate of its own, `createTlsFetch` makes a `fetch` for that service alone: the rest of the process keeps
 * its trust.
 */
import { readFileSync } from "node:fs";
import http from "node:http";
import { request } from "node:https";
import { Readable } from "node:stream";
import type { ReadableStream } from "node:stream/web";
import { getCACertificates, setDefaultCACertificates } from "node:tls";
import type { Fetch, FetchAnswer } from "@lacre/core/client";
import { CliError, fileError } from "./errors.ts";

let isPrepared = false;

const PROXIES = ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"];

/**
 * Tells the platform of the environment's proxies and certificates. `SSL_CERT_FILE` (and the files of `SSL_CERT_DIR`) stand
 * instead of the built-in authorities, as in Go's programs. Throws FILE_UNREADABLE.
 */
export function prepareNetwork(env: Readonly<Record<string, string | undefined>>): void {
  if (isPrepared) return;
  isPrepared = true;
  const file = env["SSL_CERT_FILE"] ?? "";
  if (file !== "") {
    let text: string;
    try {
      text = readFileSync(file, "utf8");
    } catch (cause) {
      throw fileError("FILE_UNREADABLE", file, cause);
    }
    const certificates = text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
    if (certificates.length === 0)
      throw new CliError("FILE_UNREADABLE", `SSL_CERT_FILE names ${file}, which holds no certificate in PEM`);
    setDefaultCACertificates([...certificates, ...getCACertificates("extra")]);
  }
  // Node 24.14 and later; older ones of the same line read NODE_USE_ENV_PROXY at their start alone.
  const set = (http as { setGlobalProxyFromEnv?: (env: Readonly<Record<string, string | undefined>>) => unknown })
    .setGlobalProxyFromEnv;
  if (PROXIES.some((name) => (env[name] ?? "") !== "")) set?.(env);
}

/** Certificates and a name for one service. Texts in PEM. */
export interface TlsOptions {
  /** Whose certificates the service may have; default the platform's. */
  readonly ca?: string | undefined;
  /** Our certificate, and its key. */
  readonly certificate?: string | undefined;
  readonly key?: string | undefined;
  /** The name in the service's certificate, where it is not the address's. */
  readonly serverName?: string | undefined;
  /** Whether any certificate will do. */
  readonly isUnchecked?: boolean | undefined;
}

/** A `fetch` with certificates of its own. Redirects are answers like others. A body may be an iterable of octets. */
export function createTlsFetch(tls: TlsOptions): Fetch {
  return (url, init = {}) =>
    new Promise<FetchAnswer>((resolve, reject) => {
      const asked = (url.startsWith("http:") ? http.request : request)(
        url,
        {
          method: init.method ?? "GET",
          headers: init.headers,
          signal: init.signal as AbortSignal | undefined,
          agent: false,
          ...(tls.ca === undefined ? {} : { ca: tls.ca }),
          ...(tls.certificate === undefined ? {} : { cert: tls.certificate }),
          ...(tls.key === undefined ? {} : { key: tls.key }),
          ...(tls.serverName === undefined ? {} : { servername: tls.serverName }),
          ...(tls.isUnchecked === true ? { rejectUnauthorized: false } : {}),
        },
        (answer) => {
          const body = Readable.toWeb(answer) as ReadableStream<Uint8Array>;
          resolve({
            status: answer.statusCode ?? 0,
            headers: { get: (name) => answer.headers[name.toLowerCase()]?.toString() ?? null },
            body,
            arrayBuffer: () => new Response(body).arrayBuffer(),
          });
        },
      );
      // The clients look at `cause.code` for the words, as fetch has it.
      asked.on("error", (cause) => reject(new TypeError("fetch failed", { cause })));
      const { body } = init;
      if (body === undefined || typeof body === "string" || body instanceof Uint8Array) asked.end(body);
      else
        Readable.from(body as Iterable<Uint8Array>, { objectMode: false })
          .on("error", (cause) => asked.destroy(cause))
          .pipe(asked);
    });
}
