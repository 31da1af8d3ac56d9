// SPDX-License-Identifier: Apache-2.0
/**
 * Artifacts judged by a policy file: bundles are verified once for each question that the policy puts (whom to trust, how
 * much proof), whoever signed them; what was proved goes to the gate, which decides.
 *
 *     loadPolicy   a file and the keys it names         → Loaded
 *     gather       an artifact and its bundles          → Evidence
 *     judge        the policy and the evidence          → Decision
 *
 * Where evidence comes from elsewhere (a registry, a cluster) `judge` takes it as well.
 */
import { readdir } from "node:fs/promises";
import { basename, dirname, isAbsolute, join, relative, resolve } from "node:path";
import { decodeBundle, type LegacySignature } from "@lacre/core/bundle";
import { toHex } from "@lacre/core/bytes";
import { type HashName, importPublicKey, type PublicKey, sha256 } from "@lacre/core/crypto";
import { decodeEntry } from "@lacre/core/entry";
import { LacreError } from "@lacre/core/errors";
import { formatRepository, splitDigest } from "@lacre/core/oci";
import { decodeTrustedRoot } from "@lacre/core/trust";
import {
  createVerifier,
  type Artifact as Subject,
  type Policy as Rules,
  type Verdict,
  type Verifier,
  readNeeds,
} from "@lacre/core/verify";
import {
  type ArtifactFacts,
  type Decision,
  evaluate,
  type Evidence,
  hashesOf,
  parsePolicy,
  type Policy,
  type Proof,
  proofsFor,
  type Seal,
} from "@lacre/services/gate";
import { type Artifact, hashArtifact, parseArtifact } from "./artifact.ts";
import { holdArtifact, splitBundles } from "./checking.ts";
import type { JudgedSeal } from "./images/judgement.ts";
import type { OpenFlags } from "./images/open.ts";
import type { Context } from "./context.ts";
import { CliError, reportOf } from "./errors.ts";
import { digestOf, findHome, recallNamed, trustFolder } from "./home.ts";
import { readPublicKey } from "./keys.ts";
import { report } from "./decision.ts";
import { formatReport } from "./report.ts";
import { findTrustedRoot, readNamed, type TrustFlags } from "./trust.ts";
import { choice, type FlagTable, list, text, toggle } from "./verb.ts";

/** The flags of verbs that judge by a policy, beside those for images and for all. */
export const GATE_FLAGS = {
  bundle: list("The seals; default ARTIFACT.sigstore.json and ARTIFACT.*.sigstore.json; repeated: all of them", {
    placeholder: "file",
  }),
  trustedRoot: text("Whom to trust where the policy does not say", { placeholder: "file" }),
  dir: text("Data directory of the installation to trust where the policy does not say", { placeholder: "dir" }),
  offline: toggle("Open no connection at all"),
  artifactName: text("What the policy calls the artifact: a path, or pkg:… for a package", { placeholder: "name" }),
  output: choice(["text", "json"], "How to report", { alias: "o" }),
} as const satisfies FlagTable;

/** What judging reads of a verb's flags. */
export interface GateFlags extends TrustFlags, OpenFlags {
  readonly bundle?: readonly string[] | undefined;
  readonly artifactName?: string | undefined;
  readonly acceptWarned?: boolean | undefined;
  readonly output?: string | undefined;
}

/** Flags of `verify` that mean something beside a policy; every other would be passed over. */
const BESIDE =
  /^(policyFile|artifactName|acceptWarned|bundle|trustedRoot|trustPack\w*|dir|offline|output|timeout|verbose|outputFile|quiet|allow\w*|registry\w*|k8sKeychain|localImage|reference|caRoots|caIntermediates|certificateChain|timestampCertificateChain|useSignedTimestamps|maxWorkers|newBundleFormat|experimentalOci11)$/;

