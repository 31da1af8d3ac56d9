// SPDX-License-Identifier: Apache-2.0
/**
 * The verification that `verify`, `verify-blob` and `verify-blob-attestation` share: bundles from a file, artifacts as
 * streams, one verdict each, and the exit status of them all.
 *
 * A bundle file holds one bundle, or several as JSON lines. An artifact is verified when one of them verifies for it;
 * otherwise the refusal that got furthest is told. One bad artifact does not hide another: all are looked at. Status 1
 * wins over 3, 3 over 0.
 */
import { toHex } from "@lacre/core/bytes";
import type { HashName, PublicKey } from "@lacre/core/crypto";
import { LacreError } from "@lacre/core/errors";
import { createVerifier, decidingCheck, type Policy, readNeeds, type Verdict, type Verifier } from "@lacre/core/verify";
import { describeVerdict } from "./account.ts";
import { type Artifact, hashArtifact, readArtifact } from "./artifact.ts";
import type { Conditions } from "./conditions.ts";
import type { Context } from "./context.ts";
import type { Seal } from "./detached.ts";
import { CliError, type Report, reportOf } from "./errors.ts";
import { formatReport } from "./report.ts";
import type { TrustedRoot } from "@lacre/core/trust";
import { type Chosen, findTrustedRoot, readNamed, type TrustFlags } from "./trust.ts";

export interface CheckOptions {
  /** undefined: a statement is verified without being about anything. */
  readonly artifacts: readonly (Artifact | undefined)[];
  /** The file of bundles; with `seal`, only a name. */
  readonly bundlePath: string;
  /** What to verify with instead: the loose parts of a signature of the old kind. */
  readonly seal?: Seal | undefined;
  /** A ledger to ask for the entry of loose parts that bring none. */
  readonly ledgerUrl?: string | undefined;
  readonly policy: Policy;
  /** What a verified statement has to say besides. */
  readonly conditions?: Conditions | undefined;
  readonly key: PublicKey | undefined;
  readonly trust: TrustFlags;
  readonly asJson: boolean;
  /** Where the account for people goes. */
  readonly stream: "stdout" | "stderr";
}

const MAX_BUNDLES = 1000;
/** Schemes that sign the message itself need it in memory. */
const MAX_MESSAGE_BYTES = 256 << 20;

/** Verifies and reports. Returns the exit status. */
export async function checkAll(context: Context, options: CheckOptions): Promise<number> {
  const bundles = options.seal === undefined ? splitBundles(await readNamed(context, options.bundlePath)) : [options.seal];
  const verifier = await createConfigured(context, options);
  let worst = 0;
  for (const artifact of options.artifacts) {
    const name = artifact?.name ?? options.bundlePath;
    try {
      const verdict = await checkOne(context, verifier, options, bundles, artifact);
      worst = worse(worst, tellOutcome(context, options, name, options.bundlePath, verdict));
    } catch (error) {
      if (options.artifacts.length === 1) throw error;
      worst = worse(worst, tellFailure(context, options, reportOf(error)));
    }
  }
  return worst;
}

/** The exit status of several: 1 wins over the others, and any other over 0. */
export function worse(before: number, status: number): number {
  return before === 0 || status === 1 ? status : before;
}

/** Tells a verdict on an artifact. Returns its exit status. */
export function tellOutcome(
  context: Context,
  { asJson, stream }: Pick<CheckOptions, "asJson" | "stream">,
  name: string,
  bundlePath: string,
  verdict: Verdict,
): number {
  const isRefused = verdict.outcome === "refused";
  if (asJson) context.terminal.result(JSON.stringify(verdict));
  else {
    const account = describeVerdict(context.terminal, stream, name, bundlePath, verdict);
    if (isRefused) context.terminal.complain(account);
    else if (stream === "stderr") context.terminal.say(account);
    else if (!context.terminal.isQuiet) context.terminal.result(account);
  }
  return isRefused ? 1 : 0;
}

/** Tells that an artifact of several could not be looked at. Returns the exit status of that. */
export function tellFailure(context: Context, { asJson }: Pick<CheckOptions, "asJson">, report: Report): number {
  if (asJson) context.terminal.result(JSON.stringify({ error: report }));
  context.terminal.complain(formatReport(report, (text) => context.terminal.style("stderr", "red", text)));
  return report.status;
}

/** The verifier that the flags ask for. Throws TRUST_MISSING and what reading a trusted root throws. */
export async function createConfigured(
  context: Context,
  options: Pick<CheckOptions, "key" | "policy" | "trust">,
): Promise<Verifier> {
  const root = await findConfiguredRoot(context, options);
  return root === undefined ? createVerifier({}) : createVerifier({ trustedRoot: root.value, rootSource: root.source });
}

/** The trusted root that the flags ask for; undefined where a bare key needs none. */
export async function findConfiguredRoot(
  context: Context,
  options: Pick<CheckOptions, "key" | "policy" | "trust">,
): Promise<Chosen<TrustedRoot> | undefined> {
  // Without a log to check, a key needs nobody's word: no root is looked for, and nothing is asked.
  const isBare =
    options.key !== undefined &&
    options.policy.ignoreTlog === true &&
    options.trust.trustedRoot === undefined &&
    options.trust.trustPack === undefined;
  return isBare ? undefined : findTrustedRoot(context, options.trust);
}

