// SPDX-License-Identifier: Apache-2.0
/**
 * Verifying bundles in one thread, from the bundle's text to the verdict, with the trusted root prepared.
 *
 * The bound is what no verifier can do without, bare: the signatures that depend on the bundle (certificate, certificate
 * log's promise, log's promise, checkpoint, timestamp, artifact), the reading of the one key that comes with it, and the
 * hashes (leaf and path of the proof, digests of what was signed, of the token's content and signer). Messages, signatures
 * and the keys of the trusted root lie ready; nothing is parsed and nothing is decided. Beside it, without a bound of
 * its own, stands a row of the signatures alone, every key prepared. The peer is sigstore-js on the same bytes.
 *
 * Bundles are those of sigstore-conformance where they lie beside the repository, else our own; nothing is remembered of
 * their certificates. The last rows are the other case: many artifacts under one certificate, which is remembered. The
 * first rows are whole runs of the command over a folder.
 */
import * as crypto from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { bundleFromJSON } from "@sigstore/bundle";
import { TrustedRoot as PeerRoot } from "@sigstore/protobuf-specs";
import { toSignedEntity, toTrustMaterial, Verifier as PeerVerifier } from "@sigstore/verify";
import { checkBatch } from "../packages/cli/src/batch.ts";
import { decodeBundle, parseCheckpoint, type Bundle } from "../packages/core/src/bundle/index.ts";
import { concat, equalBytes, toBase64, toHex, utf8 } from "../packages/core/src/bytes/index.ts";
import { pae } from "../packages/core/src/codec/index.ts";
import type { PublicKey } from "../packages/core/src/crypto/index.ts";
import { decodeTrustedRoot, type TrustedRoot } from "../packages/core/src/trust/index.ts";
import { createVerifier, type Artifact, type Policy } from "../packages/core/src/verify/index.ts";
import {
  decodeCertificate,
  decodeTimestampResponse,
  embeddedScts,
  issuerKeyHash,
  loggedTbs,
  sctSignedData,
} from "../packages/core/src/x509/index.ts";
import {
  bytesOf,
  createWorkshop,
  IDENTITY,
  ISSUER,
  NOW_MS,
  seal,
  type Recipe,
  type Workshop,
} from "../test/workshop/workshop.ts";
import { createWorld } from "../test/cli/world.ts";
import { compare, type Measurement, type Work } from "./measure.ts";

const PEER = "sigstore-js (@sigstore/verify 4.1.3, @sigstore/bundle 5.0.1)";
const VECTORS = join(import.meta.dirname, "..", "..", "shared", "vectors");
const BEACON = {
  identity:
    "https://github.com/sigstore-conformance/extremely-dangerous-public-oidc-beacon/.github/workflows/extremely-dangerous-oidc-beacon.yml@refs/heads/main",
  issuer: "https://token.actions.githubusercontent.com",
};

/** A bundle and all that it takes to judge it. */
interface Sample {
  readonly bundle: Uint8Array;
  readonly root: Uint8Array;
  readonly artifact: Uint8Array;
  readonly identity: string;
  readonly issuer: string;
}

/** One bare check. */
type Check = () => boolean;

/** What the bundle's own checks are, bare. */
interface Bare {
  /** Of the certificate: its issuer's signature and its log's promise. */
  readonly certificate: readonly Check[];
  /** The other signatures. */
  readonly signatures: readonly Check[];
  /** The signature by the bundle's own key, which is read for it. */
  readonly withKeyRead: Check;
  readonly withKeyPrepared: Check;
  readonly hashes: readonly Check[];
}

function prepared(key: PublicKey): crypto.KeyObject {
  return crypto.createPublicKey({ key: Buffer.from(key.spki), format: "der", type: "spki" });
}

type Hash = "sha256" | "sha384" | "sha512";

function check(key: PublicKey, hash: Hash | null, message: Uint8Array, signature: Uint8Array): Check {
  const object = prepared(key);
  return () => crypto.verify(hash, message, object, signature);
}

// As PEM, the form that Node reads fastest, and never as an object.
function checkReading(key: PublicKey, hash: Hash | null, message: Uint8Array, signature: Uint8Array): Check {
  const pem = prepared(key).export({ format: "pem", type: "spki" });
  return () => crypto.verify(hash, message, pem, signature);
}

