// SPDX-License-Identifier: Apache-2.0
/**
 * An ambient identity: a token that the place where we run can give, without a person. And what all of them share: one
 * bounded question to a service that this environment names, over https or within this machine.
 */
import { readToken } from "@lacre/core/sign";
import type { Context } from "../context.ts";
import { CliError } from "../errors.ts";
import { isLoopbackHost } from "../loopback.ts";
import { plain } from "../terminal.ts";

/** One kind of place. */
export interface Provider {
  /** For `--oidc-provider`. */
  readonly name: string;
  /** Whether we seem to be there. Asks nobody. */
  readonly isPresent: (context: Context) => boolean;
  /** A token for an audience. Throws TOKEN_MISSING with the reason. */
  readonly token: (context: Context, audience: string) => Promise<string>;
}

const LIMIT_MS = 20_000;
const MAX_BYTES = 1 << 16;

/** A variable of the environment; empty ones are not set. */
export function variable(context: Context, name: string): string | undefined {
  const value = context.env[name];
  return value === undefined || value === "" ? undefined : value;
}

/** The refusal of a provider. `words` never hold a token. */
export function cannot(provider: string, words: string, hint?: string): CliError {
  return new CliError("TOKEN_MISSING", `${provider}: ${words}`, hint === undefined ? {} : { hint });
}

export interface Question {
  readonly provider: string;
  readonly url: string;
  readonly method?: "GET" | "POST";
  readonly headers: Record<string, string>;
  readonly body?: string;
  /** Hosts that are asked without TLS although they are not this machine: a cloud's metadata address. */
  readonly plainHosts?: readonly string[];
}

/** The text that a service answers. No redirects; the headers, which hold secrets, never enter an error. Throws TOKEN_MISSING. */
export async function ask(
  context: Context,
  { provider, url, method = "GET", headers, body, plainHosts = [] }: Question,
): Promise<string> {
  if (!URL.canParse(url)) throw cannot(provider, "its address in the environment is no URL");
  const { protocol, hostname, host } = new URL(url);
  if (protocol !== "https:" && !(protocol === "http:" && (isLoopbackHost(hostname) || plainHosts.includes(host))))
    throw cannot(provider, `${plain(host)} would be asked without TLS, and a secret would be sent to it`);
  let answer;
  try {
    answer = await context.fetch(url, {
      method,
      headers,
      ...(body === undefined ? {} : { body }),
      redirect: "manual",
      signal: AbortSignal.timeout(LIMIT_MS),
    });
  } catch (cause) {
    const reason = (cause as { cause?: { code?: string } }).cause?.code ?? (cause as Error).message;
    throw new CliError("TOKEN_MISSING", `${provider}: ${plain(host)} cannot be asked: ${plain(reason)}`, { cause });
  }
  const bytes = Buffer.from(await answer.arrayBuffer());
  if (answer.status !== 200 && answer.status !== 201)
    throw cannot(provider, `${plain(host)} answers with status ${answer.status}`);
  if (bytes.length > MAX_BYTES) throw cannot(provider, `${plain(host)} answers with more than a token`);
  return bytes.toString("utf8");
}

/** A member of a JSON answer. Throws TOKEN_MISSING. */
export function member(provider: string, answer: string, name: string): string {
  try {
    const value = (JSON.parse(answer) as Record<string, unknown>)[name];
    if (typeof value === "string" && value !== "") return value;
  } catch {
    // The answer could hold a secret: it is not quoted.
  }
  throw cannot(provider, `the answer has no ${name}`);
}

/**
 * The token, if it is one for this audience. One for somebody else is not sent on: whoever gets it could use it there.
 * Throws TOKEN_MISSING, and TOKEN_INVALID for what is no token.
 */
export function checkAudience(provider: string, token: string, audience: string): string {
  const trimmed = token.trim();
  const { audience: found } = readToken(trimmed);
  if (found.includes(audience)) return trimmed;
  throw cannot(
    provider,
    `its token is for ${plain(found.join(", ")) || "nobody"}, not for ${plain(audience)}`,
    `Have a token made for the audience ${plain(audience)}, or name another with --oidc-client-id.`,
  );
}