/** `verify --policy-file`: one decision for each artifact. Returns the exit status. */
export async function verifyByPolicy(
  context: Context,
  path: string,
  flags: GateFlags,
  operands: readonly string[],
): Promise<number> {
  const outranked = Object.entries(flags).filter(([name, value]) => value !== undefined && !BESIDE.test(name));
  if (outranked.length > 0) {
    const names = outranked.map(([name]) => `--${name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`);
    throw new CliError("USAGE", `${names.join(", ")} would not be looked at beside --policy-file`, {
      hint: "The policy says who may sign and how: write it there.",
    });
  }
  if (flags.artifactName !== undefined && operands.length > 1) throw new CliError("USAGE", "--artifact-name is for one artifact");
  const loaded = await loadPolicy(context, path, flags);
  const asJson = flags.output === "json" || flags.output === "verdict";
  let worst = 0;
  for (const operand of operands) {
    try {
      const decision = await judgeOperand(context, loaded, operand, flags);
      if (report(context, decision, { asJson, acceptWarned: flags.acceptWarned === true }) !== 0) worst = 1;
    } catch (error) {
      if (operands.length === 1) throw error;
      const failure = reportOf(error);
      if (asJson) context.terminal.result(JSON.stringify({ error: failure }));
      context.terminal.complain(formatReport(failure, (words) => context.terminal.style("stderr", "red", words)));
      if (worst === 0) worst = failure.status;
    }
  }
  return worst;
}

/** The decision on one operand of the command line: a file or an image. */
export async function judgeOperand(
  context: Context,
  loaded: Loaded,
  operand: string,
  flags: GateFlags,
  nowMs?: number,
): Promise<Decision> {
  return judge(loaded.policy, await gatherOperand(context, loaded, operand, flags, nowMs));
}

/** The evidence for one operand of the command line. */
export async function gatherOperand(
  context: Context,
  loaded: Loaded,
  operand: string,
  flags: GateFlags,
  nowMs?: number,
): Promise<Evidence> {
  const given = flags.bundle ?? [];
  const artifact = parseArtifact(operand, { cwd: context.cwd, hasBundle: given.length > 0 || flags.artifactName !== undefined });
  if (artifact.kind === "image") {
    if (given.length > 0) throw new CliError("USAGE", "--bundle is for files; an image's signatures are beside it");
    return gatherImage(context, loaded, artifact.reference, { trust: flags, flags, nowMs });
  }
  const bundles = await findBundles(context, artifact, given);
  return gather(context, loaded, artifact, { bundles, trust: flags, name: flags.artifactName, nowMs });
}

/** A policy with the keys it names found. */
export interface Loaded {
  readonly policy: Policy;
  /** Absolute. */
  readonly path: string;
  /** By the policy's spelling. */
  readonly keys: ReadonlyMap<string, PublicKey>;
  readonly verifiers: Map<string, Verifier>;
}

/** Reads a policy file; keys and roots that it names by path lie relative to it. Throws what parsePolicy and reading throw. */
export async function loadPolicy(context: Context, path: string, trust: TrustFlags): Promise<Loaded> {
  const policy = parsePolicy(await readNamed(context, path), basename(path));
  const near = { ...context, cwd: dirname(resolve(context.cwd, path)) };
  const keys = new Map<string, PublicKey>();
  for (const key of policy.keys) {
    if (key.spki !== undefined) keys.set(key.name, importPublicKey(key.spki));
    else if (key.fingerprint === undefined) keys.set(key.name, await readPublicKey(near, key.name, { offline: trust.offline }));
  }
  return { policy, path: resolve(context.cwd, path), keys, verifiers: new Map() };
}

const ANYBODY = `schema: urn:lacre:policy:1
signers: {anybody: {identity: {pattern: '.*'}, issuer: {pattern: '.*'}}}
rules:
  - name: anything
    artifacts: [{kind: file, name: '**'}, {kind: image, name: '**'}, {kind: package, name: '**'}]
    signatures: {from: [anybody]}
`;

/** A stand-in that asks the usual question of anything, to learn from the answers; nothing is judged by it. */
export function askAnybody(keys: readonly PublicKey[]): Loaded {
  const policy = parsePolicy(Buffer.from(ANYBODY), "the stand-in");
  return { policy, path: "", keys: new Map(keys.map((key) => [fingerprintOf(key), key])), verifiers: new Map() };
}

