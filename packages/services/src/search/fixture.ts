// SPDX-License-Identifier: Apache-2.0
/** For tests of search: entries of every kind with keys that meet and part, a log with its index, and the full scan. */
import { randomBytes } from "node:crypto";
import { formatPem, canonicalJson } from "@lacre/core/codec";
import { toBase64, toHex, utf8 } from "@lacre/core/bytes";
import { algorithmOf, generateKey, type PrivateKey, sha256 } from "@lacre/core/crypto";
import { hashLeaf } from "@lacre/core/merkle";
import { signCheckpoint } from "@lacre/core/bundle";
import { type IndexShape, keysOfEntry, mayHavePayload, parseSearchKey, payloadPath, type Match } from "@lacre/core/search";
import {
  authorityFields,
  decodeCertificate,
  encodeName,
  prepareCertificate,
  randomSerial,
  rootFields,
  signerFields,
  signUnsigned,
} from "@lacre/core/x509";
import { createMemoryAnchor, openLog, type Log, type Logger, type LogOptions, type Personality } from "../engine/index.ts";
import { createFileBlobStore, createFileSystem, type BlobStore } from "../store/index.ts";
import { openSearch, type SearchService } from "./service.ts";

export const ORIGIN = "log.test";
export const LOG_KEY: PrivateKey = generateKey("Ed25519");
const ES256 = algorithmOf("PKIX_ECDSA_P256_SHA_256");
const random = (length: number): Uint8Array => randomBytes(length);

/** As the ledger's: the record is the leaf, sixteen bits of length before each. */
export const FRAMED: Personality = {
  leafInput: (record) => record,
  identity: (record) => hashLeaf(sha256, record),
  frame(record) {
    const out = new Uint8Array(2 + record.length);
    new DataView(out.buffer).setUint16(0, record.length);
    out.set(record, 2);
    return out;
  },
  unframe(bundle) {
    const view = new DataView(bundle.buffer, bundle.byteOffset, bundle.length);
    const records: Uint8Array[] = [];
    for (let at = 0; at < bundle.length; at += 2 + view.getUint16(at))
      records.push(bundle.subarray(at + 2, at + 2 + view.getUint16(at)));
    return records;
  },
};

const rootKey = generateKey("P-256");
const issuingKey = generateKey("P-256");
const DAY = 86_400_000;
const now = Date.UTC(2026, 0, 15);
const validity = { notBeforeMs: now - DAY, notAfterMs: now + 1000 * DAY };
const root = decodeCertificate(
  signUnsigned(
    prepareCertificate(
      rootFields({
        ...validity,
        serial: randomSerial(random),
        publicKey: rootKey.publicKey,
        subject: encodeName({ CN: "root" }),
      }),
      ES256,
    ),
    rootKey,
  ),
);
const issuing = decodeCertificate(
  signUnsigned(
    prepareCertificate(
      authorityFields({
        ...validity,
        serial: randomSerial(random),
        publicKey: issuingKey.publicKey,
        issuer: root,
        subject: encodeName({ CN: "issuing" }),
        purpose: "codeSigning",
      }),
      ES256,
    ),
    rootKey,
  ),
);

/** A signer's certificate, DER. */
export function certificateFor(
  kind: "email" | "uri" | "other",
  value: string,
  issuer: string,
  claims: ReadonlyMap<string, string> = new Map(),
): Uint8Array {
  const fields = signerFields({
    ...validity,
    serial: randomSerial(random),
    publicKey: generateKey("P-256").publicKey,
    issuer: issuing,
    san: { kind, value },
    identityIssuer: issuer,
    claims,
  });
  return signUnsigned(prepareCertificate(fields, ES256), issuingKey);
}

export const ISSUERS: readonly string[] = ["https://accounts.example", "https://token.Actions.example"];
export const NAMES: readonly (readonly ["email" | "uri" | "other", string])[] = [
  ["email", "Ann@example.com"],
  ["email", "bob@mail.example.com"],
  ["email", "eve@example.org"],
  ["uri", "https://github.com/acme/tool/.github/workflows/release.yml@refs/heads/main"],
  ["uri", "https://github.com/acme/other/.github/workflows/release.yml@refs/tags/v1"],
  ["uri", "https://gitlab.example/group/sub/project//.gitlab-ci.yml@refs/heads/main"],
  ["uri", "spiffe://trust.example/ns/prod/sa/builder"],
  ["other", "robot!"],
];
const CERTIFICATES = NAMES.flatMap(([kind, value]) => ISSUERS.map((issuer) => certificateFor(kind, value, issuer)));
export const SPKIS: readonly Uint8Array[] = Array.from({ length: 3 }, () => generateKey("P-256").publicKey.spki);

/** A few digests that return, so that searches have several answers. */
const SHARED = Array.from({ length: 5 }, (_, at) => sha256(utf8(`artifact ${at}`)));

let serial = 0;
const pick = <T>(list: readonly T[], at: number): T => list[at % list.length]!;

