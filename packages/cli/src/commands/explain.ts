// SPDX-License-Identifier: Apache-2.0
import { decodeBundle } from "@lacre/core/bundle";
import { utf8 } from "@lacre/core/bytes";
import { parseJson, type Json } from "@lacre/core/codec";
import { LacreError } from "@lacre/core/errors";
import { decodeVerdict, VERDICT_SCHEMA, type Verdict } from "@lacre/core/verify";
import { splitBundles } from "../checking.ts";
import type { Context } from "../context.ts";
import { CliError, type Report } from "../errors.ts";
import { explainBundle, explainVerdict } from "../explaining.ts";
import { formatReport } from "../report.ts";
import { applyGlobals, GLOBAL_FLAGS } from "../globals.ts";
import { plain } from "../terminal.ts";
import { readNamed } from "../trust.ts";
import { choice, defineVerb, type Verb } from "../verb.ts";

/** What a document holds: verdicts, each with what it is of; a report; or a bundle. */
type Part =
  | { readonly kind: "verdict"; readonly about: string; readonly verdict: Verdict }
  | { readonly kind: "note"; readonly about: string; readonly text: string }
  | { readonly kind: "error"; readonly report: Report }
  | { readonly kind: "bundle"; readonly bytes: Uint8Array };

export const verb: Verb = defineVerb({
  brief: "Explain a saved verdict, check by check",
  details: `  lacre verify ./FILE --bundle FILE.sigstore.json … --output json > verdict.json
  lacre explain verdict.json
  lacre explain FILE.sigstore.json      what a bundle claims, unverified

FILE is what --output json printed: one verdict, or one a line. Nothing is verified again: status 0 says that the file
could be read, whatever its verdict. --output json prints the verdicts, checked against their schema.`,
  flags: { output: choice(["text", "json"], "How to report", { alias: "o" }), ...GLOBAL_FLAGS },
  operands: { name: "FILE", brief: "A saved verdict; - for standard input", maximum: 1 },
  async run(given, flags, [name]) {
    const context = applyGlobals(given, flags);
    const file = name === "-" ? await readAll(context.stdin) : await readNamed(context, name!);
    const documents = splitBundles(file);
    const parts = documents.map((bytes) => read(bytes, name!));
    if (flags.output === "json") {
      if (parts.flat().some(({ kind }) => kind === "bundle"))
        throw new LacreError("VERDICT_INVALID", "the document is a bundle, not a verdict", {
          expected: "what a verification printed with --output json",
        });
      for (const bytes of documents) context.terminal.result(JSON.stringify(JSON.parse(Buffer.from(bytes).toString("utf8"))));
      return;
    }
    context.terminal.result(
      parts
        .flat()
        .map((part) => tell(part, name!, context))
        .join("\n\n"),
    );
    if (parts.flat().some(({ kind }) => kind !== "bundle"))
      context.terminal.say("This is what the file says; nothing was verified again.");
  },
});

function tell(part: Part, name: string, { terminal }: Context): string {
  if (part.kind === "verdict") return explainVerdict(terminal, part.about, part.verdict);
  if (part.kind === "bundle") return explainBundle(name, part.bytes);
  if (part.kind === "note") return `${plain(part.about)}: ${plain(part.text)}`;
  return `Nothing was verified.\n${formatReport(part.report, (text) => terminal.style("stdout", "red", text))}`;
}

const MAX_INPUT_BYTES = 256 << 20;

async function readAll(stream: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of stream) {
    length += part.length;
    if (length > MAX_INPUT_BYTES) throw new CliError("FILE_UNREADABLE", "standard input is larger than any verdict");
    parts.push(part);
  }
  return Buffer.concat(parts);
}

// What a document is, is seen by the member that only its kind has. What verbs wrap around verdicts is taken off.
function read(bytes: Uint8Array, name: string): readonly Part[] {
  const value = parseJson(bytes);
  if (!isObject(value) || value["schema"] === VERDICT_SCHEMA)
    return [{ kind: "verdict", about: name, verdict: decodeVerdict(bytes) }];
  if (value["error"] !== undefined) return [{ kind: "error", report: readReport(value["error"]) }];
  if (value["verificationMaterial"] !== undefined || value["verification_material"] !== undefined) {
    decodeBundle(bytes);
    return [{ kind: "bundle", bytes }];
  }
  const inner = (json: Json, about: string): Part => ({
    kind: "verdict",
    about,
    verdict: decodeVerdict(utf8(JSON.stringify(json))),
  });
  const nameIn = (...members: readonly string[]): string =>
    members.map((member) => value[member]).find((text) => typeof text === "string") ?? name;
  if (isObject(value["verdict"])) return [inner(value["verdict"], nameIn("commit", "tag", "name"))];
  const { seals } = value;
  if (Array.isArray(seals)) {
    const image = nameIn("image");
    if (seals.length === 0) return [{ kind: "note", about: image, text: "nothing was stored beside it: unsigned" }];
    return (seals as readonly Json[]).map((seal) => {
      if (!isObject(seal) || !isObject(seal["verdict"]))
        throw new LacreError("VERDICT_INVALID", "a signature's record has no verdict");
      return inner(
        seal["verdict"],
        `${image}, signature ${typeof seal["digest"] === "string" ? seal["digest"] : "without a digest"}`,
      );
    });
  }
  return [{ kind: "verdict", about: name, verdict: decodeVerdict(bytes) }];
}

function isObject(value: Json | undefined): value is { readonly [key: string]: Json } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function readReport(value: unknown): Report {
  const report = value as Partial<Record<keyof Report, unknown>> | null;
  const { status, code, message, hint, expected, found } = report ?? {};
  const isText = (part: unknown): part is string => typeof part === "string";
  if ((status !== 1 && status !== 2 && status !== 3) || !isText(code) || !isText(message) || !isText(hint))
    throw new LacreError("VERDICT_INVALID", "the document is no report of an error");
  return { status, code, message, hint, ...(isText(expected) ? { expected } : {}), ...(isText(found) ? { found } : {}) };
}
