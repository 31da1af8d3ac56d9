// SPDX-License-Identifier: Apache-2.0
import { CliError } from "../../errors.ts";
import { applyGlobals, GLOBAL_FLAGS } from "../../globals.ts";
import { REGISTRY_FLAGS, STORAGE_FLAGS } from "../../registry/flags.ts";
import { defineVerb, text, type Verb } from "../../verb.ts";

export const verb: Verb = defineVerb({
  brief: "Attach a signature that was made elsewhere",
  details: `The payload is what was signed: lacre generate IMAGE makes it.

  lacre generate IMAGE > payload.json
  openssl dgst -sha256 -sign key.pem payload.json | base64 -w0 > payload.sig
  lacre attach signature --payload payload.json --signature payload.sig IMAGE`,
  isCosign: true,
  flags: {
    payload: text("What was signed", { placeholder: "file" }),
    bundle: text("Other name of --payload", { placeholder: "file", hidden: true }),
    signature: text("The signature, base64 or raw; - for standard input", { placeholder: "file" }),
    certificate: text("The signer's certificate, PEM", { placeholder: "file" }),
    certificateChain: text("Its authorities, PEM", { placeholder: "file" }),
    rekorResponse: text("The ledger's answer, or cosign's bundle of it", { placeholder: "file" }),
    tsr: text("The timestamp: cosign's JSON, or DER", { placeholder: "file" }),
    ...REGISTRY_FLAGS,
    attachmentTagPrefix: STORAGE_FLAGS.attachmentTagPrefix,
    ...GLOBAL_FLAGS,
  },
  operands: { name: "IMAGE", brief: "The image, best by digest", maximum: 1 },
  async run(given, flags, [name]) {
    const context = applyGlobals(given, flags);
    const payload = flags.payload ?? flags.bundle;
    if (payload === undefined || flags.signature === undefined) {
      throw new CliError("USAGE", `--${payload === undefined ? "payload" : "signature"} is missing`, {
        hint: "Give --payload FILE and --signature FILE.",
      });
    }
    const { attachSignature, openTarget } = await import("../../registry/attaching.ts");
    await attachSignature(
      context,
      await openTarget(context, flags, name!),
      { ...flags, payload, signature: flags.signature },
      flags,
    );
  },
});
