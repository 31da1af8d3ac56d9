// SPDX-License-Identifier: Apache-2.0
import { join } from "node:path";
import { decodeSigningConfig } from "@lacre/core/trust";
import type { Context } from "../context.ts";
import { CliError } from "../errors.ts";
import { findHome, recall, recallAll, trustFolder } from "../home.ts";
import { namedDirectory, readNamed } from "../trust.ts";
import { choice, defineVerb, text, type Verb } from "../verb.ts";

/** The data directory that is meant: named, or remembered by `lacre up`. */
async function findDirectory(context: Context, flags: { readonly dir?: string | undefined }): Promise<string> {
  const named = namedDirectory(context, flags);
  if (named !== undefined) return named.path;
  const home = findHome();
  const installation = await recall(home);
  if (installation?.kind === "directory") return installation.path;
  // Another one is meant for verifying; the only one on this machine is still the only one that can give a token.
  const here = (await recallAll(home)).filter((one) => one.kind === "directory");
  if (here.length === 1) return here[0]!.path;
  throw new CliError("SERVICES_MISSING", "there is no development installation on this machine", {
    hint: "Run lacre up, or name its directory with --dir or LACRE_DIR.",
  });
}

export const verb: Verb = defineVerb({
  brief: "Print an identity token of a development installation",
  details: `The token says what you ask it to say: nobody is authenticated. An installation in production mode gives none.

  lacre token --email you@example.com > token
  lacre sign ./FILE --identity-token token --bundle FILE.sigstore.json`,
  flags: {
    email: text("Whose token", { placeholder: "address" }),
    audience: text("For whom (default sigstore)", { placeholder: "name" }),
    dir: text("Data directory of the installation", { placeholder: "dir" }),
    output: choice(["text", "json"], "How to print it", { alias: "o" }),
  },
  async run(context, flags) {
    if (flags.email === undefined || flags.email === "")
      throw new CliError("USAGE", "--email is missing: whose token shall it be?");
    const directory = await findDirectory(context, flags);
    const { importIdentityKey, mintDevelopmentToken } = await import("@lacre/services/idp");
    const { readKey, viewInstallation } = await import("@lacre/services/installation");
    const { facts } = viewInstallation(directory);
    if (facts.mode !== "development")
      throw new CliError("PRODUCTION", "this installation is in production mode and gives no development tokens");
    const { oidcUrls } = decodeSigningConfig(await readNamed(context, join(trustFolder(directory), "signing_config.v0.2.json")));
    const issuer = oidcUrls[0]?.url;
    if (issuer === undefined)
      throw new CliError("SERVICES_MISSING", "the installation's signing config names no identity provider");
    const token = mintDevelopmentToken({
      issuer,
      key: importIdentityKey(readKey(directory, "idp").pkcs8),
      email: flags.email,
      audience: flags.audience ?? "sigstore",
      now: context.now,
    });
    if (flags.output === "json") context.terminal.result(JSON.stringify({ token, issuer, email: flags.email }));
    // Without a line end in a file: cosign sends the file as it is.
    else context.terminal.deliver(token);
  },
});
