// SPDX-License-Identifier: Apache-2.0
import { readAnnotations, IMAGE_FLAGS } from "../images/flags.ts";
import { checkImages } from "../images/verification.ts";
import { CONDITION_FLAGS, openConditions } from "../conditions.ts";
import { CHECKING_FLAGS, openPolicy } from "../policy.ts";
import { refuse, refusedFlags, REFUSED_CHECKING } from "../refusals.ts";
import { applyGlobals, GLOBAL_FLAGS } from "../globals.ts";
import { choice, defineVerb, text, type Verb } from "../verb.ts";

export const verb: Verb = defineVerb({
  brief: "Verify attestations of images",
  details: `Each attestation is judged on its own; one of the type asked for is enough. Verified envelopes go to standard output, one
a line.

  lacre verify-attestation --type slsaprovenance1 --key cosign.pub registry.example/app:v1 | jq -r .payload | base64 -d

Exit status: 0 verified, 3 could not look, 10 no attestation, 11 no such image, 12 none that fits, 13 no certificate.`,
  isCosign: true,
  flags: {
    ...CHECKING_FLAGS,
    ...refusedFlags(REFUSED_CHECKING),
    ...IMAGE_FLAGS,
    ...CONDITION_FLAGS,
    type: text("The predicate type that the statement must have (default custom)", { placeholder: "type" }),
    output: choice(["json", "text", "verdict"], "json, text: envelopes; verdict: our whole record", { alias: "o" }),
    ...GLOBAL_FLAGS,
  },
  operands: {
    name: "IMAGE",
    brief: "registry/repository:tag, …@sha256:DIGEST, oci-layout:DIR, oci-archive:FILE, docker-archive:FILE",
  },
  async run(given, flags, operands) {
    const context = applyGlobals(given, flags);
    refuse(REFUSED_CHECKING, flags);
    const { policy, key } = await openPolicy(context, flags, flags.type ?? "custom");
    return checkImages(context, operands, {
      kind: "attestation",
      conditions: await openConditions(context, flags),
      policy,
      key,
      annotations: readAnnotations(flags.annotations),
      output: flags.output ?? "json",
      flags,
    });
  },
});
