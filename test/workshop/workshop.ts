// SPDX-License-Identifier: Apache-2.0
/**
 * A whole Sigstore in memory, for tests of verification: an authority, a certificate log, a timestamp authority and two
 * transparency logs, each with a key of its own, that sign whatever they are told to.
 *
 * `seal` makes a complete, good bundle; each member of a `Recipe` changes one thing in the making, at the place where an
 * attacker or a broken service would, so that everything after it is still signed and consistent. Nothing here verifies.
 */
import { randomBytes } from "node:crypto";
import { formatCheckpointText, noteKeyId, signNote } from "@lacre/core/bundle";
import { fromBase64, toBase64, toHex, utf8 } from "@lacre/core/bytes";
import { canonicalJson, formatPem, pae, parseNote, formatNote, type Json, type Note } from "@lacre/core/codec";
import {
  algorithmOf,
  defaultAlgorithm,
  generateKey,
  hash,
  sha256,
  signMessage,
  type HashName,
  type KeyType,
  type PrivateKey,
} from "@lacre/core/crypto";
import { admitRequest } from "@lacre/core/entry";
import { hashLeaf, proveInclusion, CompactRange, hashNode } from "@lacre/core/merkle";
import {
  authorityFields,
  decodeCertificate,
  encodeName,
  loggedTbs,
  issuerKeyHash,
  prepareCertificate,
  prepareLoggedCertificate,
  prepareTimestamp,
  randomSerial,
  rootFields,
  sctAlgorithmCodes,
  sctSignedData,
  signerFields,
  signUnsigned,
  timestampLeafFields,
  type Certificate,
  type CertificateFields,
  type IdentityName,
  type Sct,
  type TimestampFields,
} from "@lacre/core/x509";

/** A JSON object that tests may change. */
// oxlint-disable-next-line typescript/no-explicit-any -- tests reach into it by the names that the formats give
export type Mutable = { [key: string]: any };

const MINUTE = 60_000;
const YEAR = 365 * 24 * 60 * MINUTE;
const random = (length: number): Uint8Array => randomBytes(length);

/** When everything happens: a whole second. */
export const SIGNED_MS: number = Date.UTC(2026, 0, 15, 12, 0, 0);
/** A little later: now, for the verifier. */
export const NOW_MS: number = SIGNED_MS + 60 * MINUTE;
export const IDENTITY = "https://ci.example/project/.workflows/release.yml@refs/heads/main";
export const ISSUER = "https://token.example";
export const ARTIFACT: Uint8Array = utf8("what was built\n");
export const PREDICATE_TYPE = "https://slsa.dev/provenance/v1";

/** An authority of certificates: its key, its own certificate, and the list that a trusted root shows. */
export interface Authority {
  readonly key: PrivateKey;
  readonly certificate: Certificate;
  readonly root: Certificate;
  readonly rootKey: PrivateKey;
}

/** A log: its key and the names it goes by. */
export interface LogKeys {
  readonly key: PrivateKey;
  /** Host: name in signature lines, and in `baseUrl`. */
  readonly name: string;
  readonly origin: string;
  readonly logId: Uint8Array;
}

function createAuthority(organization: string, purpose: "codeSigning" | "timeStamping", type: KeyType = "P-256"): Authority {
  const rootKey = generateKey(type);
  const key = generateKey(type);
  const common = { notBeforeMs: SIGNED_MS - YEAR, notAfterMs: SIGNED_MS + 9 * YEAR };
  const subject = encodeName({ O: organization, CN: "root" });
  const root = issue(rootFields({ ...common, serial: randomSerial(random), publicKey: rootKey.publicKey, subject }), rootKey);
  const inner = authorityFields({
    ...common,
    serial: randomSerial(random),
    publicKey: key.publicKey,
    issuer: root,
    subject: encodeName({ O: organization, CN: "issuing" }),
    purpose,
  });
  return { key, rootKey, root, certificate: issue(inner, rootKey) };
}

/** A certificate signed by this key. */
export function issue(fields: CertificateFields, key: PrivateKey): Certificate {
  return decodeCertificate(signUnsigned(prepareCertificate(fields, defaultAlgorithm(key.publicKey)), key));
}

