// SPDX-License-Identifier: Apache-2.0
import { CliError } from "../errors.ts";
import { applyGlobals, GLOBAL_FLAGS } from "../globals.ts";
import { defineVerb, text, toggle, type Verb } from "../verb.ts";

export const verb: Verb = defineVerb({
  brief: "Remember who you are at a registry",
  details: `  lacre login registry.example.com -u NAME
  lacre login registry.example.com -u NAME --password-stdin < password

The credentials go where Docker keeps its own: its helper, or else config.json. Without SERVER: Docker Hub.`,
  isCosign: true,
  flags: {
    username: text("User", { alias: "u", placeholder: "name" }),
    password: text("Password (visible to others on this machine: better leave it out and be asked)", {
      alias: "p",
      placeholder: "text",
    }),
    passwordStdin: toggle("Read the password from standard input"),
    ...GLOBAL_FLAGS,
  },
  operands: { name: "SERVER", brief: "The registry", minimum: 0, maximum: 1 },
  async run(given, flags, [server]) {
    const context = applyGlobals(given, flags);
    if (flags.password !== undefined && flags.passwordStdin === true)
      throw new CliError("USAGE", "--password and --password-stdin exclude each other");
    const { parseServer, readPassword, rememberLogin } = await import("../registry/logins.ts");
    const registry = parseServer(server);
    const { username } = flags;
    if (username === undefined || username === "") throw new CliError("USAGE", "--username is missing: who are you there?");
    if (username.includes(":")) throw new CliError("USAGE", "a user's name holds no colon");
    const password = await readPassword(context, flags);
    await rememberLogin(context, registry, { username, password });
  },
});
