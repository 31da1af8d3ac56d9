// SPDX-License-Identifier: Apache-2.0
import { CliError } from "../../errors.ts";
import { applyGlobals, GLOBAL_FLAGS } from "../../globals.ts";
import { listKeys } from "../../keys/pkcs11.ts";
import { refuse, refusedFlags } from "../../refusals.ts";
import { plain } from "../../terminal.ts";
import { choice, defineVerb, text, type Verb } from "../../verb.ts";

const REFUSED = {
  pin: { kind: "text", instead: "Every user of the machine can read arguments: set COSIGN_PKCS11_PIN, or wait to be asked." },
} as const;

export const verb: Verb = defineVerb({
  brief: "List the keys of a token as URIs for --key",
  details: `The token is --slot-id or --token; the PIN comes from COSIGN_PKCS11_PIN, or is asked for.

  lacre pkcs11-tool list-keys-uris --token NAME --module-path /path/to/module.so`,
  isCosign: true,
  flags: {
    modulePath: text("The module", { placeholder: "file" }),
    slotId: text("Slot of the token", { placeholder: "number" }),
    token: text("Label of the token", { placeholder: "name" }),
    ...refusedFlags(REFUSED),
    output: choice(["text", "json"], "How to print it"),
    ...GLOBAL_FLAGS,
  },
  async run(given, flags) {
    const context = applyGlobals(given, flags);
    refuse(REFUSED, flags);
    const named = [
      ...(flags.slotId === undefined ? [] : [`slot-id=${encodeURIComponent(flags.slotId)}`]),
      ...(flags.token === undefined ? [] : [`token=${encodeURIComponent(flags.token)}`]),
    ];
    if (named.length === 0) throw new CliError("USAGE", "which token? Give --slot-id or --token");
    const module = flags.modulePath === undefined ? "" : `?module-path=${encodeURIComponent(flags.modulePath)}`;
    for (const { object, uri } of await listKeys(context, `pkcs11:${named.join(";")}${module}`)) {
      if (flags.output === "json") context.terminal.result(JSON.stringify({ object, uri: `${uri}${module}` }));
      else context.terminal.result(plain(`${uri}${module}`));
    }
  },
});