function digest(hash: Hash, data: Uint8Array): Check {
  return () => crypto.hash(hash, data, "binary") !== "";
}

// The hash of an authority's signature is the one that its certificate or token names; here it goes with the curve.
function byCurve(key: PublicKey): "sha256" | "sha384" | null {
  return key.type === "P-384" ? "sha384" : key.type === "Ed25519" ? null : "sha256";
}

function bareChecks({ bundle: bytes, artifact }: Sample, root: TrustedRoot): Bare {
  const bundle: Bundle = decodeBundle(bytes);
  if (bundle.key.kind !== "certificate") throw new Error("only bundles with certificates are measured");
  const leaf = decodeCertificate(bundle.key.chain[0]!);
  const issuer = root.certificateAuthorities
    .flatMap(({ chain }) => chain)
    .find((one) => equalBytes(one.subject, leaf.issuer) && equalBytes(one.subjectKeyId!, leaf.authorityKeyId!))!;
  const [sct] = embeddedScts(leaf);
  const ct = root.ctlogs.find((log) => equalBytes(log.logId, sct!.logId))!;
  const logged = sctSignedData(
    { tbs: loggedTbs(leaf.tbs), issuerKeyHash: issuerKeyHash(issuer) },
    sct!.timestampMs,
    sct!.extensions,
  );
  const certificate = [
    check(issuer.publicKey, byCurve(issuer.publicKey), leaf.tbs, leaf.signature),
    check(ct.key, "sha256", logged, sct!.signature),
  ];
  const { content } = bundle;
  const message = content.kind === "message" ? artifact : pae(content.payloadType, content.payload);
  const own = [leaf.publicKey, byCurve(leaf.publicKey), message, content.signature] as const;
  const signatures: Check[] = [];
  // What was signed, as the entry records it; a statement names the artifact itself.
  const hashes: Check[] = [digest("sha256", artifact)];
  if (content.kind === "dsse")
    hashes.push(digest("sha256", bundle.logEntries[0]!.kind === "hashedrekord" ? message : content.payload));
  for (const entry of bundle.logEntries) {
    const log = root.tlogs.find(({ logId }) => equalBytes(logId, entry.logId))!;
    const { hashes: path, checkpoint } = entry.inclusionProof!;
    const { note } = parseCheckpoint(checkpoint);
    signatures.push(
      check(log.key, byCurve(log.key), utf8(note.text), note.signatures.find(({ name }) => name === log.name)!.signature),
    );
    hashes.push(digest("sha256", concat(Uint8Array.of(0), entry.canonicalizedBody)));
    for (const hash of path) hashes.push(digest("sha256", concat(Uint8Array.of(1), hash, hash)));
    if (entry.signedEntryTimestamp === undefined) continue;
    const promise = `{"body":"${toBase64(entry.canonicalizedBody)}","integratedTime":${entry.integratedTime},"logID":"${toHex(entry.logId)}","logIndex":${entry.logIndex}}`;
    signatures.push(check(log.key, "sha256", utf8(promise), entry.signedEntryTimestamp));
  }
  for (const token of bundle.timestamps) {
    const { signedData, info } = decodeTimestampResponse(token);
    const clock = root.timestampAuthorities
      .flatMap(({ chain }) => chain)
      .find((one) => signedData.signer.kind === "issuerSerial" && equalBytes(one.serial, signedData.signer.serial))!;
    signatures.push(check(clock.publicKey, signedData.signatureAlgorithm.hash, signedData.signedBytes, signedData.signature));
    hashes.push(digest(info.imprint.hash, content.signature));
    hashes.push(digest(signedData.digest, signedData.content));
  }
  return { certificate, signatures, withKeyRead: checkReading(...own), withKeyPrepared: check(...own), hashes };
}

function runAll(checks: readonly Check[]): void {
  for (const good of checks) if (!good()) throw new Error("a bare check failed");
}

// Many short turns: on a machine with other work some of them are quiet.
const SLICES = { repetitions: 15, sliceMs: 80 };

// The library is meant to be kept: what is measured is a verifier that has been running for a while. The peer is warmed
// by as many CPU-seconds, not as many rounds.
const WARM_UP_MS = 8000;

function warm(work: Work): void {
  const start = process.cpuUsage();
  for (;;) {
    work();
    const { user, system } = process.cpuUsage(start);
    if ((user + system) / 1000 > WARM_UP_MS) return;
  }
}

