// SPDX-License-Identifier: Apache-2.0
import { resolve } from "node:path";
import { parseBlob, readArtifact } from "../artifact.ts";
import { CliError } from "../errors.ts";
import { writeWhole } from "../home.ts";
import { formatOldBundle, formatSignature, writePieces } from "../pieces.ts";
import { refuse, refusedFlags, REFUSED_SIGNING } from "../refusals.ts";
import { describeSealed, openWorkshop, saySealed, SEALING_FLAGS } from "../sealing.ts";
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
    newBundleFormat: toggle("Write the bundle format; false: the one of cosign before 3 (default true)", { hidden: true }),
    output: text("json: report as JSON. Anything else: a file for the signature (deprecated)", { placeholder: "json|file" }),
    outputSignature: text("Also write the signature here", { placeholder: "file" }),
    outputCertificate: text("Also write the certificate here", { placeholder: "file" }),
    b64: toggle("Write signature and certificate in base64 (default true)"),
    rfc3161Timestamp: text("Also write the timestamp here", { placeholder: "file" }),
    ...GLOBAL_FLAGS,
  },
  operands: { name: "FILE", brief: "File to seal; - for standard input" },
  async run(given, flags, operands) {
    const context = applyGlobals(given, flags);
    refuse(REFUSED_SIGNING, flags);
    const isOld = flags.newBundleFormat === false;
    const asJson = flags.output === "json";
    const signaturePath = flags.outputSignature ?? (asJson ? undefined : flags.output);
    if (flags.output !== undefined && !asJson)
      context.terminal.warn("--output FILE is deprecated: use --output-signature, or --bundle");
    // cosign before 3 prints the signature where nothing says where it shall go.
    if (flags.bundle === undefined && signaturePath === undefined && !isOld)
      throw new CliError("USAGE", "--bundle is missing: where shall the seal go?");
    if (operands.length > 1 && flags.bundle !== undefined)
      throw new CliError("USAGE", "one --bundle holds one file here", {
        hint: "lacre sign takes several files and one bundle file.",
      });
    const { sealer } = await openWorkshop(context, flags);
    for (const operand of operands) {
      const artifact = parseBlob(operand, context.cwd);
      const sealed = await sealer.sealArtifact(readArtifact(context, artifact));
      if (flags.bundle !== undefined)
        await writeWhole(resolve(context.cwd, flags.bundle), isOld ? formatOldBundle(sealed) : sealed.json, 0o644);
      await writePieces(context, sealed, {
        signature: signaturePath,
        certificate: flags.outputCertificate,
        timestamp: flags.rfc3161Timestamp,
        isBase64: flags.b64 !== false,
      });
      if (isOld && signaturePath === undefined && !asJson) {
        const signature = formatSignature(sealed, flags.b64 !== false);
        context.terminal.result(Buffer.from(signature).toString(typeof signature === "string" ? "utf8" : "latin1"));
      }
      if (asJson) context.terminal.result(JSON.stringify(describeSealed(artifact.name, flags.bundle, sealed)));
      else saySealed(context, artifact.name, flags.bundle, sealed);
    }
  },
});
