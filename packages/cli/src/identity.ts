// SPDX-License-Identifier: Apache-2.0
/**
 * Where an identity token comes from. The first that applies:
 *
 * 1. `--identity-token`: the text, or a file of it;
 * 2. `--oidc-provider`: the ambient identity of that name;
 * 3. `SIGSTORE_ID_TOKEN`, then the ambient identities of the place where we run, unless `--oidc-disable-ambient-providers`
 *    or a flow (`--fulcio-auth-flow`, `--oauth-force-oob`) says that somebody shall sign in;
 * 4. somebody who signs in: in a browser here (`normal`), in one elsewhere (`device`), by a code that is pasted
 *    (`--oauth-force-oob`), or a program with a secret (`client_credentials`).
 *
 * It is sent to the certificate authority and to nobody else, and is never printed.
 */
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import type { Context } from "./context.ts";
import { CliError } from "./errors.ts";
import { claimStdin } from "./stdin.ts";
import { readNamed } from "./trust.ts";
import { choice, type FlagValues, text, toggle, type FlagTable } from "./verb.ts";

export const IDENTITY_FLAGS = {
  identityToken: text("An identity token, or a file that holds one", { placeholder: "token|file" }),
  oidcIssuer: text("The provider to sign in with", { placeholder: "url" }),
  oidcClientId: text("Client id at the provider", { placeholder: "id" }),
  oidcClientSecretFile: text("File with the client's secret", { placeholder: "file" }),
  oidcRedirectUrl: text("A fixed address on this machine for the browser to come back to", { placeholder: "url" }),
  oidcProvider: text("The ambient identity to use: github-actions, google, spiffe, …", { placeholder: "name" }),
  oidcDisableAmbientProviders: toggle("Do not look for ambient identities"),
  fulcioAuthFlow: choice(
    ["normal", "device", "token", "client_credentials"],
    "How to sign in: in a browser here (normal), or elsewhere (device), or as a program (client_credentials)",
  ),
  oauthForceOob: toggle("Sign in in a browser anywhere, and paste the code it shows"),
} as const satisfies FlagTable;

export type IdentityFlags = FlagValues<typeof IDENTITY_FLAGS>;

const JWT = /^[\w-]+\.[\w-]+\.[\w-]+$/;

/** A token for signing. `issuers`: providers of the signing config, best first. Throws TOKEN_MISSING and what signing in throws. */
export async function obtainToken(
  context: Context,
  flags: IdentityFlags,
  issuers: readonly string[],
  isOffline: boolean,
): Promise<string> {
  const audience = flags.oidcClientId ?? "sigstore";
  if (flags.identityToken !== undefined && flags.identityToken !== "") return readTokenArgument(context, flags.identityToken);
  if (flags.oidcProvider !== undefined) {
    if (isOffline) throw new CliError("OFFLINE", "an ambient identity needs the network");
    return (await import("./identities/index.ts")).askProvider(context, flags.oidcProvider, audience);
  }
  const isForced = flags.oauthForceOob === true || (flags.fulcioAuthFlow !== undefined && flags.fulcioAuthFlow !== "token");
  if (flags.oidcDisableAmbientProviders !== true && !isForced) {
    const given = context.env["SIGSTORE_ID_TOKEN"];
    if (given !== undefined && given !== "") return readTokenArgument(context, given);
    const ambient = isOffline ? undefined : await (await import("./identities/index.ts")).askAround(context, audience);
    if (ambient !== undefined) return ambient;
  }
  if (flags.fulcioAuthFlow === "token") throw new CliError("TOKEN_MISSING", "--fulcio-auth-flow token needs a token");
  const issuer = flags.oidcIssuer ?? issuers[0];
  if (issuer === undefined)
    throw new CliError("TOKEN_MISSING", "there is no identity token, and the signing config names no provider to sign in with");
  if (isOffline) throw new CliError("OFFLINE", "signing in needs the network");
  if (flags.fulcioAuthFlow === "client_credentials" && flags.oidcClientSecretFile === undefined)
    throw new CliError("USAGE", "--fulcio-auth-flow client_credentials needs --oidc-client-secret-file");
  if (flags.oauthForceOob === true && flags.fulcioAuthFlow !== undefined && flags.fulcioAuthFlow !== "normal")
    throw new CliError("USAGE", `--oauth-force-oob and --fulcio-auth-flow ${flags.fulcioAuthFlow} are two ways to sign in`);
  const flow =
    flags.oauthForceOob === true
      ? "code"
      : flags.fulcioAuthFlow === "client_credentials"
        ? "credentials"
        : flags.fulcioAuthFlow === "device" || (flags.fulcioAuthFlow === undefined && !context.terminal.isInteractive)
          ? "device"
          : "browser";
  // Signing in has requests of its own.
  if (context.env === process.env) (await import("./transport.ts")).prepareNetwork(process.env);
  const { login } = await import("./login.ts");
  return login({
    issuer,
    clientId: audience,
    clientSecret:
      flags.oidcClientSecretFile === undefined
        ? undefined
        : Buffer.from(await readNamed(context, flags.oidcClientSecretFile))
            .toString("utf8")
            .trim(),
    redirectUrl: flags.oidcRedirectUrl,
    flow,
    terminal: context.terminal,
    openBrowser: context.openBrowser,
    readCode: () => readLine(claimStdin(context, "the sign-in's code")),
  });
}

/** The first line of standard input, at most so long. */
async function readLine(input: AsyncIterable<Uint8Array>): Promise<string> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of input) {
    parts.push(part);
    length += part.length;
    if (part.includes(0x0a) || length > 8192) break;
  }
  return Buffer.concat(parts).toString("utf8").split("\n")[0]!.trim();
}

async function readTokenArgument(context: Context, given: string): Promise<string> {
  const trimmed = given.trim();
  if (JWT.test(trimmed) && !existsSync(resolve(context.cwd, trimmed))) return trimmed;
  let content;
  try {
    content = Buffer.from(await readNamed(context, given))
      .toString("utf8")
      .trim();
  } catch {
    // The argument may be a damaged token: it does not enter the message.
    throw new CliError("TOKEN_MISSING", "the identity token is neither a JWT nor a readable file");
  }
  if (!JWT.test(content)) throw new CliError("TOKEN_MISSING", "the identity token's file does not hold a JWT");
  return content;
}
