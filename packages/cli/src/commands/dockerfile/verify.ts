// SPDX-License-Identifier: Apache-2.0
import { text as decodeText } from "@lacre/core/bytes";
import { CliError } from "../../errors.ts";
import { parseDockerfile } from "../../images/dockerfile.ts";
import { IMAGE_FLAGS, readAnnotations } from "../../images/flags.ts";
import { checkImages } from "../../images/verification.ts";
import { CHECKING_FLAGS, openPolicy } from "../../policy.ts";
import { refuse, refusedFlags, REFUSED_CHECKING } from "../../refusals.ts";
import { readNamed } from "../../trust.ts";
import { applyGlobals, GLOBAL_FLAGS } from "../../globals.ts";
import { choice, defineVerb, list, toggle, type Verb } from "../../verb.ts";

export const verb: Verb = defineVerb({
  brief: "Verify the images that a Dockerfile is built from",
  details: `FROM lines, COPY --from and RUN --mount=from. What cannot be resolved ends with status 2: it would be used and not verified.

  lacre dockerfile verify Dockerfile --key cosign.pub --build-arg VERSION=1.2`,
  isCosign: true,
  flags: {
    ...CHECKING_FLAGS,
    ...refusedFlags(REFUSED_CHECKING),
    ...IMAGE_FLAGS,
    baseImageOnly: toggle("Only the image under the last stage"),
    buildArg: list("A value for an ARG line, as NAME=VALUE", { placeholder: "name=value" }),
    output: choice(["json", "text", "verdict"], "How to report, as for verify", { alias: "o" }),
    ...GLOBAL_FLAGS,
  },
  operands: { name: "DOCKERFILE", brief: "Path of the Dockerfile", maximum: 1 },
  async run(given, flags, operands) {
    const context = applyGlobals(given, flags);
    refuse(REFUSED_CHECKING, flags);
    const { policy, key } = await openPolicy(context, flags, undefined);
    const values = Object.fromEntries(
      (flags.buildArg ?? []).map((pair) => {
        const cut = pair.indexOf("=");
        if (cut <= 0) throw new CliError("USAGE", `--build-arg ${JSON.stringify(pair.slice(0, 80))} is not NAME=VALUE`);
        return [pair.slice(0, cut), pair.slice(cut + 1)] as const;
      }),
    );
    const { images, base } = parseDockerfile(decodeText(await readNamed(context, operands[0]!)), values);
    const wanted = flags.baseImageOnly === true ? (base === undefined ? [] : [base]) : images;
    if (wanted.length === 0) {
      context.terminal.say("The Dockerfile uses no image: there is nothing to verify.");
      return 0;
    }
    context.terminal.say(`Images: ${wanted.join(", ")}`);
    const annotations = readAnnotations(flags.annotations);
    return checkImages(context, wanted, { kind: "signature", policy, key, annotations, output: flags.output ?? "json", flags });
  },
});
