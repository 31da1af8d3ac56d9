// SPDX-License-Identifier: Apache-2.0
/**
 * `verify IMAGE` and `verify-attestation IMAGE`: opening images, judging what is stored beside them, telling it, and the
 * exit status.
 *
 * Standard output is cosign's, for scripts: `verify` prints one JSON array of claims for each image, `verify-attestation`
 * one envelope a line. `--output verdict` prints our whole record instead, one image a line. Everything for people goes to
 * standard error: what was checked, who signed, and why a signature does not count.
 *
 * "No signature" (10), "no such image" (11), "none that fits" (12), "no certificate" (13) and "could not look" (3) are never
 * taken for one another. All images are looked at; the status is the first definite no, else 3.
 */
import { decodeBundle, DSSE_MEDIA_TYPE, SIMPLE_SIGNING_MEDIA_TYPE, type LegacySignature } from "@lacre/core/bundle";
import { toBase64, utf8 } from "@lacre/core/bytes";
import type { Json } from "@lacre/core/codec";
import { type PublicKey, sha256 } from "@lacre/core/crypto";
import { ANNOTATION, attachmentTag, digestOf, formatRepository, splitDigest } from "@lacre/core/oci";
import type { Policy, Verdict, Verifier } from "@lacre/core/verify";
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { createConfigured, splitBundles } from "../checking.ts";
import { type Conditions, refuseVerdict } from "../conditions.ts";
import type { Context } from "../context.ts";
import { CliError, reportOf } from "../errors.ts";
import { attachmentLimit } from "../registry.ts";
import { formatReport } from "../report.ts";
import { formatSize, plain } from "../terminal.ts";
import { readNamed, type TrustFlags } from "../trust.ts";
import {
  IMAGE_SCHEMA,
  type ImageRecord,
  judgeSeal,
  type JudgedSeal,
  type Judging,
  lacksCertificate,
  reasonOf,
} from "./judgement.ts";
import { openImage, type OpenFlags, type OpenImage, resolveRoot } from "./open.ts";
import { findSeals, readBundle, type SealKind, type StoredSeal } from "./seals.ts";

export interface ImageFlags extends OpenFlags, TrustFlags {
  readonly attachmentTagPrefix?: string | undefined;
  readonly attachment?: string | undefined;
  readonly signature?: string | undefined;
  readonly payload?: string | undefined;
  readonly certificate?: string | undefined;
  readonly rekorUrl?: string | undefined;
}

export interface ImageOptions {
  readonly kind: SealKind;
  readonly policy: Policy;
  readonly key: PublicKey | undefined;
  readonly annotations: Readonly<Record<string, string>>;
  /** What a good attestation has to say besides. */
  readonly conditions?: Conditions | undefined;
  readonly output: "json" | "text" | "verdict";
  /** Bundles in a file, instead of those beside the image. */
  readonly bundlePath?: string | undefined;
  readonly flags: ImageFlags;
}

interface Judged {
  readonly record: ImageRecord;
  readonly stored: readonly StoredSeal[];
  readonly image: OpenImage;
}

/** Verifies images and reports. Returns the exit status. */
export async function checkImages(context: Context, names: readonly string[], options: ImageOptions): Promise<number> {
  const verifier = await createConfigured(context, { ...options, trust: options.flags });
  const statuses: number[] = [];
  for (const name of names) {
    try {
      const judged = await judgeImage(context, verifier, name, options);
      const status = tellImage(context, judged, options);
      statuses.push(status);
    } catch (error) {
      if (names.length === 1) throw error;
      statuses.push(tellFailure(context, error, options));
    }
  }
  return statuses.find((status) => status !== 0 && status !== 3) ?? (statuses.includes(3) ? 3 : 0);
}

function tellFailure(context: Context, error: unknown, { output }: ImageOptions): number {
  const report = reportOf(error);
  if (output === "verdict") context.terminal.result(JSON.stringify({ error: report }));
  context.terminal.complain(formatReport(report, (text) => context.terminal.style("stderr", "red", text)));
  return report.status;
}

async function judgeImage(context: Context, verifier: Verifier, name: string, options: ImageOptions): Promise<Judged> {
  const { flags, kind, policy, key, annotations } = options;
  const image = await openImage(context, flags, name);
  const digest = await targetDigest(image, flags);
  const stored = await gatherSeals(context, image, digest, options);
  const judging = { verifier, policy, key, nowMs: context.now(), digest, kind, annotations };
  let seals: JudgedSeal[] = [];
  for (const one of stored) seals.push(await judgeWithEntry(context, one, judging, flags));
  if (options.conditions !== undefined) seals = await holdAgainst(options.conditions, seals, image.reference, digest);
  const outcome = seals.some((seal) => seal.outcome === "verified") ? "verified" : seals.length === 0 ? "unsigned" : "refused";
  const record: ImageRecord = {
    schema: IMAGE_SCHEMA,
    image: image.reference,
    digest,
    kind,
    outcome,
    ...(image.content === undefined ? {} : { content: image.content }),
    seals,
  };
  return { record, stored, image };
}