const fingerprintOf = (key: PublicKey): string => `sha256:${toHex(sha256(key.spki))}`;

/** How an artifact is called in a policy: files relative to the current folder, `pkg:…` for packages. */
export function nameArtifact(
  context: Context,
  artifact: Artifact,
  name: string | undefined,
): Pick<ArtifactFacts, "kind" | "name"> {
  if (name !== undefined)
    return { kind: name.startsWith("pkg:") ? "package" : artifact.kind === "image" ? "image" : "file", name };
  if (artifact.kind !== "file") {
    throw new CliError("USAGE", `${artifact.name} has no name that a policy could know it by`, {
      hint: "Say it with --artifact-name NAME.",
    });
  }
  const near = relative(context.cwd, artifact.path);
  return { kind: "file", name: near === "" || near.startsWith("..") || isAbsolute(near) ? artifact.path : near };
}

/** A file of bundles and its text. */
export interface BundleFile {
  readonly path: string;
  readonly bytes: Uint8Array;
}

/** The bundles given, or those that lie beside a file: `FILE.sigstore.json` and `FILE.*.sigstore.json`. */
export async function findBundles(
  context: Context,
  artifact: Artifact,
  given: readonly string[],
): Promise<readonly BundleFile[]> {
  let paths = given;
  if (paths.length === 0 && artifact.kind === "file") {
    const folder = dirname(artifact.path);
    const begin = `${basename(artifact.path)}.`;
    const names = await readdir(folder).catch(() => []);
    paths = names
      .filter((name) => name.startsWith(begin) && /^(?:[^.]+\.)?sigstore\.jsonl?$/.test(name.slice(begin.length)))
      .toSorted()
      .map((name) => join(folder, name));
  }
  const files: BundleFile[] = [];
  for (const path of paths) files.push({ path, bytes: await readNamed(context, path) });
  return files;
}

interface Looking {
  readonly trust: TrustFlags;
  readonly nowMs?: number | undefined;
}

/** Verifies an artifact's bundles for each question of the policy. Throws what could not be looked at. */
export async function gather(
  context: Context,
  loaded: Loaded,
  artifact: Artifact,
  options: Looking & { readonly bundles: readonly BundleFile[]; readonly name?: string | undefined },
): Promise<Evidence> {
  const { policy } = loaded;
  const bundles = options.bundles.flatMap((file) => {
    const parts = splitBundles(file.bytes);
    const shown = relative(context.cwd, resolve(context.cwd, file.path));
    return parts.map((bytes, at) => ({ bytes, source: parts.length === 1 ? shown : `${shown}, line ${at + 1}` }));
  });
  const needs = bundles.flatMap(({ bytes }) => [undefined, ...loaded.keys.values()].map((key) => readNeeds(bytes, key)));
  const wanted = [...new Set([...needs.flatMap(({ hashes }) => hashes), ...(hashesOf(policy) as HashName[])])];
  const isWhole = artifact.kind !== "digest" && needs.some((need) => need.isWhole);
  const subject: Subject = isWhole
    ? await holdArtifact(context, artifact, wanted)
    : { digests: await hashArtifact(context, artifact, wanted) };
  const facts: ArtifactFacts = {
    ...nameArtifact(context, artifact, options.name),
    digests: Object.fromEntries([...subject.digests].map(([hash, digest]) => [hash, toHex(digest)])),
  };
  return ask(context, loaded, facts, options, async (verifier, proof, nowMs) =>
    bundles.map(({ bytes, source }) => ({
      source,
      proof: proof.id,
      verdict: underEachKey(bytes, proof, loaded, (rules, key) =>
        verifier.verify({ bundle: bytes, artifact: subject, policy: rules, ...(key === undefined ? {} : { key }), nowMs }),
      ),
    })),
  );
}

