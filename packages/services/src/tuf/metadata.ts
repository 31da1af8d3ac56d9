// SPDX-License-Identifier: Apache-2.0
/**
 * The four documents of a TUF repository (specification 1.0, sections 4.3 to 4.6), built and signed.
 *
 * An envelope is `{"signed": {...}, "signatures": [{"keyid", "sig"}]}`; what is signed are the bytes of the OLPC
 * canonical JSON of `signed`, `sig` is the hex of a DER ECDSA signature. Keys are `ecdsa` / `ecdsa-sha2-nistp256` / PEM,
 * the one spelling that every client accepts. A key's id is the hex SHA-256 of its own canonical JSON. Expiry has whole
 * seconds. Targets list exactly one hash, sha256: the hash-prefixed file name of another would differ by client.
 */
import { createHash } from "node:crypto";
import { canonicalize } from "@tufjs/canonical-json";
import { Key, MetaFile, Metadata, MetadataKind, Root, Signature, Snapshot, TargetFile, Targets, Timestamp } from "@tufjs/models";
import { algorithmOf, signMessage, type PrivateKey } from "@lacre/core/crypto";

/** Written into every document; the form that production repositories use. */
const SPEC_VERSION = "1.0.31";
const ECDSA_P256 = algorithmOf("PKIX_ECDSA_P256_SHA_256");

/** A key that signs metadata, and its public half in TUF's form. */
export interface TufKey {
  readonly key: Key;
  readonly privateKey: PrivateKey;
}

/** What a client may download: a file, and for the oldest clients a `custom` object that says what it is. */
export interface Target {
  readonly bytes: Uint8Array;
  readonly custom?: Readonly<Record<string, unknown>>;
}

/** A signed document, as bytes and as what they say. */
export interface Document {
  readonly bytes: Uint8Array;
  readonly version: number;
  readonly expiresMs: number;
}

/** The TUF form of a P-256 key. */
export function createTufKey(privateKey: PrivateKey): TufKey {
  const base64 = Buffer.from(privateKey.publicKey.spki).toString("base64");
  const pem = `-----BEGIN PUBLIC KEY-----\n${base64.replaceAll(/.{64}(?=.)/g, "$&\n")}\n-----END PUBLIC KEY-----\n`;
  const json = { keytype: "ecdsa", scheme: "ecdsa-sha2-nistp256", keyval: { public: pem } };
  const keyID = createHash("sha256").update(canonicalize(json)).digest("hex");
  return { key: Key.fromJSON(keyID, json), privateKey };
}

/** When something that is issued now and lives that long expires: whole seconds, rounded up. */
export function expiry(nowMs: number, lifeMs: number): string {
  return new Date(Math.ceil((nowMs + lifeMs) / 1000) * 1000).toISOString().replace(".000Z", "Z");
}

function seal(signed: Root | Targets | Snapshot | Timestamp, ...keys: readonly TufKey[]): Document {
  const metadata = new Metadata(signed);
  for (const { key, privateKey } of keys) {
    metadata.sign(
      (data) => new Signature({ keyID: key.keyID, sig: Buffer.from(signMessage(ECDSA_P256, privateKey, data)).toString("hex") }),
    );
  }
  return {
    bytes: Buffer.from(JSON.stringify(metadata.toJSON())),
    version: signed.version,
    expiresMs: Date.parse(signed.expires),
  };
}

/** Root metadata: `rootKey` for root itself, `onlineKey` for the three roles below. Consistent snapshots, thresholds 1. */
export function sealRoot(o: { version: number; expires: string; rootKey: TufKey; onlineKey: TufKey }): Document {
  const root = new Root({ version: o.version, specVersion: SPEC_VERSION, expires: o.expires, consistentSnapshot: true });
  root.addKey(o.rootKey.key, MetadataKind.Root);
  for (const role of [MetadataKind.Targets, MetadataKind.Snapshot, MetadataKind.Timestamp]) root.addKey(o.onlineKey.key, role);
  return seal(root, o.rootKey);
}

/** Targets metadata: length and sha256 of each file. */
export function sealTargets(o: {
  version: number;
  expires: string;
  targets: ReadonlyMap<string, Target>;
  key: TufKey;
}): Document {
  const targets = new Targets({ version: o.version, specVersion: SPEC_VERSION, expires: o.expires });
  for (const [path, { bytes, custom }] of o.targets) {
    const fields = custom === undefined ? {} : { unrecognizedFields: { custom: custom as never } };
    targets.addTarget(new TargetFile({ path, length: bytes.length, hashes: { sha256: sha256Hex(bytes) }, ...fields }));
  }
  return seal(targets, o.key);
}

/** Snapshot metadata: which targets metadata is current. */
export function sealSnapshot(o: { version: number; expires: string; targetsVersion: number; key: TufKey }): Document {
  const meta = { "targets.json": new MetaFile({ version: o.targetsVersion }) };
  return seal(new Snapshot({ version: o.version, specVersion: SPEC_VERSION, expires: o.expires, meta }), o.key);
}

/** Timestamp metadata: which snapshot is current. */
export function sealTimestamp(o: { version: number; expires: string; snapshotVersion: number; key: TufKey }): Document {
  const snapshotMeta = new MetaFile({ version: o.snapshotVersion });
  return seal(new Timestamp({ version: o.version, specVersion: SPEC_VERSION, expires: o.expires, snapshotMeta }), o.key);
}

/** The hex SHA-256 that prefixes the name of a target's file. */
export function sha256Hex(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
