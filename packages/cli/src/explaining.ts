// SPDX-License-Identifier: Apache-2.0
/**
 * Saved documents in words: a verdict check by check, the report of an error, a bundle's own claims.
 *
 * Whatever is told here is told of a file that anybody may have written: a verdict proves something where it is made, not
 * where it is read. So this says so, and never ends with a status that could be taken for a verification.
 */
import { decodeBundle, decodeStatement, type Bundle } from "@lacre/core/bundle";
import { toHex } from "@lacre/core/bytes";
import { LacreError } from "@lacre/core/errors";
import { IN_TOTO, type Check, type CheckStatus, type Verdict } from "@lacre/core/verify";
import { decodeCertificate, formatName, readIdentity } from "@lacre/core/x509";
import { formatTime, tellVerdict } from "./account.ts";
import { plain, type Style, type Terminal } from "./terminal.ts";

/** What the blocks of the catalogue ask, by their letter. */
const BLOCKS: Readonly<Record<string, string>> = {
  A: "What was handed in",
  B: "How the bundle is built",
  C: "Whom we trust",
  D: "When it was signed",
  E: "The timestamps",
  F: "That it was logged",
  G: "That the log entry is about this",
  H: "The signer's certificate",
  I: "Who signed, and whether they may",
  J: "What was signed",
  K: "The outcome",
};

const STYLES: Readonly<Record<CheckStatus, Style>> = {
  pass: "green",
  fail: ["red", "bold"],
  unknown: ["red", "bold"],
  assumed: "yellow",
  skipped: "dim",
};

/** A verdict, check by check. `about`: what it is of, where the file says so. */
export function explainVerdict(terminal: Terminal, about: string, verdict: Verdict): string {
  // Not the words of a verification: whoever looks for those must not find them here.
  const outcome = verdict.outcome === "verified" ? "It was verified" : "It was refused";
  const style: Style = verdict.outcome === "verified" ? "green" : ["red", "bold"];
  const lines = [`${plain(about)}: ${terminal.style("stdout", style, outcome)}`, ...tellVerdict(verdict), ""];
  for (const [letter, title] of Object.entries(BLOCKS)) {
    const inBlock = verdict.checks.filter(({ id }) => id.startsWith(letter));
    const [first] = inBlock;
    lines.push(`${letter}  ${title}`);
    const isIdle = inBlock.every(({ status, evidence }) => status === "skipped" && evidence === first?.evidence);
    if (isIdle)
      lines.push(`   ${terminal.style("stdout", "dim", "skipped ")} all of it: ${plain(first?.evidence ?? "no reason given")}`);
    else for (const check of inBlock) lines.push(...explainCheck(terminal, check));
  }
  return lines.join("\n");
}

function explainCheck(terminal: Terminal, { id, name, status, code, message, expected, found, evidence, hint }: Check): string[] {
  const because = evidence === undefined ? "" : `: ${plain(evidence)}`;
  const lines = [`   ${terminal.style("stdout", STYLES[status], status.padEnd(8))} ${id.padEnd(3)} ${plain(name)}${because}`];
  const row = (label: string, value: string | undefined): void => {
    if (value !== undefined && value !== "") lines.push(`${" ".repeat(16)}${label.padEnd(9)} ${plain(value)}`);
  };
  row("reason", message === undefined ? undefined : `${message}${code === undefined ? "" : ` [${code}]`}`);
  row("expected", expected);
  row("found", found);
  row("to do", hint);
  return lines;
}

/** What a bundle claims. Nothing of it is checked. Throws what decoding the bundle throws. */
export function explainBundle(name: string, bytes: Uint8Array): string {
  const bundle = decodeBundle(bytes);
  const lines = [`A bundle, not a verdict: what ${plain(name)} claims. Nothing of it was checked.`];
  const row = (label: string, value: string): void => void lines.push(`  ${label.padEnd(11)} ${plain(value)}`);
  row("form", bundle.mediaType);
  tellContent(bundle, row);
  tellSigner(bundle, row);
  for (const { kind, version, logId, logIndex, integratedTime, inclusionProof, signedEntryTimestamp } of bundle.logEntries) {
    const proofs = [inclusionProof === undefined ? "" : "a proof", signedEntryTimestamp === undefined ? "" : "a promise"];
    const stated = integratedTime === 0n ? "" : `, at ${formatTime(Number(integratedTime) * 1000)}`;
    row("logged", `entry ${logIndex} (${kind} ${version}) of log ${toHex(logId)}${stated}`);
    row("", `with ${proofs.filter((word) => word !== "").join(" and ") || "neither proof nor promise"}`);
  }
  if (bundle.logEntries.length === 0) row("logged", "nowhere");
  row("timestamps", `${bundle.timestamps.length}`);
  for (const path of bundle.unknownFields) row("unknown", path);
  const isKey = bundle.key.kind === "publicKey";
  row(
    "to do",
    `verify it: lacre verify FILE --bundle ${name} ${isKey ? "--key KEY" : "--certificate-identity WHO --certificate-oidc-issuer URL"}`,
  );
  return lines.join("\n");
}

function tellContent({ content }: Bundle, row: (label: string, value: string) => void): void {
  if (content.kind === "message") {
    const { digest } = content;
    row("over", digest === undefined ? "a file (no digest stated)" : `a file with ${digest.algorithm}:${toHex(digest.value)}`);
    return;
  }
  row("over", `an envelope of ${content.payloadType}, ${content.payload.length} bytes`);
  if (content.payloadType !== IN_TOTO) return;
  try {
    const { predicateType, subjects } = decodeStatement(content.payload);
    row("states", predicateType);
    for (const { name = "unnamed", digests } of subjects.slice(0, 10))
      row("about", `${name} ${[...digests].map(([hash, value]) => `${hash}:${value}`).join(" ")}`);
    if (subjects.length > 10) row("", `and ${subjects.length - 10} more`);
  } catch (error) {
    if (!(error instanceof LacreError)) throw error;
    row("states", `nothing readable: ${error.message} [${error.code}]`);
  }
}

function tellSigner({ key }: Bundle, row: (label: string, value: string) => void): void {
  if (key.kind === "publicKey") return row("signed with", key.hint === "" ? "a key without a name" : `a key called ${key.hint}`);
  try {
    const certificate = decodeCertificate(key.chain[0]!);
    const { san, issuer, claims } = readIdentity(certificate);
    row("signed by", `${san.value}, vouched for by ${issuer ?? "nobody"}`);
    for (const [claim, value] of claims) row("", `${claim}: ${value}`);
    row("certificate", `of ${formatName(certificate.issuer)}`);
    row("", `valid ${formatTime(certificate.notBeforeMs)} to ${formatTime(certificate.notAfterMs)}`);
  } catch (error) {
    if (!(error instanceof LacreError)) throw error;
    row("signed by", `a certificate that cannot be read: ${error.message} [${error.code}]`);
  }
}