/** The permanent parts: keys and authorities. Made once for a test file. */
export interface Workshop {
  readonly authority: Authority;
  readonly tsa: Authority & { readonly leafKey: PrivateKey; readonly leaf: Certificate };
  readonly ct: LogKeys;
  readonly rekor1: LogKeys;
  readonly rekor2: LogKeys;
}

export interface WorkshopOptions {
  /** Keys of the issuing and of the timestamp authority. */
  readonly authorityKeys?: KeyType;
}

export function createWorkshop({ authorityKeys = "P-256" }: WorkshopOptions = {}): Workshop {
  const authority = createAuthority("workshop", "codeSigning", authorityKeys);
  const tsaAuthority = createAuthority("workshop clock", "timeStamping", authorityKeys);
  const leafKey = generateKey("P-256");
  const leaf = issue(
    timestampLeafFields({
      serial: randomSerial(random),
      publicKey: leafKey.publicKey,
      issuer: tsaAuthority.certificate,
      subject: encodeName({ O: "workshop clock", CN: "clock" }),
      notBeforeMs: SIGNED_MS - YEAR / 2,
      notAfterMs: SIGNED_MS + 5 * YEAR,
    }),
    tsaAuthority.key,
  );
  const ctKey = generateKey("P-256");
  const rekor1Key = generateKey("P-256");
  return {
    authority,
    tsa: { ...tsaAuthority, leafKey, leaf },
    ct: { key: ctKey, name: "ct.workshop.test", origin: "ct.workshop.test", logId: sha256(ctKey.publicKey.spki) },
    rekor1: {
      key: rekor1Key,
      name: "rekor.workshop.test",
      origin: "rekor.workshop.test - 1193050959916656506",
      logId: sha256(rekor1Key.publicKey.spki),
    },
    rekor2: createLog2("log2026.workshop.test"),
  };
}

/** A log of the second generation: Ed25519, one name. */
export function createLog2(name: string): LogKeys {
  const key = generateKey("Ed25519");
  return { key, name, origin: name, logId: noteKeyId(name, key.publicKey) };
}

/** What a token is made of, to be changed. */
export interface TokenParts {
  fields: TimestampFields;
  key: PrivateKey;
}

/** What a log signs and shows, to be changed. */
export interface EntryParts {
  /** The leaf. Changed before it is hashed: the log then proves the changed one. */
  body: string;
  kind: string;
  version: string;
  integratedTime: number;
  logIndex: number;
  /** Whether the log promises inclusion, and whether it proves it. */
  hasPromise: boolean;
  hasProof: boolean;
}

/** One thing done differently each. */
export interface Recipe {
  /** Which log: first generation (promise and proof) or second (proof; a timestamp comes with it). Default v1. */
  readonly dialect?: "v1" | "v2";
  readonly content?: "message" | "dsse";
  readonly signer?: "certificate" | "key";
  readonly keyType?: KeyType;
  readonly artifact?: Uint8Array;
  readonly mediaType?: string;
  /** Kind of entry for an envelope. Default: what newer clients log (dsse 0.0.1, hashedrekord 0.0.2). */
  readonly kind?: "hashedrekord" | "dsse" | "intoto";
  /** Adds a timestamp where there would be none, or leaves it out. */
  readonly timestamp?: boolean;
  /** The artifact's signer, where it is not a fresh key. */
  readonly key?: PrivateKey;
  /** A certificate for that key made before, as when many artifacts are sealed under one. */
  readonly certificate?: Certificate;
  readonly san?: IdentityName;
  readonly issuer?: string;
  readonly claims?: ReadonlyMap<string, string>;
  /** The leaf before its precertificate is logged. */
  readonly leaf?: (fields: CertificateFields) => CertificateFields;
  /** Another authority than the trusted one. */
  readonly authority?: Pick<Authority, "key" | "certificate">;
  /** When the certificate log made its promise. */
  readonly sctMs?: number;
  readonly scts?: (scts: readonly Sct[], workshop: Workshop) => readonly Sct[];
  readonly statement?: (statement: Mutable) => Json;
  readonly payload?: (payload: Uint8Array) => Uint8Array;
  readonly payloadType?: string;
  /** What is signed in place of artifact or envelope. */
  readonly signed?: (message: Uint8Array) => Uint8Array;
  readonly signature?: (signature: Uint8Array) => Uint8Array;
  /** What the bundle holds in place of what was logged and dated. */
  readonly shown?: { readonly signature?: Uint8Array; readonly certificate?: Uint8Array };
  readonly token?: (parts: TokenParts) => void;
  /** What the timestamp is over, in place of the signature. */
  readonly imprint?: (signature: Uint8Array) => Uint8Array;
  /** Response bytes. */
  readonly response?: (response: Uint8Array) => Uint8Array;
  readonly entry?: (parts: EntryParts) => void;
  readonly log?: LogKeys;
  /** The checkpoint's text, before it is signed. */
  readonly checkpointText?: (text: string) => string;
  /** The checkpoint, signed. */
  readonly checkpoint?: (note: string) => string;
  /** The finished bundle, unsigned parts. */
  readonly bundle?: (bundle: Mutable) => void;
  readonly root?: (root: Mutable) => void;
}

