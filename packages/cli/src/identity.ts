// SPDX-License-Identifier: Apache-2.0
/**
 * Where an identity token comes from: `--identity-token` (the text or a file of it), `SIGSTORE_ID_TOKEN`, or a person who
 * signs in. It is sent to the certificate authority and to nobody else, and is never printed.
 */
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import type { Context } from "./context.ts";
import { CliError } from "./errors.ts";
import { readNamed } from "./trust.ts";
import { choice, type FlagValues, text, toggle, type FlagTable } from "./verb.ts";

export const IDENTITY_FLAGS = {
  identityToken: text("An identity token, or a file that holds one", { placeholder: "token|file" }),
  oidcIssuer: text("The provider to sign in with", { placeholder: "url" }),
  oidcClientId: text("Client id at the provider", { placeholder: "id" }),
  oidcClientSecretFile: text("File with the client's secret", { placeholder: "file" }),
  oidcRedirectUrl: text("A fixed address on this machine for the browser to come back to", { placeholder: "url" }),
  oidcProvider: text("Ambient provider", { hidden: true }),
  oidcDisableAmbientProviders: toggle("Do not look for ambient providers", { hidden: true }),
  fulcioAuthFlow: choice(
    ["normal", "device", "token", "client_credentials"],
    "How to sign in: in a browser here (normal), or elsewhere (device)",
  ),
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
  const given = flags.identityToken ?? context.env["SIGSTORE_ID_TOKEN"];
  if (given !== undefined && given !== "") return readTokenArgument(context, given);
  if (flags.oidcProvider !== undefined) {
    throw new CliError("UNSUPPORTED_FLAG", `--oidc-provider ${flags.oidcProvider} is not built yet`, {
      hint: "Fetch the token in the workflow and set SIGSTORE_ID_TOKEN.",
    });
  }
  if (flags.fulcioAuthFlow === "token") throw new CliError("TOKEN_MISSING", "--fulcio-auth-flow token needs a token");
  if (flags.fulcioAuthFlow === "client_credentials") {
    throw new CliError("UNSUPPORTED_FLAG", "--fulcio-auth-flow client_credentials is not built yet", {
      hint: "Fetch the token beforehand and give it with --identity-token.",
    });
  }
  const issuer = flags.oidcIssuer ?? issuers[0];
  if (issuer === undefined)
    throw new CliError("TOKEN_MISSING", "there is no identity token, and the signing config names no provider to sign in with");
  if (isOffline) throw new CliError("OFFLINE", "signing in needs the network");
  const flow =
    flags.fulcioAuthFlow === "device" || (flags.fulcioAuthFlow === undefined && !context.terminal.isInteractive)
      ? "device"
      : "browser";
  const { login } = await import("./login.ts");
  return login({
    issuer,
    clientId: flags.oidcClientId ?? "sigstore",
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
  });
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
