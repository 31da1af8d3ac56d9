// SPDX-License-Identifier: Apache-2.0
/**
 * Ambient identities, in the order in which they are tried; those of cosign first, in its order. `--oidc-provider` names one,
 * `--oidc-disable-ambient-providers` leaves them all out.
 */
import type { Context } from "../context.ts";
import { CliError } from "../errors.ts";
import { plain } from "../terminal.ts";
import { buildkite } from "./buildkite.ts";
import { circleci } from "./circleci.ts";
import { aws, azure, filesystem } from "./files.ts";
import { github } from "./github.ts";
import { gitlab } from "./gitlab.ts";
import { google } from "./google.ts";
import type { Provider } from "./provider.ts";
import { spiffe } from "./spiffe.ts";

export const PROVIDERS: readonly Provider[] = [buildkite, filesystem, github, google, spiffe, gitlab, circleci, aws, azure];

/** The token of a named provider. Throws USAGE for a name that is none, TOKEN_MISSING with the reason. */
export async function askProvider(context: Context, name: string, audience: string): Promise<string> {
  const provider = PROVIDERS.find((one) => one.name === name);
  if (provider === undefined) {
    throw new CliError("USAGE", `--oidc-provider ${plain(name)} is not known`, {
      hint: `One of ${PROVIDERS.map((one) => one.name).join(", ")}.`,
    });
  }
  return provider.token(context, audience);
}

/**
 * The token of the first place that we are in and that gives one. A place that gives none is told of, and the next one is
 * tried; undefined where we are in none. Throws the last reason when every place failed.
 */
export async function askAround(context: Context, audience: string): Promise<string | undefined> {
  let failure: unknown;
  for (const provider of PROVIDERS) {
    if (!provider.isPresent(context)) continue;
    try {
      return await provider.token(context, audience);
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      context.terminal.warn(plain(error.message));
      failure = error;
    }
  }
  if (failure !== undefined) throw failure;
  return undefined;
}