/** A sealed artifact with everything to verify it. */
export interface Sealed {
  readonly bundle: Mutable;
  readonly root: Mutable;
  readonly artifact: Uint8Array;
  readonly key: PrivateKey;
  readonly signature: Uint8Array;
  readonly leaf: Certificate | undefined;
}

/** Makes a bundle. Good, but for what the recipe changes. */
export function seal(workshop: Workshop, recipe: Recipe = {}): Sealed {
  const { dialect = "v1", content = "message", signer = "certificate", keyType = "P-256", artifact = ARTIFACT } = recipe;
  const key = recipe.key ?? generateKey(keyType);
  const leaf = signer === "certificate" ? (recipe.certificate ?? certify(workshop, key, recipe)) : undefined;

  const payloadType = recipe.payloadType ?? "application/vnd.in-toto+json";
  const payload = content === "dsse" ? makePayload(artifact, recipe) : undefined;
  const message = payload === undefined ? artifact : pae(payloadType, payload);
  const algorithm = defaultAlgorithm(key.publicKey);
  const made = signMessage(algorithm, key, recipe.signed?.(message) ?? message);
  const signature = recipe.signature?.(made) ?? made;

  const verifier = { leaf, key };
  const body = makeBody(recipe, dialect, { message, payload, payloadType, signature, verifier, hashName: algorithm.hash });
  const entry = logEntry(workshop, recipe, dialect, body);
  const isDated = recipe.timestamp ?? dialect === "v2";
  const token = isDated ? stamp(workshop, recipe, signature) : undefined;

  const mediaType = recipe.mediaType ?? "application/vnd.dev.sigstore.bundle.v0.3+json";
  const certificate = leaf === undefined ? undefined : { rawBytes: toBase64(recipe.shown?.certificate ?? leaf.der) };
  const isOld = mediaType.endsWith("0.1") || mediaType.endsWith("0.2");
  const material: Mutable = {
    ...(certificate === undefined
      ? { publicKey: { hint: toBase64(sha256(key.publicKey.spki)) } }
      : isOld
        ? { x509CertificateChain: { certificates: [certificate] } }
        : { certificate }),
    tlogEntries: [entry],
    ...(token === undefined ? {} : { timestampVerificationData: { rfc3161Timestamps: [{ signedTimestamp: toBase64(token) }] } }),
  };
  const shown = toBase64(recipe.shown?.signature ?? signature);
  const bundle: Mutable = {
    mediaType,
    verificationMaterial: material,
    ...(payload === undefined
      ? { messageSignature: { messageDigest: { algorithm: "SHA2_256", digest: toBase64(sha256(artifact)) }, signature: shown } }
      : {
          dsseEnvelope: {
            payload: toBase64(payload),
            payloadType,
            signatures: [{ sig: shown, keyid: leaf === undefined ? material["publicKey"].hint : "" }],
          },
        }),
  };
  recipe.bundle?.(bundle);
  const root = trustedRoot(workshop);
  recipe.root?.(root);
  return { bundle, root, artifact, key, signature, leaf };
}

