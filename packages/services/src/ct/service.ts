// SPDX-License-Identifier: Apache-2.0
/**
 * The CT log's rules: a chain in, a promise (SCT) out, kept before it is given.
 *
 * An entry's time is chosen before it is stored and is part of what is stored, so promise and log cannot differ; times do
 * not go back while the process lives. Issuers are durable before the entry that names them. The promise is signed when a
 * published checkpoint covers the entry (invariant I6 of the engine): whoever gets an SCT can find its entry at once. The
 * wait costs an idle log one publication, and a busy one its publication interval.
 *
 * The same certificate again gets the promise of the first time: the same time, and the same signature while it is
 * remembered. ECDSA signs differently each time, and data tiles have no room for a signature; after a restart the promise is the
 * same statement with a new signature.
 */
import { toHex } from "@lacre/core/bytes";
import type { Json } from "@lacre/core/codec";
import { sha256 } from "@lacre/core/crypto";
import { tileLeafInput } from "@lacre/core/log";
import type { TileCoordinate } from "@lacre/core/merkle";
import { type Certificate, issuerKeyHash, loggedTbs, type Sct } from "@lacre/core/x509";
import type { Log } from "../engine/index.ts";
import type { BlobStore } from "../store/index.ts";
import { createChainChecker } from "./chain.ts";
import { type CtSigner, DIGITALLY_SIGNED } from "./checkpoint.ts";
import { type CtEntry, decodeEntry, encodeEntry } from "./entry.ts";

export interface CtServiceOptions extends CtSigner {
  readonly log: Log;
  /** Accepted roots: the installation's own. */
  readonly roots: readonly Certificate[];
  /** Where issuers are kept, as `issuer/<sha256>`. */
  readonly blobs: BlobStore;
  readonly now: () => number;
}

/** The CT log. */
export interface CtService {
  readonly roots: readonly Certificate[];
  /** Logs what a submission holds and promises it. Throws BAD_REQUEST, CHAIN_REFUSED and the engine's codes. */
  add(body: Json, kind: "certificate" | "precertificate"): Promise<Sct>;
  checkpoint(): string;
  /** A tile of hashes or a data tile; undefined beyond the published size. */
  readTile(tile: TileCoordinate): Promise<Uint8Array | undefined>;
  /** The issuer with this SHA-256 in hexadecimal, DER. */
  readIssuer(fingerprint: string): Promise<Uint8Array | undefined>;
}

const NO_EXTENSIONS = new Uint8Array(0);
/** Signatures remembered for repeated submissions. */
const MAX_SIGNATURES = 10_000;

/** A CT log over an engine's log. */
export function createCtService(options: CtServiceOptions): CtService {
  const { log, blobs, logId, sign } = options;
  const checker = createChainChecker(options.roots);
  const stored = new Map<string, Promise<void>>();
  const signatures = new Map<string, Uint8Array>();
  let lastMs = 0;

  /** Makes an issuer durable, once. One that could not be stored is tried again next time. */
  function keep(issuer: Certificate, fingerprint: string): Promise<void> {
    let done = stored.get(fingerprint);
    if (done === undefined) {
      done = (async () => {
        const name = `issuer/${fingerprint}`;
        if ((await blobs.get(name)) === undefined) {
          await blobs.putImmutable(name, issuer.der);
          await blobs.flush([name]);
        }
      })();
      stored.set(fingerprint, done);
      done.catch(() => stored.delete(fingerprint));
    }
    return done;
  }

  function signatureOf(leafHash: Uint8Array, record: Uint8Array): Uint8Array {
    const key = toHex(leafHash);
    let signature = signatures.get(key);
    if (signature === undefined) {
      signature = sign(tileLeafInput(record));
      if (signatures.size >= MAX_SIGNATURES) signatures.delete(signatures.keys().next().value!);
      signatures.set(key, signature);
    }
    return signature;
  }

  return {
    roots: options.roots,
    async add(body, kind) {
      const { leaf, issuers } = checker.check(body, kind);
      const fingerprints = issuers.map((issuer) => sha256(issuer.der));
      await Promise.all(issuers.map((issuer, at) => keep(issuer, toHex(fingerprints[at]!))));
      lastMs = Math.max(lastMs, options.now());
      const common = { timestampMs: lastMs, issuers: fingerprints };
      const entry: CtEntry =
        kind === "certificate"
          ? { ...common, kind, certificate: leaf.der }
          : { ...common, kind, issuerKeyHash: issuerKeyHash(issuers[0]!), tbs: loggedTbs(leaf.tbs), precertificate: leaf.der };
      const receipt = await log.receipt(await log.append(encodeEntry(entry)));
      // Of an entry that was there before, the first time counts.
      const { timestampMs } = decodeEntry(receipt.record);
      return {
        logId,
        timestampMs,
        extensions: NO_EXTENSIONS,
        ...DIGITALLY_SIGNED,
        signature: signatureOf(receipt.leafHash, receipt.record),
      };
    },
    checkpoint: () => log.checkpoint(),
    readTile: (tile) => log.readTile(tile),
    readIssuer: (fingerprint) => blobs.get(`issuer/${fingerprint}`),
  };
}
