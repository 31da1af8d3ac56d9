// SPDX-License-Identifier: Apache-2.0
import { type Bundle, decodeBundle } from "@lacre/core/bundle";
import { text as decodeText, toHex } from "@lacre/core/bytes";
import { parseJson } from "@lacre/core/codec";
import { sha256 } from "@lacre/core/crypto";
import { LacreError } from "@lacre/core/errors";
import { decodeCertificate, decodeTimestampResponse, formatName, readIdentity } from "@lacre/core/x509";
import { applyGlobals, GLOBAL_FLAGS } from "../../globals.ts";
import { plain } from "../../terminal.ts";
import { readNamed } from "../../trust.ts";
import { choice, defineVerb, type Verb } from "../../verb.ts";

/** What a bundle says. Nothing of it is proved. */
function describe(bundle: Bundle): Readonly<Record<string, unknown>> {
  const { content, key } = bundle;
  return {
    verified: false,
    mediaType: bundle.mediaType,
    version: bundle.version,
    content:
      content.kind === "dsse"
        ? {
            kind: "statement",
            payloadType: content.payloadType,
            payload: `sha256:${toHex(sha256(content.payload))}`,
            ...describePayload(content.payload),
          }
        : {
            kind: "signature over a file",
            ...(content.digest === undefined ? {} : { digest: `${content.digest.algorithm}:${toHex(content.digest.value)}` }),
          },
    signer: key.kind === "publicKey" ? { kind: "key", hint: key.hint } : describeCertificate(key.chain[0]!, key.chain.length),
    timestamps: bundle.timestamps.map((token) =>
      attempt(() => ({ time: new Date(decodeTimestampResponse(token).info.timeMs).toISOString() })),
    ),
    logEntries: bundle.logEntries.map((entry) => ({
      log: toHex(entry.logId),
      kind: `${entry.kind} ${entry.version}`,
      index: `${entry.logIndex}`,
      ...(entry.integratedTime === 0n ? {} : { integrated: new Date(Number(entry.integratedTime) * 1000).toISOString() }),
      promise: entry.signedEntryTimestamp !== undefined,
      ...(entry.inclusionProof === undefined
        ? { proof: false }
        : {
            proof: {
              index: `${entry.inclusionProof.logIndex}`,
              treeSize: `${entry.inclusionProof.treeSize}`,
              checkpoint: entry.inclusionProof.checkpoint.split("\n")[0],
            },
          }),
    })),
    ...(bundle.unknownFields.length === 0 ? {} : { unknownFields: bundle.unknownFields }),
  };
}

function describeCertificate(der: Uint8Array, count: number): object {
  return {
    kind: "certificate",
    ...attempt(() => {
      const certificate = decodeCertificate(der);
      return {
        issuedBy: formatName(certificate.issuer),
        from: new Date(certificate.notBeforeMs).toISOString(),
        to: new Date(certificate.notAfterMs).toISOString(),
        ...attempt(() => {
          const { san, issuer, claims } = readIdentity(certificate);
          return { identity: san.value, vouchedForBy: issuer, claims };
        }),
      };
    }),
    ...(count > 1 ? { certificates: count } : {}),
  };
}

function describePayload(payload: Uint8Array): object {
  return attempt(() => {
    const statement = parseJson(decodeText(payload)) as { predicateType?: unknown; subject?: unknown };
    return { predicateType: statement.predicateType, subjects: statement.subject };
  });
}

/** A part that cannot be read is said to be so, and does not hide the others. */
function attempt(read: () => object): object {
  try {
    return read();
  } catch (error) {
    if (error instanceof LacreError) return { unreadable: error.message };
    throw error;
  }
}

function* linesOf(value: unknown, indent: string): Generator<string> {
  for (const [name, member] of Object.entries(value as object) as [string, unknown][]) {
    if (member === undefined) continue;
    if (member !== null && typeof member === "object") {
      if (Object.keys(member).length === 0) continue;
      yield `${indent}${plain(name)}`;
      yield* linesOf(member, `${indent}  `);
    } else
      yield `${indent}${plain(name).padEnd(Math.max(2, 16 - indent.length))} ${plain(typeof member === "string" ? member : JSON.stringify(member))}`;
  }
}

export const verb: Verb = defineVerb({
  brief: "Show what a bundle says, without verifying it",
  details: "Nothing that is shown has been proved: anybody could have written it. lacre verify proves.",
  flags: { output: choice(["text", "json"], "How to show it", { alias: "o" }), ...GLOBAL_FLAGS },
  operands: { name: "BUNDLE", brief: "The bundle", maximum: 1 },
  async run(given, flags, [path]) {
    const context = applyGlobals(given, flags);
    const facts = describe(decodeBundle(await readNamed(context, path!)));
    if (flags.output === "json") context.terminal.result(JSON.stringify(facts));
    else
      context.terminal.result(
        [`${plain(path!)} says (nothing of it is verified):`, ...linesOf({ ...facts, verified: undefined }, "  ")].join("\n"),
      );
  },
});