/** The bundle's bytes. */
export function bytesOf(json: Mutable): Uint8Array {
  return utf8(JSON.stringify(json));
}

function certify(workshop: Workshop, key: PrivateKey, recipe: Recipe): Certificate {
  const { key: issuerKey, certificate: issuer } = recipe.authority ?? workshop.authority;
  const made = signerFields({
    issuer,
    serial: randomSerial(random),
    publicKey: key.publicKey,
    notBeforeMs: SIGNED_MS - MINUTE,
    notAfterMs: SIGNED_MS + 9 * MINUTE,
    san: recipe.san ?? { kind: "uri", value: IDENTITY },
    identityIssuer: recipe.issuer ?? ISSUER,
    claims:
      recipe.claims ??
      new Map([
        ["sourceRepositoryURI", "https://ci.example/project"],
        ["githubWorkflowTrigger", "push"],
      ]),
  });
  const fields = recipe.leaf?.(made) ?? made;
  const algorithm = defaultAlgorithm(issuerKey.publicKey);
  const bare = signUnsigned(prepareCertificate(fields, algorithm), issuerKey);
  const promise = promiseFor(workshop.ct, decodeCertificate(bare), issuer, recipe.sctMs ?? SIGNED_MS - MINUTE + 250);
  const scts = recipe.scts?.([promise], workshop) ?? [promise];
  const final = scts.length === 0 ? prepareCertificate(fields, algorithm) : prepareLoggedCertificate(fields, algorithm, scts);
  return decodeCertificate(signUnsigned(final, issuerKey));
}

/** A certificate log's promise for a certificate that does not carry it yet. */
export function promiseFor(
  log: Pick<LogKeys, "key" | "logId">,
  certificate: Certificate,
  issuer: Certificate,
  timestampMs: number,
  extensions: Uint8Array = new Uint8Array(),
): Sct {
  const algorithm = algorithmOf("PKIX_ECDSA_P256_SHA_256");
  const signed = sctSignedData(
    { tbs: loggedTbs(certificate.tbs), issuerKeyHash: issuerKeyHash(issuer) },
    timestampMs,
    extensions,
  );
  return {
    logId: log.logId,
    timestampMs,
    extensions,
    ...sctAlgorithmCodes(algorithm),
    signature: signMessage(algorithm, log.key, signed),
  };
}

function makePayload(artifact: Uint8Array, recipe: Recipe): Uint8Array {
  const statement: Mutable = {
    _type: "https://in-toto.io/Statement/v1",
    subject: [{ name: "artifact", digest: { sha256: toHex(sha256(artifact)) } }],
    predicateType: PREDICATE_TYPE,
    predicate: { buildDefinition: { buildType: "workshop" } },
  };
  const payload = utf8(JSON.stringify(recipe.statement?.(statement) ?? statement));
  return recipe.payload?.(payload) ?? payload;
}

interface Logged {
  readonly message: Uint8Array;
  readonly payload: Uint8Array | undefined;
  readonly payloadType: string;
  readonly signature: Uint8Array;
  readonly verifier: { readonly leaf: Certificate | undefined; readonly key: PrivateKey };
  readonly hashName: HashName;
}

function pemOf({ leaf, key }: Logged["verifier"]): string {
  return toBase64(utf8(leaf === undefined ? formatPem("PUBLIC KEY", key.publicKey.spki) : formatPem("CERTIFICATE", leaf.der)));
}