function expectVerified(outcome: string): void {
  if (outcome !== "verified") throw new Error("a good bundle was refused");
}

function policyOf({ identity, issuer }: Sample): Policy {
  return { identities: [{ identity: { exact: identity }, issuer: { exact: issuer } }] };
}

function peerWork(samples: readonly Sample[]): Work {
  const verifier = new PeerVerifier(
    toTrustMaterial(PeerRoot.fromJSON(JSON.parse(Buffer.from(samples[0]!.root).toString("utf8")))),
  );
  const texts = samples.map(({ bundle, artifact, identity, issuer }) => ({
    text: Buffer.from(bundle).toString("utf8"),
    artifact: Buffer.from(artifact),
    policy: { subjectAlternativeName: identity, extensions: { issuer } },
  }));
  let next = 0;
  return () => {
    const { text, artifact, policy } = texts[next++ % texts.length]!;
    const bundle = bundleFromJSON(JSON.parse(text));
    verifier.verify(toSignedEntity(bundle, bundle.content.$case === "messageSignature" ? artifact : undefined), policy);
  };
}

async function measureOne(name: string, sample: Sample): Promise<readonly Measurement[]> {
  const trustedRoot = decodeTrustedRoot(sample.root);
  const artifact: Artifact = { digests: new Map(), message: sample.artifact };
  const policy = policyOf(sample);
  const nowMs = Math.max(Date.now(), NOW_MS);
  // Each bundle is judged as if its certificate were met for the first time.
  const verifier = createVerifier({ trustedRoot, rememberedLeaves: 0 });
  const { certificate, signatures, withKeyRead, withKeyPrepared, hashes } = bareChecks(sample, trustedRoot);
  const bare = [...certificate, ...signatures, withKeyRead, ...hashes];
  const alone = [...certificate, ...signatures, withKeyPrepared];
  const ours: Work = () => expectVerified(verifier.verify({ bundle: sample.bundle, artifact, policy, nowMs }).outcome);
  const peer = peerWork([sample]);
  for (const work of [ours, peer]) warm(work);
  return [
    await compare({
      name,
      ours: { work: ours },
      bound: { name: "the bundle's signatures, its key's reading and its hashes, bare", work: () => runAll(bare) },
      peer: { name: PEER, work: peer },
      ...SLICES,
    }),
    await compare({ name: "  its signatures alone, bare", ours: { work: () => runAll(alone) }, ...SLICES }),
  ];
}

async function measureMany(name: string, samples: readonly Sample[]): Promise<Measurement> {
  const [first] = samples as [Sample];
  const trustedRoot = decodeTrustedRoot(first.root);
  const verifier = createVerifier({ trustedRoot });
  const nowMs = NOW_MS;
  const questions = samples.map((sample) => ({
    bundle: sample.bundle,
    artifact: { digests: new Map(), message: sample.artifact } satisfies Artifact,
    policy: policyOf(sample),
    nowMs,
  }));
  // Under one certificate the key is read once for all.
  const bare = samples.map((sample) => {
    const { signatures, withKeyPrepared, hashes } = bareChecks(sample, trustedRoot);
    return [...signatures, withKeyPrepared, ...hashes];
  });
  let [next, nextBare] = [0, 0];
  const ours: Work = () => expectVerified(verifier.verify(questions[next++ % questions.length]!).outcome);
  warm(ours);
  return compare({
    name,
    ours: { work: ours },
    bound: {
      name: "the bundle's signatures less the certificate's, and its hashes, bare",
      work: () => runAll(bare[nextBare++ % bare.length]!),
    },
    peer: { name: PEER, work: peerWork(samples) },
    ...SLICES,
  });
}

const FILES = 2000;

/**
 * Files in a folder, each sealed under a certificate of its own, as `lacre verify FOLDER` takes them: by one thread, and
 * by one for each processor. From reading the folder to the last line told; what a thread needs to begin is in it.
 */
