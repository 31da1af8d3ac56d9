// SPDX-License-Identifier: Apache-2.0
/**
 * A verdict in words: what was proved (who, when, where it is logged) or which check decided against, what it expected,
 * what it found, and what to do.
 */
import { decidingCheck, type Verdict } from "@lacre/core/verify";
import { plain, type Terminal } from "./terminal.ts";

/** The lines for one artifact. `stream` decides about colour. */
export function describeVerdict(
  terminal: Terminal,
  stream: "stdout" | "stderr",
  name: string,
  bundle: string,
  verdict: Verdict,
): string {
  const heading =
    verdict.outcome === "verified"
      ? terminal.style(stream, "green", "Verified OK")
      : terminal.style(stream, ["red", "bold"], "REFUSED");
  return [`${heading}  ${plain(name)}`, ...tellVerdict(verdict, bundle)].join("\n");
}

/** What a verdict says, without its heading. */
export function tellVerdict(verdict: Verdict, bundle?: string): readonly string[] {
  return verdict.outcome === "verified" ? tellVerified(verdict) : tellRefused(verdict, bundle);
}

function tellVerified(verdict: Verdict): readonly string[] {
  const lines: string[] = [];
  const row = (label: string, value: string): void => void lines.push(`  ${label.padEnd(11)} ${plain(value)}`);
  if (verdict.identity !== undefined)
    row(
      "signed by",
      `${verdict.identity.value}${verdict.identity.issuer === undefined ? "" : `, vouched for by ${verdict.identity.issuer}`}`,
    );
  if (verdict.key !== undefined) row("signed with", `key ${verdict.key}`);
  for (const [claim, value] of Object.entries(verdict.identity?.claims ?? {})) row("", `${claim}: ${value}`);
  for (const { timeMs, kind, source } of verdict.times ?? [])
    row("at", `${formatTime(timeMs)}, says the ${kind === "timestamp" ? "timestamp authority" : "log"} ${source}`);
  for (const { log: address, logId, logIndex, treeIndex, treeSize } of verdict.logEntries ?? []) {
    // A log that is trusted by its key alone has no address.
    const log = address === "" ? `the log of key ${logId.slice(0, 16)}…` : address;
    // A log of several trees counts over all of them: its index is not the place in the tree.
    const index = logIndex ?? treeIndex;
    const place =
      treeSize === undefined ? "" : index === treeIndex ? ` of ${treeSize}` : ` (${treeIndex} of ${treeSize} in its tree)`;
    row("logged", `${log}${index === undefined ? "" : `, entry ${index}${place}`}`);
  }
  for (const [hash, value] of Object.entries(verdict.artifact ?? {})) row("artifact", `${hash}:${value}`);
  if (verdict.predicateType !== undefined) row("states", verdict.predicateType);
  describeRoot(verdict, row);
  for (const warning of verdict.warnings) row("warning", warning);
  for (const [evidence, ids] of listAssumed(verdict)) row("not checked", `${ids.join(", ")}: ${evidence}`);
  return lines;
}

/** Assumptions that every verification makes and nobody needs to be told. */
const QUIET = new Set(["C7"]);

/** What was waived, by reason. */
function listAssumed(verdict: Verdict): ReadonlyMap<string, readonly string[]> {
  const reasons = new Map<string, string[]>();
  for (const { id, status, evidence = "waived" } of verdict.checks) {
    if (status !== "assumed" || QUIET.has(id)) continue;
    const ids = reasons.get(evidence);
    if (ids === undefined) reasons.set(evidence, [id]);
    else ids.push(id);
  }
  return reasons;
}

function tellRefused(verdict: Verdict, bundle: string | undefined): readonly string[] {
  const check = decidingCheck(verdict);
  const lines: string[] = [];
  const row = (label: string, value: string | undefined): void => {
    if (value !== undefined) lines.push(`  ${label.padEnd(11)} ${plain(value)}`);
  };
  row("seal", bundle);
  row("check", check === undefined ? "none was reached" : `${check.id}: ${check.name}`);
  row(
    "reason",
    check === undefined ? undefined : `${check.message ?? "not proved"}${check.code === undefined ? "" : ` [${check.code}]`}`,
  );
  row("expected", check?.expected);
  row("found", check?.found);
  row("to do", check?.hint);
  describeRoot(verdict, row);
  for (const warning of verdict.warnings) row("warning", warning);
  return lines;
}

function describeRoot(verdict: Verdict, row: (label: string, value: string) => void): void {
  const root = verdict.trustedRoot;
  if (root?.source !== undefined) row("trusting", `${root.source}${root.reason === undefined ? "" : ` (${root.reason})`}`);
}

/** A moment as people read it, in UTC. */
export function formatTime(timeMs: number): string {
  return Math.abs(timeMs) <= 8.64e15
    ? `${new Date(timeMs)
        .toISOString()
        .replace(/\.\d+Z$/, "")
        .replace("T", " ")} UTC`
    : "an impossible time";
}