// What a good attestation has to say besides. cosign's policies have to hold for each that is good; of conditions it is enough
// that they hold for one.
async function holdAgainst(
  conditions: Conditions,
  seals: readonly JudgedSeal[],
  name: string,
  digest: string,
): Promise<JudgedSeal[]> {
  const { algorithm, hex } = splitDigest(digest);
  const held: JudgedSeal[] = [];
  for (const seal of seals) {
    const subject = { kind: "image" as const, name, digests: { [algorithm]: hex } };
    const unmet = seal.outcome === "verified" ? await conditions.check(seal.verdict, subject) : undefined;
    held.push(
      unmet === undefined
        ? seal
        : {
            digest: seal.digest,
            store: seal.store,
            verdict: refuseVerdict(seal.verdict, unmet),
            outcome: "refused",
            refusal: unmet,
          },
    );
  }
  const broken = held.find(({ outcome }, at) => outcome === "refused" && seals[at]!.outcome === "verified");
  if (!conditions.isForAll || broken === undefined) return held;
  return held.map((seal) => (seal.outcome === "verified" ? { ...broken, digest: seal.digest, store: seal.store } : seal));
}

// A signature of cosign 2 without its entry: the ledger is asked where that was said, and each answer is judged like any
// other entry. What the ledger has decides nothing by itself.
async function judgeWithEntry(context: Context, stored: StoredSeal, judging: Judging, flags: ImageFlags): Promise<JudgedSeal> {
  const { seal, payload } = stored;
  if (
    flags.rekorUrl === undefined ||
    seal instanceof Uint8Array ||
    seal.rekorBundle !== undefined ||
    judging.policy.ignoreTlog === true
  )
    return judgeSeal(stored, judging);
  if (flags.offline === true) throw new CliError("OFFLINE", "--rekor-url asks a ledger, and --offline forbids it");
  const { withEntries } = await import("../online.ts");
  let first: JudgedSeal | undefined;
  for (const one of await withEntries(context, flags.rekorUrl, seal, payload === undefined ? undefined : sha256(payload))) {
    const judged = judgeSeal({ ...stored, seal: one }, judging);
    if (judged.outcome === "verified") return judged;
    first ??= judged;
  }
  return first ?? judgeSeal(stored, judging);
}

/** The signatures to judge: those handed in, or those beside the image. Throws USAGE, and what registries throw. */
async function gatherSeals(
  context: Context,
  image: OpenImage,
  digest: string,
  { flags, kind, bundlePath }: ImageOptions,
): Promise<readonly StoredSeal[]> {
  if (bundlePath !== undefined) {
    if (flags.signature !== undefined)
      throw new CliError("USAGE", "--bundle and --signature are two signatures; which is meant?");
    return splitBundles(await readNamed(context, bundlePath)).map(readBundle);
  }
  if (flags.signature !== undefined) return [await readHanded(context, flags)];
  if (flags.payload !== undefined) throw new CliError("USAGE", "--payload says nothing without --signature");
  const found = await findSeals({ registry: image.registry, place: image.storage, digest }, kind, {
    maxBytes: attachmentLimit(context),
    prefix: flags.attachmentTagPrefix,
  });
  if (flags.certificate === undefined) return found;
  // For signatures of cosign 2 that were stored without theirs. It is judged like one that was.
  const certificate = await readNamed(context, flags.certificate);
  return found.map((one) =>
    one.seal instanceof Uint8Array || one.seal.certificate !== undefined ? one : { ...one, seal: { ...one.seal, certificate } },
  );
}

/** The digest that is verified: the image's, or that of what `--attachment` names. */
async function targetDigest(image: OpenImage, flags: ImageFlags): Promise<string> {
  if (flags.attachment === undefined) return image.root.descriptor.digest;
  const tag = attachmentTag(image.root.descriptor.digest, "sbom", flags.attachmentTagPrefix);
  const reference = { ...image.storage, tag };
  return (await resolveRoot(image.registry, reference, `${formatRepository(image.storage)}:${tag}`)).descriptor.digest;
}

