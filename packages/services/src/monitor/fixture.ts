// SPDX-License-Identifier: Apache-2.0
/** For tests of the monitor: a log in memory whose operator may lie. */
import { logVerifierKey, signCheckpoint, type VerifierKey } from "@lacre/core/bundle";
import { ByteWriter, concat, utf8 } from "@lacre/core/bytes";
import { defaultAlgorithm, generateKey, random, sha256, type PrivateKey } from "@lacre/core/crypto";
import type { TileSource } from "@lacre/core/log";
import { CompactRange, hashLeaf, TILE_WIDTH, parseTilePath, tileWidth } from "@lacre/core/merkle";
import {
  decodeCertificate,
  encodeName,
  prepareCertificate,
  randomSerial,
  rootFields,
  signerFields,
  signUnsigned,
  type Extension,
} from "@lacre/core/x509";
import { LEDGER_ENTRIES } from "./entries.ts";
import type { WatchedLog } from "./watch.ts";

export const ORIGIN = "log.example";

/** A log that serves whatever it was told to. */
export class FakeLog {
  readonly key: PrivateKey;
  readonly verifier: VerifierKey;
  /** Entries as they are served. */
  entries: Uint8Array[] = [];
  /** What is signed; the tree over `entries` unless set. */
  note: string | undefined;
  isDown = false;
  /** Reads of tiles so far. */
  reads = 0;

  constructor(key: PrivateKey = generateKey("Ed25519")) {
    this.key = key;
    this.verifier = logVerifierKey(ORIGIN, key.publicKey);
  }

  add(...entries: readonly (string | Uint8Array)[]): this {
    for (const entry of entries) this.entries.push(typeof entry === "string" ? utf8(entry) : entry);
    return this;
  }

  nodes(): Uint8Array[][] {
    const nodes: Uint8Array[][] = [];
    const range = new CompactRange(sha256);
    for (const entry of this.entries)
      range.append(hashLeaf(sha256, entry), (level, index, hash) => void ((nodes[level] ??= [])[index] = hash));
    return nodes;
  }

  /** The checkpoint over the first `size` entries. */
  checkpoint(size: number = this.entries.length): string {
    const range = new CompactRange(sha256);
    for (const entry of this.entries.slice(0, size)) range.append(hashLeaf(sha256, entry));
    return signCheckpoint({ origin: ORIGIN, name: ORIGIN, size: BigInt(size), root: range.root(), key: this.key });
  }

  readonly source: TileSource = async (path) => {
    if (this.isDown) throw Object.assign(new Error("down"));
    if (path === "checkpoint") return utf8(this.note ?? this.checkpoint());
    this.reads++;
    const { level, index, width } = parseTilePath(path.slice("tile/".length));
    if (width > tileWidth(level, index, this.entries.length)) return undefined;
    const from = index * TILE_WIDTH;
    if (level === "entries")
      return concat(...this.entries.slice(from, from + width).map((entry) => new ByteWriter().vector(2, entry).finish()));
    return concat(...(this.nodes()[8 * (level as number)] ?? []).slice(from, from + width));
  };

  watched(more: Partial<WatchedLog> = {}): WatchedLog {
    return { origin: ORIGIN, key: this.verifier, source: this.source, entries: LEDGER_ENTRIES, ...more };
  }
}

/** A signer's certificate for you@example.com by https://issuer.example, with one extension more. */
export function signerCertificate(key: PrivateKey, extra: Extension): Uint8Array {
  const authority = generateKey("P-256");
  const algorithm = defaultAlgorithm(authority.publicKey);
  const common = { notBeforeMs: 1_700_000_000_000, notAfterMs: 1_700_000_600_000 };
  const root = rootFields({
    ...common,
    serial: randomSerial(random),
    publicKey: authority.publicKey,
    subject: encodeName({ CN: "authority" }),
  });
  const issuer = decodeCertificate(signUnsigned(prepareCertificate(root, algorithm), authority));
  const fields = signerFields({
    ...common,
    serial: randomSerial(random),
    publicKey: key.publicKey,
    issuer,
    san: { kind: "email", value: "you@example.com" },
    identityIssuer: "https://issuer.example",
    claims: new Map([["sourceRepositoryURI", "https://github.example/org/repo"]]),
  });
  return signUnsigned(prepareCertificate({ ...fields, extensions: [...fields.extensions, extra] }, algorithm), authority);
}