/** Verifies what is stored beside an image. Throws what opening it and its registry throw. */
export async function gatherImage(
  context: Context,
  loaded: Loaded,
  reference: string,
  options: Looking & { readonly flags: OpenFlags },
): Promise<Evidence> {
  const { openImage } = await import("./images/open.ts");
  const { findSeals } = await import("./images/seals.ts");
  const { judgeSeal } = await import("./images/judgement.ts");
  const image = await openImage(context, options.flags, reference);
  const { digest } = image.root.descriptor;
  const place = { registry: image.registry, place: image.storage, digest };
  const limits = { maxBytes: (await import("./registry.ts")).attachmentLimit(context) };
  const found = {
    signature: await findSeals(place, "signature", limits),
    attestation: await findSeals(place, "attestation", limits),
  };
  const { algorithm, hex } = splitDigest(digest);
  const isLocal = image.place.registry === "localhost" && image.place.repository === "image";
  const facts: ArtifactFacts = {
    kind: "image",
    name: isLocal ? reference : formatRepository(image.place),
    digests: { [algorithm]: hex },
  };
  return ask(context, loaded, facts, options, async (verifier, proof, nowMs) =>
    (["signature", "attestation"] as const).flatMap((kind) =>
      found[kind].map((stored): Seal => {
        let judged: JudgedSeal | undefined;
        const verdict = underEachKey(stored.seal, proof, loaded, (policy, key) => {
          judged = judgeSeal(stored, { verifier, policy, key, nowMs, digest, kind, annotations: {} });
          return judged.verdict;
        });
        const source = `${stored.store === "referrer" ? "referrer" : "cosign tag"} ${stored.digest}`;
        // A good signature over a document that names another image is about that other image.
        return { source, proof: proof.id, verdict, about: judged?.outcome === "verified" ? { [algorithm]: hex } : {} };
      }),
    ),
  );
}

/** Puts each question of the policy. */
async function ask(
  context: Context,
  { policy, path, keys, verifiers }: Loaded,
  artifact: ArtifactFacts,
  options: Looking,
  look: (verifier: Verifier, proof: Proof, nowMs: number) => Promise<readonly Seal[]>,
): Promise<Evidence> {
  const nowMs = options.nowMs ?? context.now();
  const near = { ...context, cwd: dirname(path) };
  const seals: Seal[] = [];
  for (const proof of proofsFor(policy, artifact)) {
    let verifier = verifiers.get(proof.id);
    if (verifier === undefined)
      verifiers.set(proof.id, (verifier = await createFor(near, context, proof, options.trust, policy)));
    seals.push(...(await look(verifier, proof, nowMs)));
  }
  return { artifact, seals, nowMs, keys: new Map([...keys].map(([name, key]) => [name, fingerprintOf(key)])) };
}

/** Decides. The entry for evidence from anywhere. */
export function judge(policy: Policy, evidence: Evidence): Decision {
  return evaluate(policy, evidence);
}

// Paths in the policy are relative to it; those of flags to where the command runs.
async function createFor(
  near: Context,
  context: Context,
  { trust, thresholds }: Proof,
  flags: TrustFlags,
  policy: Policy,
): Promise<Verifier> {
  const counts = {
    logEntries: Math.max(1, thresholds.logs),
    ...(thresholds.times === undefined ? {} : { times: thresholds.times }),
    timestamps: thresholds.timestamps,
    scts: Math.max(1, thresholds.scts),
  };
  if (trust !== undefined && flags.trustPack !== undefined) {
    throw new CliError("USAGE", `the policy says whom to trust (${trust.name}), and --trust-pack says another`, {
      hint: "Leave --trust-pack out, or the policy's own trust.",
    });
  }
  if (trust !== undefined && "root" in trust) {
    const bytes = await readNamed(near, trust.root);
    return createVerifier({
      ...counts,
      trustedRoot: decodeTrustedRoot(bytes),
      rootSource: { source: trust.root, reason: `${trust.name} of the policy`, digest: digestOf(bytes) },
    });
  }
  if (trust !== undefined) return createVerifier({ ...counts, ...(await recallRoot(near, trust.installation, flags)) });
  // Keys alone, and no log: nobody else's word is needed.
  const isBare =
    thresholds.logs === 0 &&
    flags.trustedRoot === undefined &&
    flags.trustPack === undefined &&
    policy.signers.every(({ ways }) => ways.every(({ kind }) => kind === "key"));
  if (isBare) return createVerifier(counts);
  const { value, source } = await findTrustedRoot(context, flags);
  return createVerifier({ ...counts, trustedRoot: value, rootSource: source });
}

