// SPDX-License-Identifier: Apache-2.0
/** The flags of the verbs that verify images. */
import { REGISTRY_FLAGS } from "../registry.ts";
import { CliError } from "../errors.ts";
import { choice, type FlagTable, list, text, toggle } from "../verb.ts";

export const IMAGE_FLAGS = {
  ...REGISTRY_FLAGS,
  annotations: list("What the signature must say, as KEY=VALUE", { alias: "a", placeholder: "key=value" }),
  localImage: toggle("The image is an OCI layout (a folder) or an archive"),
  reference: text("For images in files: the image in its registry, whose manifest and signatures count", {
    placeholder: "image",
  }),
  attachmentTagPrefix: text("What tags of cosign 2 begin with", { placeholder: "text" }),
  rekorUrl: text("For signatures of cosign 2 that were stored without their entry: the ledger to ask for it", {
    placeholder: "url",
  }),
  maxWorkers: text("Understood, and not needed", { hidden: true, placeholder: "n" }),
  newBundleFormat: toggle("Whether bundles are looked for: both forms always are", { hidden: true }),
  experimentalOci11: toggle("Whether referrers are looked for: they always are", { hidden: true }),
} as const satisfies FlagTable;

/** Flags of `verify` for signatures that are handed in. */
export const HANDED_FLAGS = {
  attachment: choice(["sbom"], "Verify what is attached to the image instead of the image", { hidden: true }),
  signature: text("A signature to verify instead of those in the registry: file, or base64", { placeholder: "file" }),
  payload: text("The document that --signature is over", { placeholder: "file" }),
  certificate: text("The signer's certificate beside --signature", { placeholder: "file" }),
} as const satisfies FlagTable;

/** The annotations required. Throws USAGE. */
export function readAnnotations(given: readonly string[] | undefined): Readonly<Record<string, string>> {
  // Names are data: `__proto__` is one like another.
  const wanted = Object.create(null) as Record<string, string>;
  for (const pair of (given ?? []).flatMap((one) => one.split(","))) {
    const cut = pair.indexOf("=");
    if (cut <= 0)
      throw new CliError("USAGE", `${JSON.stringify(pair.slice(0, 80))} is no annotation`, { hint: "Write it as KEY=VALUE." });
    const [name, value] = [pair.slice(0, cut), pair.slice(cut + 1)];
    if (Object.hasOwn(wanted, name) && wanted[name] !== value)
      throw new CliError("USAGE", `the annotation ${name.slice(0, 80)} is required to have two values`);
    wanted[name] = value;
  }
  return wanted;
}
