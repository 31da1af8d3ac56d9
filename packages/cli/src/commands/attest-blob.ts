// SPDX-License-Identifier: Apache-2.0
import { basename, resolve } from "node:path";
import { encodeStatement } from "@lacre/core/sign";
import { hashArtifact, parseBlob } from "../artifact.ts";
import type { Context } from "../context.ts";
import { CliError } from "../errors.ts";
import { writeWhole } from "../home.ts";
import { encodePredicate, predicateType } from "../predicates.ts";
import { formatOldBundle, writePieces } from "../pieces.ts";
import { refuse, refusedFlags, REFUSED_SIGNING } from "../refusals.ts";
import { describeSealed, openWorkshop, saySealed, SEALING_FLAGS } from "../sealing.ts";
import { readNamed } from "../trust.ts";
import { applyGlobals, GLOBAL_FLAGS } from "../globals.ts";
import { choice, defineVerb, text, toggle, type Verb } from "../verb.ts";

const IN_TOTO = "application/vnd.in-toto+json";

async function readAll(context: Context, path: string): Promise<Uint8Array> {
  if (path !== "-") return readNamed(context, path);
  const parts: Uint8Array[] = [];
  for await (const chunk of context.stdin) parts.push(chunk);
  return Buffer.concat(parts);
}

export const verb: Verb = defineVerb({
  brief: "Seal a statement about a file, with cosign's flags",
  details: "The statement says --predicate, of --type, about FILE; or it is ready-made in --statement and signed as it is.",
  isCosign: true,
  flags: {
    ...SEALING_FLAGS,
    ...refusedFlags(REFUSED_SIGNING),
    bundle: text("Where the seal goes", { placeholder: "file" }),
    predicate: text("What is said: a JSON file; - for standard input", { placeholder: "file" }),
    statement: text("A ready-made in-toto statement; - for standard input", { placeholder: "file" }),
    type: text("Type of the predicate: a short name or a URI (default custom)", { placeholder: "type" }),
    hash: text("Digest of FILE, instead of reading it", { placeholder: "hex" }),
    newBundleFormat: toggle("Write the bundle format; false: the one of cosign before 3 (default true)", { hidden: true }),
    outputAttestation: text("Also write the statement here", { placeholder: "file" }),
    outputSignature: text("Also write the signed envelope here", { placeholder: "file" }),
    outputCertificate: text("Also write the certificate here", { placeholder: "file" }),
    rfc3161TimestampBundle: text("Also write the timestamp here", { placeholder: "file" }),
    rekorEntryType: choice(["dsse", "intoto"], "Kind of the ledger entry (default dsse)", { hidden: true }),
    output: choice(["text", "json"], "How to report", { alias: "o" }),
    ...GLOBAL_FLAGS,
  },
  operands: { name: "FILE", brief: "What the statement is about", minimum: 0, maximum: 1 },
  async run(given, flags, operands) {
    const context = applyGlobals(given, flags);
    refuse(REFUSED_SIGNING, flags);
    if (flags.bundle === undefined && flags.outputSignature === undefined)
      throw new CliError("USAGE", "--bundle is missing: where shall the seal go?");
    if (flags.rekorEntryType === "intoto") {
      throw new CliError("UNSUPPORTED_FLAG", "--rekor-entry-type intoto cannot be honoured: it is the ledgers' old kind", {
        hint: "Use dsse, which every verifier of the last years reads.",
      });
    }
    const [file] = operands;
    if ((flags.predicate === undefined) === (flags.statement === undefined))
      throw new CliError("USAGE", "give either --predicate or --statement");
    let payload: Uint8Array;
    if (flags.statement !== undefined) payload = await readAll(context, flags.statement);
    else {
      if (file === undefined) throw new CliError("USAGE", "FILE is missing: what is the statement about?");
      const value =
        flags.hash === undefined
          ? (await hashArtifact(context, parseBlob(file, context.cwd), ["sha256"])).get("sha256")!
          : Buffer.from(flags.hash, "hex");
      if (value.length !== 32) throw new CliError("USAGE", "--hash is not a SHA-256 in hexadecimal");
      const type = flags.type ?? "custom";
      const predicate = encodePredicate(type, await readAll(context, flags.predicate!), context.now());
      payload = encodeStatement(
        [{ name: basename(file), digest: { algorithm: "sha256", value } }],
        predicateType(type),
        predicate,
      );
    }
    const { sealer } = await openWorkshop(context, flags);
    const sealed = await sealer.sealEnvelope(payload, IN_TOTO);
    if (flags.bundle !== undefined) {
      const text = flags.newBundleFormat === false ? formatOldBundle(sealed) : sealed.json;
      await writeWhole(resolve(context.cwd, flags.bundle), text, 0o644);
    }
    await writePieces(context, sealed, {
      signature: flags.outputSignature,
      certificate: flags.outputCertificate,
      attestation: flags.outputAttestation,
      timestamp: flags.rfc3161TimestampBundle,
      isBase64: false,
    });
    const name = file ?? flags.statement ?? "statement";
    if (flags.output === "json") context.terminal.result(JSON.stringify(describeSealed(name, flags.bundle, sealed)));
    else saySealed(context, name, flags.bundle, sealed);
  },
});