async function measureFiles(workshop: Workshop): Promise<readonly Measurement[]> {
  const folder = mkdtempSync(join(tmpdir(), "lacre-bench-"));
  try {
    let root = "";
    mkdirSync(join(folder, "files"));
    for (let i = 0; i < FILES; i++) {
      const sample = made(workshop, { artifact: utf8(`file ${i}\n`) });
      if (root === "") writeFileSync((root = join(folder, "root.json")), sample.root);
      writeFileSync(join(folder, "files", `${i}`), sample.artifact);
      writeFileSync(join(folder, "files", `${i}.sigstore.json`), sample.bundle);
    }
    const threads = availableParallelism();
    const rounds = 3;
    const rates: { readonly wall: number; readonly cpu: number }[][] = [[], []];
    for (let round = 0; round < rounds; round++) {
      for (const [i, count] of [1, threads].entries()) {
        const world = createWorld({ now: () => NOW_MS });
        const cpu = process.cpuUsage();
        const startMs = performance.now();
        const status = await checkBatch(world.context, {
          artifacts: [{ kind: "file", name: "files", path: join(folder, "files") }],
          policy: { identities: [{ identity: { exact: IDENTITY }, issuer: { exact: ISSUER } }] },
          key: undefined,
          trust: { trustedRoot: root },
          asJson: false,
          stream: "stdout",
          threads: count,
        });
        const wallMs = performance.now() - startMs;
        const { user, system } = process.cpuUsage(cpu);
        if (status !== 0) throw new Error("a good file was refused");
        rates[i]!.push({ wall: (1000 * FILES) / wallMs, cpu: (1e6 * FILES) / (user + system) });
      }
    }
    const [alone, shared] = rates as [(typeof rates)[0], (typeof rates)[0]];
    const row = (name: string, unit: string, of: "wall" | "cpu", factor: number): Measurement => {
      const all = shared!.map((rate) => rate[of]);
      const value = Math.max(...all);
      const bound = factor * Math.max(...alone!.map((rate) => rate[of]));
      return {
        name,
        unit,
        value,
        bound,
        peer: null,
        ratio: value / bound,
        peerRatio: null,
        boundName: factor === 1 ? "one thread" : `one thread, ${factor} times`,
        peerName: null,
        repetitions: rounds,
        spread: (value - Math.min(...all)) / value,
      };
    };
    const name = `lacre verify of ${FILES.toLocaleString("en")} files, ${threads} threads`;
    return [row(name, "per second", "wall", threads), row(name, "per CPU-second", "cpu", 1)];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function vector(name: string): Sample | undefined {
  const file = (...parts: string[]): string => join(VECTORS, "bundle-verify", ...parts);
  if (!existsSync(file(name))) return undefined;
  const own = file(name, "trusted_root.json");
  return {
    bundle: readFileSync(file(name, "bundle.sigstore.json")),
    root: readFileSync(existsSync(own) ? own : join(VECTORS, "public-good-trusted_root.json")),
    artifact: readFileSync(existsSync(file(name, "artifact")) ? file(name, "artifact") : file("a.txt")),
    ...BEACON,
  };
}

function made(workshop: Workshop, recipe: Recipe): Sample {
  const { bundle, root, artifact } = seal(workshop, recipe);
  return { bundle: bytesOf(bundle), root: bytesOf(root), artifact, identity: IDENTITY, issuer: ISSUER };
}

const SINGLE: readonly (readonly [name: string, instead: Recipe])[] = [
  ["happy-path-v0.3", {}],
  ["happy-path-intoto-in-dsse-v3", { content: "dsse" }],
  ["rekor2-happy-path", { dialect: "v2" }],
  ["rekor2-dsse-happy-path", { dialect: "v2", content: "dsse" }],
];

export async function run(): Promise<readonly Measurement[]> {
  // Like the public instance: authorities with P-384 keys.
  const large = createWorkshop({ authorityKeys: "P-384" });
  const small = createWorkshop();
  const results: Measurement[] = [];
  results.push(...(await measureFiles(small)));
  for (const [name, instead] of SINGLE) {
    const sample = vector(name);
    results.push(
      ...(await measureOne(sample === undefined ? `${name} (our own, of that kind)` : name, sample ?? made(large, instead))),
    );
  }
  results.push(...(await measureOne("lacre's own profile, log v2", made(small, { dialect: "v2" }))));
  for (const dialect of ["v1", "v2"] as const) {
    const { key, leaf } = seal(small, { dialect });
    const samples = Array.from({ length: 64 }, (_, i) =>
      made(small, { dialect, key, certificate: leaf!, artifact: utf8(`artifact ${i}\n`) }),
    );
    results.push(await measureMany(`many artifacts under one certificate, log ${dialect}`, samples));
  }
  return results;
}