/** The verdict on one artifact: that of the first seal that verifies for it, or of the one that got furthest. */
export async function checkOne(
  context: Context,
  verifier: Verifier,
  options: Pick<CheckOptions, "key" | "policy" | "ledgerUrl" | "conditions">,
  bundles: readonly Seal[],
  artifact: Artifact | undefined,
): Promise<Verdict> {
  const needs = bundles.map((bundle) => readNeeds(bundle, options.key));
  const wanted = new Set<HashName>(needs.flatMap((need) => need.hashes));
  const isWhole = needs.some((need) => need.isWhole) && artifact !== undefined && artifact.kind !== "digest";
  const given =
    artifact === undefined
      ? undefined
      : isWhole
        ? await holdArtifact(context, artifact, [...wanted])
        : { digests: await hashArtifact(context, artifact, [...wanted]) };
  const candidates = options.ledgerUrl === undefined ? bundles : await askLedger(context, options.ledgerUrl, bundles, given);
  const { conditions } = options;
  let best: Verdict | undefined;
  let good: Verdict | undefined;
  for (const bundle of candidates) {
    let verdict = verifier.verify({
      bundle,
      artifact: given,
      policy: options.policy,
      ...(options.key === undefined ? {} : { key: options.key }),
      nowMs: context.now(),
    });
    if (verdict.outcome === "verified" && conditions !== undefined) {
      const { refuseVerdict } = await import("./conditions.ts");
      const digests = Object.fromEntries([...(given?.digests ?? [])].map(([hash, digest]) => [hash, toHex(digest)]));
      const unmet = await conditions.check(verdict, { kind: "file", name: artifact?.name ?? "", digests });
      if (unmet !== undefined) {
        verdict = refuseVerdict(verdict, unmet);
        if (conditions.isForAll) return verdict;
      }
    }
    if (verdict.outcome === "verified" && conditions?.isForAll !== true) return verdict;
    if (verdict.outcome === "verified") {
      good ??= verdict;
      continue;
    }
    if (best === undefined || reach(verdict) > reach(best)) best = verdict;
  }
  return good ?? best!;
}

async function askLedger(
  context: Context,
  url: string,
  seals: readonly Seal[],
  artifact: { readonly digests: ReadonlyMap<HashName, Uint8Array> } | undefined,
): Promise<readonly Seal[]> {
  const { withEntries } = await import("./online.ts");
  const found: Seal[] = [];
  for (const seal of seals) {
    if (seal instanceof Uint8Array || seal.rekorBundle !== undefined) found.push(seal);
    else found.push(...(await withEntries(context, url, seal, artifact?.digests.get("sha256"))));
  }
  return found;
}

/** How far a refused verification got. */
function reach(verdict: Verdict): number {
  const check = decidingCheck(verdict);
  return check === undefined ? -1 : verdict.checks.filter((one) => one.status === "pass").length;
}

/** An artifact held in memory, for schemes that sign the message itself. Throws TOO_LARGE. */
export async function holdArtifact(
  context: Context,
  artifact: Artifact,
  algorithms: readonly HashName[],
): Promise<{ digests: ReadonlyMap<HashName, Uint8Array>; message: Uint8Array }> {
  const { hash } = await import("@lacre/core/crypto");
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of readArtifact(context, artifact)) {
    length += chunk.length;
    if (length > MAX_MESSAGE_BYTES)
      throw new LacreError("TOO_LARGE", "signatures of this kind cannot be verified over a file this large", {
        expected: `at most ${MAX_MESSAGE_BYTES} octets`,
      });
    parts.push(chunk);
  }
  const message = Buffer.concat(parts);
  return { message, digests: new Map(algorithms.map((algorithm) => [algorithm, hash(algorithm, message)])) };
}

/** The bundles of a file: one JSON document, or one a line. */
export function splitBundles(file: Uint8Array): readonly Uint8Array[] {
  const buffer = Buffer.from(file.buffer, file.byteOffset, file.byteLength);
  const end = buffer.indexOf(0x0a);
  const isOneLine = end < 0 || buffer.subarray(end).every((octet) => octet === 0x0a || octet === 0x0d || octet === 0x20);
  const first = (end < 0 ? buffer : buffer.subarray(0, end)).toString("latin1").trim();
  if (isOneLine || !first.startsWith("{") || !first.endsWith("}")) return [file];
  const lines: Uint8Array[] = [];
  for (let from = 0; from < buffer.length;) {
    const to = buffer.indexOf(0x0a, from);
    const line = buffer.subarray(from, to < 0 ? buffer.length : to);
    if (line.toString("latin1").trim() !== "") lines.push(line);
    if (lines.length > MAX_BUNDLES) throw new CliError("USAGE", `a bundle file holds at most ${MAX_BUNDLES} bundles`);
    from = to < 0 ? buffer.length : to + 1;
  }
  return lines;
}
