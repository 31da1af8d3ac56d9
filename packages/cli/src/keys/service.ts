// SPDX-License-Identifier: Apache-2.0
/**
 * One exchange with a key service or a cluster: JSON both ways, bounded in time and size, never redirected, with the
 * certificates that the user's configuration names. What was sent (tokens, passwords) is in no error.
 */
import { request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";
import { JsonObject, parseJson } from "@lacre/core/codec";
import { LacreError } from "@lacre/core/errors";
import { CliError } from "../errors.ts";
import { plain } from "../terminal.ts";

/** How to know the service, and how to be known to it. */
export interface Tls {
  /** PEM of the authorities to trust instead of the system's. */
  readonly ca?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
  readonly servername?: string | undefined;
}

export interface Exchange {
  /** For messages: "Vault". */
  readonly service: string;
  readonly method: "GET" | "POST";
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: object | undefined;
  readonly tls?: Tls | undefined;
}

export interface ServiceAnswer {
  readonly status: number;
  /** The body, when it is a JSON object. */
  readonly body: JsonObject | undefined;
}

const MAX_BYTES = 4 << 20;
const LIMIT_MS = 30_000;

/** Makes the exchange. Throws USAGE for an address that is none, KEY_UNREACHABLE when there is no whole answer. */
export async function askService({ service, method, url, headers, body, tls = {} }: Exchange): Promise<ServiceAnswer> {
  let address: URL;
  try {
    address = new URL(url);
  } catch {
    throw new CliError("USAGE", `the address of ${service} is no URL`);
  }
  if (address.protocol !== "https:" && address.protocol !== "http:")
    throw new CliError("USAGE", `the address of ${service} is not http`);
  const octets = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
  const { status, text } = await new Promise<{ status: number; text: string }>((resolve, reject) => {
    const options = {
      method,
      headers: {
        accept: "application/json",
        ...(octets === undefined ? {} : { "content-type": "application/json", "content-length": String(octets.length) }),
        ...headers,
      },
      signal: AbortSignal.timeout(LIMIT_MS),
      // A connection that is kept would keep the command.
      agent: false as const,
      ...Object.fromEntries(Object.entries(tls).filter(([, value]) => value !== undefined)),
    };
    const request = (address.protocol === "https:" ? requestHttps : requestHttp)(address, options, (answer) => {
      const parts: Buffer[] = [];
      let length = 0;
      answer.on("data", (chunk: Buffer) => {
        length += chunk.length;
        if (length > MAX_BYTES) request.destroy(new Error("the answer is too large"));
        else parts.push(chunk);
      });
      answer.on("end", () => resolve({ status: answer.statusCode ?? 0, text: Buffer.concat(parts).toString("utf8") }));
      answer.on("error", reject);
    });
    request.on("error", reject);
    request.end(octets);
  }).catch((cause: Error & { readonly code?: string }) => {
    throw new CliError(
      "KEY_UNREACHABLE",
      `${service} at ${address.host} gives no answer: ${plain(cause.code ?? cause.message).slice(0, 200)}`,
      {
        hint: "Check the address, the network, and the certificates that are named for it.",
        cause,
      },
    );
  });
  return { status, body: readBody(text) };
}

function readBody(text: string): JsonObject | undefined {
  try {
    return new JsonObject(parseJson(text, { maxBytes: MAX_BYTES, maxDepth: 32 }), "answer");
  } catch (error) {
    if (error instanceof LacreError) return undefined;
    throw error;
  }
}

/** The service's own words for a refusal, fit to be shown. */
export function refusal(service: string, { status }: ServiceAnswer, words: string | undefined, hint?: string): CliError {
  const said = words === undefined || words === "" ? "" : `: ${plain(words).slice(0, 300)}`;
  return new CliError("KEY_UNREACHABLE", `${service} answers ${status}${said}`, hint === undefined ? {} : { hint });
}
