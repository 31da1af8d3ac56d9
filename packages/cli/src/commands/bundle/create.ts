// SPDX-License-Identifier: Apache-2.0
import { resolve } from "node:path";
import {
  assembleLegacy,
  type Bundle,
  decodeLegacyBundle,
  encodeBundle,
  LEGACY_MEDIA_TYPE,
  type LogEntry,
} from "@lacre/core/bundle";
import { equalBytes, toBase64 } from "@lacre/core/bytes";
import { findEntriesV1 } from "@lacre/core/client";
import { sha256 } from "@lacre/core/crypto";
import { hashArtifact, parseBlob } from "../../artifact.ts";
import { opened } from "../../detached.ts";
import { CliError } from "../../errors.ts";
import { applyGlobals, GLOBAL_FLAGS } from "../../globals.ts";
import { writeWhole } from "../../home.ts";
import { readPublicKey } from "../../keys.ts";
import { refuse, refusedFlags, REFUSED_TOKEN } from "../../refusals.ts";
import { readNamed } from "../../trust.ts";
import type { Context } from "../../context.ts";
import { defineVerb, text, toggle, type Verb } from "../../verb.ts";

/** The entry with its proof: as the ledger gives it out, if it is the same entry. What it is worth is for a verifier to say. */
async function complete(
  context: Context,
  url: string,
  entry: LogEntry | undefined,
  digest: Uint8Array,
  signature: Uint8Array,
): Promise<LogEntry> {
  const found = await findEntriesV1({ url, fetch: context.fetch }, { algorithm: "sha256", value: digest });
  const wanted = toBase64(signature);
  const same = found.find((one) =>
    entry === undefined
      ? Buffer.from(one.canonicalizedBody).toString("latin1").includes(wanted)
      : one.logIndex === entry.logIndex && equalBytes(one.canonicalizedBody, entry.canonicalizedBody),
  );
  if (same === undefined) throw new CliError("FILE_UNREADABLE", `the ledger at ${url} gives out no entry of this signature`);
  return same;
}

export const verb: Verb = defineVerb({
  brief: "Put loose parts of a signature together into a bundle",
  details: `  lacre bundle create --artifact FILE --signature FILE.sig --certificate FILE.pem --rekor-url https://log.example --out B
  lacre bundle create --artifact FILE --bundle OLD.json --rekor-url https://log.example --out B

Nothing is verified here; lacre verify does that. An entry of a ledger needs its proof, which old bundles do not have: the
ledger of --rekor-url is asked for it. --ignore-tlog makes a bundle without an entry.`,
  isCosign: true,
  flags: {
    artifact: text("The file that was signed", { placeholder: "file" }),
    attestation: text("The signed envelope of a statement", { placeholder: "file" }),
    bundle: text("A bundle of the old kind", { placeholder: "file" }),
    signature: text("The signature", { placeholder: "file" }),
    certificate: text("The signer's certificate", { placeholder: "file" }),
    key: text("The signer's public key", { placeholder: "file" }),
    rfc3161Timestamp: text("The timestamp", { placeholder: "file" }),
    rekorUrl: text("The ledger to ask for the entry's proof", { placeholder: "url" }),
    ignoreTlog: toggle("Make a bundle without a ledger's entry"),
    out: text("Where the bundle goes (default standard output)", { placeholder: "file" }),
    ...refusedFlags(REFUSED_TOKEN),
    ...GLOBAL_FLAGS,
  },
  async run(given, flags) {
    const context = applyGlobals(given, flags);
    refuse(REFUSED_TOKEN, flags);
    if (flags.artifact === undefined && flags.attestation === undefined)
      throw new CliError("USAGE", "--artifact is missing: what was signed?");
    if ([flags.bundle, flags.signature, flags.attestation].filter((one) => one !== undefined).length !== 1)
      throw new CliError("USAGE", "give one of --signature, --attestation and --bundle: where is the signature?");
    const read = async (path: string | undefined): Promise<Uint8Array | undefined> =>
      path === undefined ? undefined : readNamed(context, path);
    const old = flags.bundle === undefined ? undefined : decodeLegacyBundle(await readNamed(context, flags.bundle));
    const loose = await read(flags.signature);
    const signature = old?.signature ?? (loose === undefined ? undefined : opened(loose));
    const isEnvelope = flags.attestation !== undefined || (typeof signature === "string" && signature.startsWith("eyJ"));
    const envelope = (await read(flags.attestation)) ?? (isEnvelope ? Buffer.from(signature as string, "base64") : undefined);
    const parts = assembleLegacy({
      mediaType: LEGACY_MEDIA_TYPE,
      content: envelope === undefined ? { kind: "message", signature: signature! } : { kind: "envelope", envelope },
      // A key in the certificate's place is what cosign writes for keys; it is given with --key here, or not at all.
      certificate: (await read(flags.certificate)) ?? (flags.key === undefined ? old?.certificate : undefined),
      rekorBundle: flags.ignoreTlog === true ? undefined : old?.rekorBundle,
      timestamp: await read(flags.rfc3161Timestamp),
    });
    const digest =
      parts.content.kind === "dsse"
        ? sha256(parts.content.payload)
        : (await hashArtifact(context, parseBlob(flags.artifact!, context.cwd), ["sha256"])).get("sha256")!;
    const [entry] = parts.logEntries;
    if (flags.ignoreTlog !== true && flags.rekorUrl === undefined) {
      throw new CliError("USAGE", "the ledger's entry needs its proof, and no ledger is named to ask", {
        hint: "Give --rekor-url URL, or --ignore-tlog for a bundle without an entry.",
      });
    }
    const logEntries =
      flags.ignoreTlog === true ? [] : [await complete(context, flags.rekorUrl!, entry, digest, parts.content.signature)];
    const hint = flags.key === undefined ? "" : toBase64(sha256((await readPublicKey(context, flags.key)).spki));
    if (flags.key === undefined && parts.key.kind !== "certificate")
      throw new CliError("USAGE", "give --certificate or --key: who signed?");
    const content: Bundle["content"] =
      parts.content.kind === "dsse" ? parts.content : { ...parts.content, digest: { algorithm: "sha256", value: digest } };
    const json = encodeBundle({
      ...parts,
      key: flags.key === undefined ? parts.key : { kind: "publicKey", hint },
      content,
      logEntries,
    });
    if (flags.out === undefined) context.terminal.result(json);
    else await writeWhole(resolve(context.cwd, flags.out), json, 0o644);
  },
});
