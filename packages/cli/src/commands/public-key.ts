// SPDX-License-Identifier: Apache-2.0
import { resolve } from "node:path";
import { toBase64 } from "@lacre/core/bytes";
import { formatPem } from "@lacre/core/codec";
import { defaultAlgorithm, sha256 } from "@lacre/core/crypto";
import { CliError } from "../errors.ts";
import { applyGlobals, GLOBAL_FLAGS } from "../globals.ts";
import { writeWhole } from "../home.ts";
import { derivePublicKey } from "../keys.ts";
import { refuse, refusedFlags, REFUSED_TOKEN } from "../refusals.ts";
import { plain } from "../terminal.ts";
import { choice, defineVerb, text, type Verb } from "../verb.ts";

export const verb: Verb = defineVerb({
  brief: "Print the public half of a key",
  details: `For verifiers, who need no more. Any reference that signs or verifies will do.

  lacre public-key --key cosign.key
  lacre public-key --key hashivault://KEY --outfile release.pub`,
  isCosign: true,
  flags: {
    key: text("The key: file, env://NAME, or any place that keeps keys", { placeholder: "uri" }),
    outfile: text("Write it here", { placeholder: "file" }),
    ...refusedFlags(REFUSED_TOKEN),
    output: choice(["text", "json"], "How to print it"),
    ...GLOBAL_FLAGS,
  },
  async run(given, flags) {
    const context = applyGlobals(given, flags);
    refuse(REFUSED_TOKEN, flags);
    if (flags.key === undefined || flags.key === "") throw new CliError("USAGE", "--key is missing: which key?");
    const key = await derivePublicKey(context, flags.key);
    const pem = formatPem("PUBLIC KEY", key.spki);
    if (flags.outfile !== undefined) {
      await writeWhole(resolve(context.cwd, flags.outfile), pem, 0o644);
      context.terminal.say(`Public key written to ${plain(flags.outfile)}`);
    }
    if (flags.output === "json") {
      const { keyDetails } = defaultAlgorithm(key);
      context.terminal.result(JSON.stringify({ type: key.type, algorithm: keyDetails, hint: toBase64(sha256(key.spki)), pem }));
    } else if (flags.outfile === undefined) context.terminal.result(pem.trimEnd());
  },
});