/** A signature from the command line. Throws USAGE, FILE_UNREADABLE. */
async function readHanded(context: Context, flags: ImageFlags): Promise<StoredSeal> {
  if (flags.payload === undefined) {
    throw new CliError("USAGE", "--signature needs --payload", {
      hint: "The payload is the document that was signed: lacre generate IMAGE prints one.",
    });
  }
  const given = flags.signature!;
  const signature = existsSync(resolve(context.cwd, given)) ? await readNamed(context, given) : utf8(given);
  const payload = await readNamed(context, flags.payload);
  const seal: LegacySignature = {
    mediaType: SIMPLE_SIGNING_MEDIA_TYPE,
    content: { kind: "message", signature },
    certificate: flags.certificate === undefined ? undefined : await readNamed(context, flags.certificate),
  };
  return { digest: digestOf(payload), store: "file", seal, payload, content: "message", annotations: {} };
}

// Tells one image, and returns its status.
function tellImage(context: Context, judged: Judged, options: ImageOptions): number {
  const { record } = judged;
  const { terminal } = context;
  if (options.output === "verdict") terminal.result(JSON.stringify(record));
  if (record.outcome !== "verified") return tellUnmatched(context, judged, options);
  tellChecks(context, judged, options);
  if (options.output === "verdict") return 0;
  const good = record.seals.flatMap((seal, at) => (seal.outcome === "verified" ? [{ seal, stored: judged.stored[at]! }] : []));
  if (options.kind === "attestation") for (const { seal, stored } of good) terminal.result(formatEnvelope(seal, stored));
  else if (options.output === "text")
    for (const one of good) terminal.result(JSON.stringify(claimsOf(one.seal, judged.image, false)));
  else terminal.result(JSON.stringify(good.map(({ seal, stored }) => claimsOf(seal, judged.image, true, stored))));
  return 0;
}

function tellUnmatched(context: Context, { record }: Judged, { kind, flags, conditions }: ImageOptions): number {
  const { image, digest, outcome, seals } = record;
  const what = kind === "signature" ? "signatures" : "attestations";
  const where = digest === "" ? plain(image) : `${plain(image)} (${digest})`;
  const error =
    outcome === "unsigned"
      ? new CliError("IMAGE_UNSIGNED", `${where} has no ${what}`, {
          hint: hintUnsigned(kind, image, record.content !== undefined && flags.reference === undefined),
        })
      : seals.every(lacksCertificate)
        ? new CliError("CERTIFICATE_MISSING", `the ${what} of ${where} have no certificate`)
        : new CliError(
            "IMAGE_UNMATCHED",
            seals.length === 1
              ? `the only ${kind} of ${where} does not match`
              : `none of the ${seals.length} ${what} of ${where} matches`,
          );
  tellRefused(context, seals);
  // A statement that was found and does not keep cosign's policy is a plain no, there as here.
  const unmet = conditions?.isForAll === true ? seals.find(({ refusal }) => refusal?.code.startsWith("CONDITION_")) : undefined;
  const report = unmet === undefined ? reportOf(error) : { ...reportOf(error), status: 1 as const };
  context.terminal.complain(formatReport(report, (text) => context.terminal.style("stderr", "red", text)));
  return report.status;
}

function hintUnsigned(kind: SealKind, image: string, isFile: boolean): string {
  if (isFile)
    return "Files written by docker save or skopeo leave signatures behind: name the image in its registry with --reference IMAGE, give its bundle with --bundle FILE, or save it anew with lacre save.";
  // Whoever names an image by its tag may mean the one that the tag named before.
  const moved = image.includes("@")
    ? ""
    : "If it was signed before, the tag has moved since: compare the digest, or name the image by digest. ";
  return kind === "signature"
    ? `${moved}Sign it with lacre sign IMAGE. An attestation does not stand for a signature: lacre verify-attestation looks at those. Signatures may lie in another repository: COSIGN_REPOSITORY.`
    : `${moved}Make one with lacre attest IMAGE; they may lie in another repository: COSIGN_REPOSITORY.`;
}

function tellRefused(context: Context, seals: readonly JudgedSeal[]): void {
  for (const seal of seals) {
    if (seal.outcome !== "refused") continue;
    context.terminal.complain(
      `  ${context.terminal.style("stderr", "red", "not counted")} ${seal.digest} (${storeName(seal)})\n    ${plain(reasonOf(seal))}`,
    );
  }
}

const storeName = (seal: JudgedSeal): string => ({ referrer: "referrer", tag: "cosign tag", file: "file" })[seal.store];