function makeBody(recipe: Recipe, dialect: "v1" | "v2", logged: Logged): EntryParts {
  const { message, payload, payloadType, signature, verifier, hashName } = logged;
  const kind = recipe.kind ?? (payload !== undefined && dialect === "v1" ? "dsse" : "hashedrekord");
  const common = { integratedTime: SIGNED_MS / 1000, logIndex: 79_571_823, hasPromise: dialect === "v1", hasProof: true };
  if (dialect === "v2") {
    const details = {
      ...(verifier.leaf === undefined
        ? { publicKey: { rawBytes: toBase64(verifier.key.publicKey.spki) } }
        : { x509Certificate: { rawBytes: toBase64(verifier.leaf.der) } }),
      keyDetails: defaultAlgorithm(verifier.key.publicKey).keyDetails,
    };
    const request: Json =
      kind === "dsse"
        ? {
            dsseRequestV002: {
              envelope: { payload: toBase64(payload!), payloadType, signatures: [{ sig: toBase64(signature), keyid: "" }] },
              verifiers: [details],
            },
          }
        : {
            hashedRekordRequestV002: {
              digest: toBase64(hash(hashName, message)),
              signature: { content: toBase64(signature), verifier: details },
            },
          };
    const { body } = admitRequest(request);
    return { ...common, body: new TextDecoder().decode(body), kind, version: "0.0.2", integratedTime: 0 };
  }
  const sha = (bytes: Uint8Array): Json => ({ algorithm: "sha256", value: toHex(sha256(bytes)) });
  const envelope = utf8(
    JSON.stringify({
      payload: payload === undefined ? "" : toBase64(payload),
      payloadType,
      signatures: [{ sig: toBase64(signature), keyid: "" }],
    }),
  );
  const [version, spec]: [string, Json] =
    kind === "hashedrekord"
      ? [
          "0.0.1",
          {
            data: { hash: { algorithm: hashName, value: toHex(hash(hashName, message)) } },
            signature: { content: toBase64(signature), publicKey: { content: pemOf(verifier) } },
          },
        ]
      : kind === "dsse"
        ? [
            "0.0.1",
            {
              envelopeHash: sha(envelope),
              payloadHash: sha(payload!),
              signatures: [{ signature: toBase64(signature), verifier: pemOf(verifier) }],
            },
          ]
        : [
            "0.0.2",
            {
              content: {
                envelope: { payloadType, signatures: [{ publicKey: pemOf(verifier), sig: toBase64(utf8(toBase64(signature))) }] },
                hash: sha(envelope),
                payloadHash: sha(payload!),
              },
            },
          ];
  return { ...common, body: canonicalJson({ apiVersion: version, kind, spec }), kind, version };
}

/** Filler leaves, and our position among them. */
const TREE_SIZE = 7;
const POSITION = 4;

function logEntry(workshop: Workshop, recipe: Recipe, dialect: "v1" | "v2", made: EntryParts): Mutable {
  const parts = { ...made };
  recipe.entry?.(parts);
  const log = recipe.log ?? (dialect === "v1" ? workshop.rekor1 : workshop.rekor2);
  return logOne(log, parts, recipe);
}

/** Logs one body: the entry as a bundle shows it. */
export function logOne(log: LogKeys, parts: EntryParts, recipe: Pick<Recipe, "checkpointText" | "checkpoint"> = {}): Mutable {
  const body = utf8(parts.body);
  const leaves = Array.from({ length: TREE_SIZE }, (_, i) => hashLeaf(sha256, i === POSITION ? body : utf8(`leaf ${i}`)));
  const range = new CompactRange(sha256);
  for (const leaf of leaves) range.append(leaf);
  const node = (level: number, index: number): Uint8Array =>
    level === 0 ? leaves[index]! : hashNode(sha256, node(level - 1, 2 * index), node(level - 1, 2 * index + 1));
  const proof = proveInclusion(sha256, POSITION, TREE_SIZE, node);
  const rootHash = range.root();
  const text = formatCheckpointText(log.origin, BigInt(TREE_SIZE), rootHash);
  const note = signNote(recipe.checkpointText?.(text) ?? text, log.name, log.key);
  const isV1 = log.origin !== log.name;
  const logIndex = isV1 ? parts.logIndex : POSITION;
  return {
    logIndex: `${logIndex}`,
    logId: { keyId: toBase64(log.logId) },
    kindVersion: { kind: parts.kind, version: parts.version },
    ...(parts.integratedTime === 0 ? {} : { integratedTime: `${parts.integratedTime}` }),
    ...(parts.hasPromise
      ? { inclusionPromise: { signedEntryTimestamp: toBase64(promiseEntry(log, body, parts.integratedTime, logIndex)) } }
      : {}),
    ...(parts.hasProof
      ? {
          inclusionProof: {
            logIndex: `${POSITION}`,
            rootHash: toBase64(rootHash),
            treeSize: `${TREE_SIZE}`,
            hashes: proof.map(toBase64),
            checkpoint: { envelope: recipe.checkpoint?.(note) ?? note },
          },
        }
      : {}),
    canonicalizedBody: toBase64(body),
  };
}

