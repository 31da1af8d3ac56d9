// SPDX-License-Identifier: Apache-2.0
import { applyGlobals, GLOBAL_FLAGS } from "../../globals.ts";
import { listTokens } from "../../keys/pkcs11.ts";
import { plain } from "../../terminal.ts";
import { choice, defineVerb, text, type Verb } from "../../verb.ts";

export const verb: Verb = defineVerb({
  brief: "List the tokens that a PKCS#11 module sees",
  details: `The module is --module-path or COSIGN_PKCS11_MODULE_PATH. No PIN is needed.

  lacre pkcs11-tool list-tokens --module-path /path/to/module.so`,
  isCosign: true,
  flags: {
    modulePath: text("The module", { placeholder: "file" }),
    output: choice(["text", "json"], "How to print it"),
    ...GLOBAL_FLAGS,
  },
  async run(given, flags) {
    const context = applyGlobals(given, flags);
    for (const { slotId, label, manufacturer, model, serial, needsLogin } of await listTokens(context, flags.modulePath)) {
      if (flags.output === "json")
        context.terminal.result(JSON.stringify({ slot: slotId.toString(), label, manufacturer, model, serial, needsLogin }));
      else
        context.terminal.result(
          `Slot ${slotId}: ${plain(label)} (${plain(manufacturer)}, ${plain(model)}, serial ${plain(serial)})`,
        );
    }
  },
});