function tellChecks(context: Context, { record, image }: Judged, { policy, key, annotations }: ImageOptions): void {
  const { terminal } = context;
  const lines = [
    ``,
    `Verification for ${plain(image.reference)} --`,
    "The following checks were performed on each of these signatures:",
  ];
  if (policy.checkClaims !== false) {
    if (Object.keys(annotations).length > 0) lines.push("  - The specified annotations were verified.");
    lines.push("  - The cosign claims were validated");
  }
  if (policy.ignoreTlog !== true) lines.push("  - Existence of the claims in the transparency log was verified offline");
  lines.push(
    key === undefined
      ? "  - The code-signing certificate was verified using trusted certificate authority certificates"
      : "  - The signatures were verified against the specified public key",
  );
  if (record.content !== undefined) {
    const { layers, octets, absent } = record.content;
    lines.push(
      `  - ${layers} ${layers === 1 ? "layer" : "layers"} (${formatSize(octets)}) were compared with the signed manifest`,
    );
    if (absent.length > 0) lines.push(`  - NOT compared: ${absent.length} other images of the list, which are not in the file`);
  }
  for (const seal of record.seals)
    if (seal.outcome === "verified")
      lines.push(
        `${terminal.style("stderr", "green", "Verified OK")}  ${seal.digest} (${storeName(seal)})`,
        ...describe(seal.verdict),
      );
  for (const line of lines) terminal.say(line);
  tellRefused(context, record.seals);
}

function describe(verdict: Verdict): readonly string[] {
  const { identity, key, times = [] } = verdict;
  return [
    ...(identity === undefined
      ? []
      : [
          `  signed by   ${plain(identity.value)}${identity.issuer === undefined ? "" : `, vouched for by ${plain(identity.issuer)}`}`,
        ]),
    ...(key === undefined ? [] : [`  signed with key ${key}`]),
    ...times.slice(0, 1).map(({ timeMs }) => `  at          ${new Date(timeMs).toISOString()}`),
    ...(verdict.predicateType === undefined ? [] : [`  states      ${plain(verdict.predicateType)}`]),
    ...verdict.warnings.map((warning) => `  warning     ${plain(warning)}`),
  ];
}

/** Claims by the names that cosign prints them under, besides the extension's number. */
const CLAIM_NAMES: Readonly<Record<string, readonly [string, string]>> = {
  githubWorkflowTrigger: ["githubWorkflowTrigger", "1.3.6.1.4.1.57264.1.2"],
  githubWorkflowSHA: ["githubWorkflowSha", "1.3.6.1.4.1.57264.1.3"],
  githubWorkflowName: ["githubWorkflowName", "1.3.6.1.4.1.57264.1.4"],
  githubWorkflowRepository: ["githubWorkflowRepository", "1.3.6.1.4.1.57264.1.5"],
  githubWorkflowRef: ["githubWorkflowRef", "1.3.6.1.4.1.57264.1.6"],
};

/** The claims of a signature as cosign prints them: what was signed, and under `optional` also who signed. */
function claimsOf({ claims, verdict }: JudgedSeal, image: OpenImage, isFull: boolean, stored?: StoredSeal): Json {
  const optional: Record<string, Json> = { ...claims?.annotations };
  const { identity } = verdict;
  if (isFull && identity !== undefined) {
    optional["Subject"] = identity.value;
    if (identity.issuer !== undefined) {
      optional["Issuer"] = identity.issuer;
      optional["1.3.6.1.4.1.57264.1.1"] = identity.issuer;
    }
    for (const [claim, names] of Object.entries(CLAIM_NAMES)) {
      const value = identity.claims[claim];
      if (value !== undefined) for (const name of names) optional[name] = value;
    }
  }
  // The log's promise as it was stored: the verifier has proved it, or it is not shown.
  const promise = stored?.annotations[ANNOTATION.bundle];
  if (isFull && promise !== undefined && (verdict.logEntries ?? []).length > 0) optional["Bundle"] = JSON.parse(promise) as Json;
  return {
    critical: {
      // A document names the image as its signer called it; a statement's subject has a name for people, as cosign has it too.
      identity: { "docker-reference": verdict.payload === undefined ? claims?.reference || image.reference : image.reference },
      image: { "docker-manifest-digest": claims?.digest ?? "" },
      type: claims?.type ?? "",
    },
    optional: Object.keys(optional).length === 0 && !isFull ? null : optional,
  };
}

/** The verified envelope on one line. */
function formatEnvelope({ verdict }: JudgedSeal, stored: StoredSeal): string {
  if (stored.seal instanceof Uint8Array) {
    const { content } = decodeBundle(stored.seal);
    if (content.kind === "dsse") {
      const { payload, payloadType, signature, keyid } = content;
      return JSON.stringify({
        payload: toBase64(payload),
        payloadType,
        signatures: [{ sig: toBase64(signature), ...(keyid === "" ? {} : { keyid }) }],
      });
    }
  }
  const { seal } = stored;
  if (!(seal instanceof Uint8Array) && seal.mediaType === DSSE_MEDIA_TYPE && seal.content.kind === "envelope")
    return Buffer.from(seal.content.envelope).toString("utf8").replaceAll(/\r?\n/g, "").trim();
  return JSON.stringify({ payload: verdict.payload ?? "", payloadType: verdict.payloadType ?? "" });
}