/** A signed entry timestamp. */
export function promiseEntry(log: LogKeys, body: Uint8Array, integratedTime: number, logIndex: number): Uint8Array {
  const signed = canonicalJson({ body: toBase64(body), integratedTime, logID: toHex(log.logId), logIndex });
  return signMessage(defaultAlgorithm(log.key.publicKey), log.key, utf8(signed));
}

/** Takes a checkpoint apart and puts it together again. */
export function changeNote(change: (note: Note) => Note): (note: string) => string {
  return (note) => formatNote(change(parseNote(note)));
}

function stamp(workshop: Workshop, recipe: Recipe, signature: Uint8Array): Uint8Array {
  return stampOne(workshop, recipe.imprint?.(signature) ?? signature, recipe.token, recipe.response);
}

/** One timestamp response over these bytes. */
export function stampOne(
  workshop: Workshop,
  over: Uint8Array,
  change?: Recipe["token"],
  response?: Recipe["response"],
): Uint8Array {
  const { leaf, leafKey } = workshop.tsa;
  const parts: TokenParts = {
    key: leafKey,
    fields: {
      policy: "1.3.6.1.4.1.57264.2",
      imprint: { hash: "sha256", digest: sha256(over) },
      serial: randomSerial(random),
      timeMs: SIGNED_MS,
      signer: leaf,
      algorithm: algorithmOf("PKIX_ECDSA_P256_SHA_256"),
      certificates: [],
    },
  };
  change?.(parts);
  const made = signUnsigned(prepareTimestamp(parts.fields), parts.key);
  return response?.(made) ?? made;
}

const START = new Date(SIGNED_MS - YEAR).toISOString();

/** One log in a trusted root. */
export function logInstance(log: LogKeys, keyDetails: string, start: string = START): Mutable {
  return {
    baseUrl: `https://${log.name}`,
    hashAlgorithm: "SHA2_256",
    publicKey: { rawBytes: toBase64(log.key.publicKey.spki), keyDetails, validFor: { start } },
    logId: { keyId: toBase64(log.logId) },
  };
}

/** One authority in a trusted root. */
export function authorityInstance(
  uri: string,
  organization: string,
  chain: readonly Certificate[],
  start: string = START,
): Mutable {
  return {
    subject: { organization, commonName: "issuing" },
    uri,
    certChain: { certificates: chain.map((certificate) => ({ rawBytes: toBase64(certificate.der) })) },
    validFor: { start },
  };
}

/** The trusted root of a workshop, as JSON. */
export function trustedRoot({ authority, tsa, ct, rekor1, rekor2 }: Workshop): Mutable {
  return {
    mediaType: "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
    tlogs: [logInstance(rekor1, "PKIX_ECDSA_P256_SHA_256"), logInstance(rekor2, "PKIX_ED25519")],
    certificateAuthorities: [authorityInstance("https://ca.workshop.test", "workshop", [authority.certificate, authority.root])],
    ctlogs: [logInstance(ct, "PKIX_ECDSA_P256_SHA_256")],
    timestampAuthorities: [
      authorityInstance("https://clock.workshop.test/api/v1/timestamp", "workshop clock", [tsa.leaf, tsa.certificate, tsa.root]),
    ],
  };
}

/** Changes text that is base64. */
export function inBase64(encoded: string, change: (bytes: Uint8Array) => Uint8Array): string {
  return toBase64(change(fromBase64(encoded)));
}

/** The same bytes with one bit changed. */
export function flip(bytes: Uint8Array, at: number = bytes.length - 1, bit = 0): Uint8Array {
  const copy = Uint8Array.from(bytes);
  copy[at]! ^= 1 << bit;
  return copy;
}
