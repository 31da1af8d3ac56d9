// SPDX-License-Identifier: Apache-2.0
/**
 * What a verification of a file is given beside the file: a bundle, cosign's old bundle document, or loose files.
 *
 * A part has one source. Where the document and a flag both bring it they must bring the same octets, and a bundle takes
 * no loose parts at all: nothing here chooses between two signatures, and nothing falls back from one to another
 * (CVE-2022-36056). What the parts are worth is for the verifier to say.
 */
import { decodeLegacyBundle, isLegacyBundle, LEGACY_MEDIA_TYPE, type LegacySignature } from "@lacre/core/bundle";
import { equalBytes, fromBase64, utf8 } from "@lacre/core/bytes";
import type { Context } from "./context.ts";
import { CliError } from "./errors.ts";
import { readNamed } from "./trust.ts";
import { type FlagTable, type FlagValues, text, toggle } from "./verb.ts";

/** The flags for loose parts. */
export const DETACHED_FLAGS = {
  bundle: text("The seal: a bundle, or cosign's old bundle document", { placeholder: "file" }),
  signature: text("A detached signature (for attestations: the envelope), raw or in base64", { placeholder: "file" }),
  certificate: text("The signer's certificate beside a detached signature: PEM, base64 of PEM, or DER", { placeholder: "file" }),
  rfc3161Timestamp: text("The timestamp beside a detached signature: cosign's JSON, or DER", { placeholder: "file" }),
  newBundleFormat: toggle("Whether --bundle is a bundle or the old document: either is recognised", { hidden: true }),
} as const satisfies FlagTable;

export type DetachedFlags = FlagValues<typeof DETACHED_FLAGS>;

/** What is verified: the text of a bundle, or loose parts. */
export type Seal = Uint8Array | LegacySignature;

const LOOSE = ["signature", "certificate", "rfc3161Timestamp"] as const;
const kebab = (name: string): string => `--${name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;

/**
 * The loose parts of the flags, or undefined where `--bundle` names a bundle that is read as ever. Throws USAGE when
 * parts are missing or given twice, FILE_UNREADABLE, and what reading the old document throws.
 */
export async function openDetached(
  context: Context,
  flags: DetachedFlags,
  kind: "message" | "envelope",
): Promise<{ readonly name: string; readonly seal: LegacySignature } | undefined> {
  const given = LOOSE.filter((name) => (flags[name] ?? "") !== "");
  if (flags.bundle === undefined && flags.signature === undefined) {
    throw new CliError("USAGE", given.length === 0 ? "--bundle is missing: where is the seal?" : "--signature is missing", {
      hint: "Give --bundle FILE, or --signature FILE and, unless a key signed, --certificate FILE.",
    });
  }
  const file = flags.bundle === undefined ? undefined : await readNamed(context, flags.bundle);
  if (file !== undefined && !isLegacyBundle(file)) {
    if (given.length === 0) return undefined;
    throw new CliError(
      "USAGE",
      `${given.map(kebab).join(", ")} cannot be given with a bundle, which has a signature of its own`,
      {
        hint: "Leave them out, or leave --bundle out.",
      },
    );
  }
  const document = file === undefined ? undefined : decodeLegacyBundle(file);
  const read = async (name: (typeof LOOSE)[number]): Promise<Uint8Array | undefined> =>
    (flags[name] ?? "") === "" ? undefined : readNamed(context, flags[name]!);
  const signature = onlyOne("signature", document?.signature, await read("signature"));
  const certificate = onlyOne("certificate", document?.certificate, await read("certificate"));
  if (signature === undefined) throw new CliError("USAGE", "--signature is missing");
  return {
    name: flags.bundle ?? flags.signature!,
    seal: {
      mediaType: LEGACY_MEDIA_TYPE,
      content: kind === "message" ? { kind, signature: opened(signature) } : { kind, envelope: opened(signature) },
      certificate,
      rekorBundle: document?.rekorBundle,
      timestamp: await read("rfc3161Timestamp"),
    },
  };
}

type Part = Uint8Array | string | undefined;

// The same part in the document and in a file, in whatever spelling, is one part.
function onlyOne(name: string, inDocument: Part, inFile: Uint8Array | undefined): Uint8Array | string | undefined {
  if (inDocument === undefined || inFile === undefined) return inDocument ?? inFile;
  if (equalBytes(opened(inDocument), opened(inFile))) return inDocument;
  throw new CliError("USAGE", `--${name} is another ${name} than the one in the bundle document`, {
    hint: "Only one of them can be meant: leave the other out.",
  });
}

/** What is in base64 (on one line or wrapped, as `base64` and `openssl` write it), or the octets themselves. */
export function opened(part: Uint8Array | string): Uint8Array {
  const bytes = typeof part === "string" ? utf8(part) : part;
  const written = Buffer.from(bytes)
    .toString("latin1")
    .replaceAll(/[\r\n]/g, "")
    .trim();
  return /^[A-Za-z0-9+/]+={0,2}$/.test(written) && written.length % 4 === 0 ? fromBase64(written) : bytes;
}
