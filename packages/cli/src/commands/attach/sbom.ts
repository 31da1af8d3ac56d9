// SPDX-License-Identifier: Apache-2.0
import { CliError } from "../../errors.ts";
import { applyGlobals, GLOBAL_FLAGS } from "../../globals.ts";
import { REGISTRY_FLAGS, STORAGE_FLAGS } from "../../registry/flags.ts";
import { choice, defineVerb, text, type Verb } from "../../verb.ts";

type Format = "json" | "xml" | "text";

const MEDIA_TYPES: Readonly<Record<string, Partial<Record<Format, string>>>> = {
  spdx: { text: "text/spdx", json: "text/spdx+json", xml: "text/spdx+xml" },
  cyclonedx: { xml: "application/vnd.cyclonedx+xml", json: "application/vnd.cyclonedx+json" },
  syft: { json: "application/vnd.syft+json" },
};

/** The format by the first character that is not white space. */
function formatOf(bytes: Uint8Array): Format {
  const start = Buffer.from(bytes.subarray(0, 1024)).toString("latin1").trimStart()[0];
  return start === "{" ? "json" : start === "<" ? "xml" : "text";
}

export const verb: Verb = defineVerb({
  brief: "Attach a bill of materials, unsigned",
  details: `What is attached so is not signed: whoever may write to the repository may change it. Better:

  lacre attest --type spdxjson --predicate sbom.json IMAGE`,
  isCosign: true,
  flags: {
    sbom: text("The document; - for standard input", { placeholder: "file" }),
    type: choice(["spdx", "cyclonedx", "syft"], "What it is (default spdx)"),
    inputFormat: choice(["json", "xml", "text"], "How it is written (default: as it looks)"),
    ...REGISTRY_FLAGS,
    ...STORAGE_FLAGS,
    ...GLOBAL_FLAGS,
  },
  operands: { name: "IMAGE", brief: "The image, best by digest", maximum: 1 },
  async run(given, flags, [name]) {
    const context = applyGlobals(given, flags);
    if (flags.registryReferrersMode === "oci-1-1") {
      throw new CliError("UNSUPPORTED_FLAG", "--registry-referrers-mode oci-1-1 cannot be honoured for an unsigned SBOM", {
        hint: "lacre attest stores a signed one as a referrer.",
      });
    }
    if (flags.sbom === undefined) throw new CliError("USAGE", "--sbom is missing: what shall be attached?");
    const { attachSbom, openTarget, readInput } = await import("../../registry/attaching.ts");
    const bytes = await readInput(context, flags.sbom, "the SBOM");
    const format = flags.inputFormat ?? formatOf(bytes);
    const type = flags.type ?? "spdx";
    const mediaType = MEDIA_TYPES[type]?.[format];
    if (mediaType === undefined) throw new CliError("USAGE", `an SBOM of the type ${type} is not written as ${format}`);
    context.terminal.warn("an attached SBOM is not signed; lacre attest --type spdxjson states it under a signature");
    await attachSbom(context, await openTarget(context, flags, name!), { bytes, mediaType }, flags);
  },
});
