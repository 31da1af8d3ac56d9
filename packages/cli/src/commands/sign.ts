// SPDX-License-Identifier: Apache-2.0
import { basename, resolve } from "node:path";
import { parseArtifact, readArtifact } from "../artifact.ts";
import { CliError } from "../errors.ts";
import { writeWhole } from "../home.ts";
import { describeSealed, openWorkshop, saySealed, SEALING_FLAGS } from "../sealing.ts";
import { plain } from "../terminal.ts";
import { applyGlobals, GLOBAL_FLAGS } from "../globals.ts";
import { choice, defineVerb, text, type Verb } from "../verb.ts";

export const verb: Verb = defineVerb({
  brief: "Seal artifacts: certificate, signature, timestamp, ledger entry, bundle",
  details: `The seal of each ARTIFACT goes to --bundle, or to ARTIFACT.sigstore.json. Several artifacts and one --bundle make a
file with one bundle a line. All seals of one run share one sign-in and one certificate.

  lacre sign ./FILE --bundle FILE.sigstore.json
  lacre sign ./FILE --identity-token "$(lacre token --email you@example.com)"
  lacre sign ./FILE --key key.pem`,
  isCosign: true,
  flags: {
    ...SEALING_FLAGS,
    bundle: text("Where the seal goes", { placeholder: "file" }),
    output: choice(["text", "json"], "How to report", { alias: "o" }),
    ...GLOBAL_FLAGS,
  },
  operands: { name: "ARTIFACT", brief: "./FILE, file:FILE, - for standard input" },
  async run(given, flags, operands) {
    const context = applyGlobals(given, flags);
    const artifacts = operands.map((name) => parseArtifact(name, { cwd: context.cwd, hasBundle: flags.bundle !== undefined }));
    for (const artifact of artifacts) {
      if (artifact.kind === "image") {
        throw new CliError("NOT_IMPLEMENTED", `${artifact.name} is read as an image, and images are not built yet`, {
          hint: `Write ./${artifact.name} if you mean a file.`,
        });
      }
      if (artifact.kind === "stdin" && flags.bundle === undefined)
        throw new CliError("USAGE", "sealing standard input needs --bundle");
    }
    const { sealer, isChecked } = await openWorkshop(context, flags);
    const lines: string[] = [];
    for (const artifact of artifacts) {
      const sealed = await sealer.sealArtifact(readArtifact(context, artifact));
      const path = flags.bundle ?? `${artifact.kind === "file" ? artifact.path : basename(artifact.name)}.sigstore.json`;
      lines.push(sealed.json);
      if (flags.bundle === undefined) await writeWhole(resolve(context.cwd, path), `${sealed.json}\n`, 0o644);
      else if (lines.length === artifacts.length)
        await writeWhole(resolve(context.cwd, path), `${lines.map((line) => line.trim()).join("\n")}\n`, 0o644);
      if (flags.output === "json") context.terminal.result(JSON.stringify(describeSealed(artifact.name, path, sealed)));
      else saySealed(context, artifact.name, path, sealed);
    }
    if (!isChecked && flags.key === undefined)
      context.terminal.warn(`the seals were not checked: there is no trusted root (${plain("--trusted-root FILE")})`);
  },
});