/** An entry; the same number gives the same signer and digest, but always another signature. */
export function entryOf(seed: number): Uint8Array {
  const digest = seed % 3 === 0 ? pick(SHARED, seed) : sha256(utf8(`artifact ${seed}`));
  const signature = toBase64(sha256(utf8(`signature ${serial++}`)));
  const certificate = pick(CERTIFICATES, seed * 7 + (seed >> 3));
  const spki = pick(SPKIS, seed);
  const isKey = seed % 11 === 0;
  switch (seed % 5) {
    case 0: {
      const pem = isKey ? formatPem("PUBLIC KEY", spki) : formatPem("CERTIFICATE", certificate);
      return json("0.0.1", "hashedrekord", {
        data: { hash: { algorithm: "sha256", value: toHex(digest) } },
        signature: { content: signature, publicKey: { content: toBase64(utf8(pem)) } },
      });
    }
    case 1:
      return json("0.0.1", "dsse", {
        envelopeHash: { algorithm: "sha256", value: toHex(sha256(digest)) },
        payloadHash: { algorithm: "sha256", value: toHex(digest) },
        signatures: [{ signature, verifier: toBase64(utf8(formatPem("CERTIFICATE", certificate))) }],
      });
    case 2:
      return json("0.0.2", "dsse", {
        dsseV002: {
          payloadHash: { algorithm: "SHA2_256", digest: toBase64(digest) },
          signatures: [{ content: signature, verifier: verifierOf(isKey ? undefined : certificate, spki) }],
        },
      });
    default:
      // One in many is of a kind that nobody reads: it has its leaf hash and no more.
      if (seed % 43 === 0) return utf8(`{"apiVersion":"9.9.9","kind":"unknown","spec":{"n":${serial++}}}`);
      return json("0.0.2", "hashedrekord", {
        hashedRekordV002: {
          data: { algorithm: "SHA2_256", digest: toBase64(digest) },
          signature: { content: signature, verifier: verifierOf(isKey ? undefined : certificate, spki) },
        },
      });
  }
}

function json(apiVersion: string, kind: string, spec: object): Uint8Array {
  return utf8(canonicalJson({ apiVersion, kind, spec: spec as never }));
}

function verifierOf(certificate: Uint8Array | undefined, spki: Uint8Array): object {
  return {
    keyDetails: "PKIX_ECDSA_P256_SHA_256",
    ...(certificate === undefined
      ? { publicKey: { rawBytes: toBase64(spki) } }
      : { x509Certificate: { rawBytes: toBase64(certificate) } }),
  };
}

/** An intoto entry with the statement that its ledger keeps beside it. */
export function attestedEntry(subjects: readonly string[]): { readonly body: Uint8Array; readonly payload: Uint8Array } {
  const payload = utf8(
    JSON.stringify({
      _type: "https://in-toto.io/Statement/v1",
      predicateType: "https://slsa.dev/provenance/v0.2",
      predicate: { materials: [{ uri: "git+x", digest: { sha1: "ab".repeat(20) } }] },
      subject: subjects.map((sha) => ({ name: sha.slice(0, 8), digest: { sha256: sha } })),
    }),
  );
  const body = json("0.0.2", "intoto", {
    content: {
      envelope: {
        payloadType: "application/vnd.in-toto+json",
        signatures: [
          {
            publicKey: toBase64(utf8(formatPem("PUBLIC KEY", SPKIS[0]!))),
            sig: toBase64(utf8(toBase64(sha256(utf8(`${serial++}`))))),
          },
        ],
      },
      hash: { algorithm: "sha256", value: toHex(sha256(utf8(`${serial}`))) },
      payloadHash: { algorithm: "sha256", value: toHex(sha256(payload)) },
    },
  });
  return { body, payload };
}

export const SMALL: IndexShape = { generation: 8, fan: 2 };

export interface Bed {
  readonly log: Log;
  readonly blobs: BlobStore;
  readonly search: SearchService;
  /** What the operator was told. */
  readonly told: readonly string[];
  add(...records: readonly Uint8Array[]): Promise<void>;
  close(): Promise<void>;
}

/** A log in a directory, with its index. */
export async function openBed(
  dir: string,
  options: {
    readonly shape?: IndexShape;
    readonly entriesAtStart?: number;
    readonly entriesInMemory?: number;
    readonly blobs?: BlobStore;
    readonly log?: Partial<LogOptions>;
    readonly key?: PrivateKey;
  } = {},
): Promise<Bed> {
  const { blobs = createFileBlobStore(createFileSystem(), dir), key = LOG_KEY } = options;
  const log = await openLog({
    dir,
    origin: ORIGIN,
    personality: FRAMED,
    now: Date.now,
    anchor: createMemoryAnchor(),
    production: false,
    ticks: { minMs: 0, maxMs: 0 },
    signCheckpoint: ({ size, root: hash }) =>
      signCheckpoint({ origin: ORIGIN, name: ORIGIN, size: BigInt(size), root: hash, key }),
    ...options.log,
  });
  const told: string[] = [];
  const tell = (fields: object, message: string): void => void told.push(`${message} ${JSON.stringify(fields)}`);
  const logger: Logger = { info: tell, warn: tell, error: tell };
  const search = await openSearch({
    log,
    blobs,
    kind: "artifacts",
    name: ORIGIN,
    key,
    now: Date.now,
    logger,
    shape: options.shape ?? SMALL,
    entriesAtStart: options.entriesAtStart,
    entriesInMemory: options.entriesInMemory ?? 16,
    publishMs: 0,
  });
  return {
    log,
    blobs,
    search,
    told,
    async add(...records) {
      await Promise.all(records.map(async (record) => log.receipt(await log.append(record))));
    },
    async close() {
      await search.close();
      await log.close();
    },
  };
}

/** The indices that a query must find, by reading everything. */
export async function fullScan(
  log: Log,
  blobs: BlobStore,
  keys: readonly string[],
  match: Match,
  after: number | undefined,
  limit: number,
): Promise<number[]> {
  const wanted = keys.map(parseSearchKey);
  const found: number[] = [];
  for (let at = (after ?? -1) + 1; at < log.size && found.length < limit; at++) {
    const { record, leafHash } = (await log.entry(at))!;
    const own = keysOfEntry(record, leafHash, mayHavePayload(record) ? await blobs.get(payloadPath(leafHash)) : undefined);
    if (match === "all" ? wanted.every((key) => own.includes(key)) : wanted.some((key) => own.includes(key))) found.push(at);
  }
  return found;
}