// The installation's own root, whatever flags and variables say: the policy named it.
async function recallRoot(context: Context, name: string, flags: TrustFlags): Promise<object> {
  const found = await recallNamed(findHome(context.env), name);
  const chosen = (bytes: Uint8Array, source: string): object => ({
    trustedRoot: decodeTrustedRoot(bytes),
    rootSource: { source, reason: "named by the policy", digest: digestOf(bytes) },
  });
  if (found.kind === "directory") {
    const folder = trustFolder(found.path);
    if (digestOf(await readNamed(context, join(folder, "root.json"))) !== found.rootDigest)
      throw new CliError("TRUST_CHANGED", `the installation in ${found.path} is not the one that was remembered`);
    const file = join(folder, "trusted_root.json");
    return chosen(await readNamed(context, file), file);
  }
  const { readTargets } = await import("./mirror.ts");
  const { mirror: url, path: folder, rootDigest } = found;
  const place = { url, folder, rootDigest, isOffline: flags.offline === true, fetch: context.fetch };
  const [bytes] = await readTargets(place, ["trusted_root.json"]);
  if (bytes === undefined) throw new CliError("TRUST_MISSING", `the repository at ${url} has no trusted_root.json`);
  return chosen(bytes, url);
}

// Whoever signed: the gate decides whether they may. A key has to be handed in; each of the policy's is tried.
function underEachKey(
  seal: Uint8Array | LegacySignature,
  { thresholds }: Proof,
  { policy, keys }: Loaded,
  verify: (rules: Rules, key: PublicKey | undefined) => Verdict,
): Verdict {
  const common: Rules = thresholds.logs === 0 ? { ignoreTlog: true } : {};
  let refused: Verdict | undefined;
  if (isSignedByKey(seal)) {
    for (const key of [...keys.values(), ...fingerprinted(seal, policy)]) {
      const verdict = verify({ ...common, allowCurrentTime: true }, key);
      if (verdict.outcome === "verified") return verdict;
      refused ??= verdict;
    }
  }
  return refused ?? verify({ ...common, anyIdentity: true, ...(thresholds.scts === 0 ? { ignoreSct: true } : {}) }, undefined);
}

function isSignedByKey(seal: Uint8Array | LegacySignature): boolean {
  if (!(seal instanceof Uint8Array)) return seal.certificate === undefined;
  try {
    return decodeBundle(seal).key.kind === "publicKey";
  } catch (error) {
    if (error instanceof LacreError) return false;
    throw error;
  }
}

// A policy may name a key by its fingerprint alone. The log's record of the signature holds the key; that it is the one
// that is named follows from its hash, whoever handed it over.
function fingerprinted(seal: Uint8Array | LegacySignature, policy: Policy): readonly PublicKey[] {
  const wanted = new Set(
    policy.keys.flatMap(({ fingerprint, spki }) => (fingerprint !== undefined && spki === undefined ? [fingerprint] : [])),
  );
  if (wanted.size === 0 || !(seal instanceof Uint8Array)) return [];
  const found = new Map<string, PublicKey>();
  for (const { canonicalizedBody, kind, version } of decodeBundle(seal).logEntries) {
    try {
      for (const { verifier } of decodeEntry(canonicalizedBody, kind, version).signatures) {
        if (verifier.kind !== "publicKey" || !wanted.has(`sha256:${toHex(sha256(verifier.der))}`)) continue;
        const key = importPublicKey(verifier.der);
        found.set(fingerprintOf(key), key);
      }
    } catch (error) {
      // An entry that is not read is refused by the verifier, with its reason.
      if (!(error instanceof LacreError)) throw error;
    }
  }
  return [...found.values()];
}
