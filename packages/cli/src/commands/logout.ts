// SPDX-License-Identifier: Apache-2.0
import { applyGlobals, GLOBAL_FLAGS } from "../globals.ts";
import { defineVerb, type Verb } from "../verb.ts";

export const verb: Verb = defineVerb({
  brief: "Forget who you are at a registry",
  isCosign: true,
  flags: { ...GLOBAL_FLAGS },
  operands: { name: "SERVER", brief: "The registry (default Docker Hub)", minimum: 0, maximum: 1 },
  async run(given, flags, [server]) {
    const context = applyGlobals(given, flags);
    const { forgetLogin, parseServer } = await import("../registry/logins.ts");
    await forgetLogin(context, parseServer(server));
  },
});
