// SPDX-License-Identifier: Apache-2.0
import { resolve } from "node:path";
import { parseBlob, readArtifact } from "../artifact.ts";
import { CliError } from "../errors.ts";
import { writeWhole } from "../home.ts";
import { refuse, refusedFlags, refuseOldBundle, REFUSED_SIGNING } from "../refusals.ts";
import { describeSealed, detach, openWorkshop, saySealed, SEALING_FLAGS } from "../sealing.ts";
import { applyGlobals, GLOBAL_FLAGS } from "../globals.ts";
import { defineVerb, text, toggle, type Verb } from "../verb.ts";

export const verb: Verb = defineVerb({
  brief: "Seal a file, with cosign's flags",
  details: "Flags that cannot be honoured end with status 2 and name what to use instead.",
  isCosign: true,
  flags: {
    ...SEALING_FLAGS,
    ...refusedFlags(REFUSED_SIGNING),
    bundle: text("Where the seal goes", { placeholder: "file" }),
    newBundleFormat: toggle("Write the bundle format (always)", { hidden: true }),
    useSigningConfig: toggle("Use a signing config (always)", { hidden: true }),
    output: text("json: report as JSON. Anything else: a file for the signature (deprecated)", { placeholder: "json|file" }),
    outputSignature: text("Also write the signature here", { placeholder: "file" }),
    outputCertificate: text("Also write the certificate here", { placeholder: "file" }),
    b64: toggle("Write signature and certificate in base64 (default true)"),
    ...GLOBAL_FLAGS,
  },
  operands: { name: "FILE", brief: "File to seal; - for standard input" },
  async run(given, flags, operands) {
    const context = applyGlobals(given, flags);
    refuse(REFUSED_SIGNING, flags);
    refuseOldBundle(flags);
    const asJson = flags.output === "json";
    const signaturePath = flags.outputSignature ?? (asJson ? undefined : flags.output);
    if (flags.output !== undefined && !asJson)
      context.terminal.warn("--output FILE is deprecated: use --output-signature, or --bundle");
    if (flags.bundle === undefined && signaturePath === undefined)
      throw new CliError("USAGE", "--bundle is missing: where shall the seal go?");
    if (operands.length > 1 && flags.bundle !== undefined)
      throw new CliError("USAGE", "one --bundle holds one file here", {
        hint: "lacre sign takes several files and one bundle file.",
      });
    const { sealer } = await openWorkshop(context, flags);
    for (const operand of operands) {
      const artifact = parseBlob(operand, context.cwd);
      const sealed = await sealer.sealArtifact(readArtifact(context, artifact));
      if (flags.bundle !== undefined) await writeWhole(resolve(context.cwd, flags.bundle), sealed.json, 0o644);
      const { signature, certificate } = detach(sealed, flags.b64 !== false);
      if (signaturePath !== undefined) await writeWhole(resolve(context.cwd, signaturePath), signature, 0o644);
      if (flags.outputCertificate !== undefined && certificate !== undefined)
        await writeWhole(resolve(context.cwd, flags.outputCertificate), certificate, 0o644);
      if (asJson) context.terminal.result(JSON.stringify(describeSealed(artifact.name, flags.bundle, sealed)));
      else saySealed(context, artifact.name, flags.bundle, sealed);
    }
  },
});
