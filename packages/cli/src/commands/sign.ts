// SPDX-License-Identifier: Apache-2.0
import { basename, resolve } from "node:path";
import { type Artifact, parseArtifact, readArtifact } from "../artifact.ts";
import type { Context } from "../context.ts";
import { CliError } from "../errors.ts";
import { writeWhole } from "../home.ts";
import { refuse, refusedFlags, REFUSED_ATTACHMENT, REFUSED_SIGNING } from "../refusals.ts";
import { IMAGE_FLAGS } from "../registry/flags.ts";
import { describeSealed, openWorkshop, saySealed, SEALING_FLAGS, type SealingFlags, type Workshop } from "../sealing.ts";
import { plain } from "../terminal.ts";
import { applyGlobals, GLOBAL_FLAGS } from "../globals.ts";
import { choice, defineVerb, text, type Verb } from "../verb.ts";

export const verb: Verb = defineVerb({
  brief: "Seal artifacts: certificate, signature, timestamp, ledger entry, bundle",
  details: `The seal of a file goes to --bundle, or to FILE.sigstore.json. Several files and one --bundle make a file with one
bundle a line. The seal of an image is stored beside it in its registry. All seals of one run share one sign-in and one
certificate.

  lacre sign ./FILE --bundle FILE.sigstore.json
  lacre sign ./FILE --identity-token "$(lacre token --email you@example.com)"
  lacre sign ./FILE --key key.pem
  lacre sign registry.example.com/app@sha256:DIGEST
  lacre sign -r -a build=42 registry.example.com/app:v1`,
  isCosign: true,
  flags: {
    ...SEALING_FLAGS,
    ...refusedFlags(REFUSED_SIGNING),
    ...refusedFlags(REFUSED_ATTACHMENT),
    bundle: text("Where the seal goes", { placeholder: "file" }),
    output: choice(["text", "json"], "How to report", { alias: "o" }),
    ...IMAGE_FLAGS,
    ...GLOBAL_FLAGS,
  },
  operands: { name: "ARTIFACT", brief: "./FILE, file:FILE, - for standard input, or an image" },
  async run(given, flags, operands) {
    const context = applyGlobals(given, flags);
    refuse({ ...REFUSED_SIGNING, ...REFUSED_ATTACHMENT }, flags);
    const artifacts = operands.map((name) => parseArtifact(name, { cwd: context.cwd, hasBundle: flags.bundle !== undefined }));
    const images = artifacts.filter((artifact) => artifact.kind === "image");
    const files = artifacts.filter((artifact) => artifact.kind !== "image");
    if (images.length > 0 && files.length > 0 && flags.bundle !== undefined)
      throw new CliError("USAGE", "one --bundle is for files or for an image", { hint: "Sign them one after the other." });
    if (files.some(({ kind }) => kind === "stdin") && flags.bundle === undefined)
      throw new CliError("USAGE", "sealing standard input needs --bundle");
    if (images.length === 0) refuseImageFlags(flags);
    // One sign-in and one certificate for all; cosign's older format takes ledgers that make promises.
    let workshop: Promise<Workshop> | undefined;
    const open = (needs: { readonly ledgerVersions?: readonly number[] } = {}): Promise<Workshop> =>
      (workshop ??= openWorkshop(context, flags, needs));
    if (images.length > 0) {
      const { signImages } = await import("../registry/signing.ts");
      const { parseImages } = await import("../registry/images.ts");
      const named = parseImages(images.map(({ name }) => name));
      await signImages(context, flags, named, async (legacy) => (await open(legacy ? { ledgerVersions: [1] } : {})).sealer);
    }
    if (files.length > 0) await signFiles(context, flags, files, await open());
    if ((await workshop)?.isChecked === false && flags.key === undefined)
      context.terminal.warn(`the seals were not checked: there is no trusted root (${plain("--trusted-root FILE")})`);
  },
});

/** Flags for images say nothing about a file; what has no effect is not passed over. */
function refuseImageFlags(flags: Readonly<Record<string, unknown>>): void {
  const names = ["annotations", "recursive", "payload", "outputPayload", "attachmentTagPrefix", "registryReferrersMode"];
  const name = names.find((one) => flags[one] !== undefined && !(Array.isArray(flags[one]) && flags[one].length === 0));
  if (name !== undefined) {
    const flag = name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
    throw new CliError("USAGE", `--${flag} is for images, and none is named`, { hint: "Write oci://NAME for an image." });
  }
}

async function signFiles(
  context: Context,
  flags: SealingFlags & { readonly bundle?: string | undefined; readonly output?: string | undefined },
  artifacts: readonly Artifact[],
  { sealer }: Workshop,
): Promise<void> {
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
}
