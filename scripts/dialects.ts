// SPDX-License-Identifier: Apache-2.0
/**
 * The dialects that the hammer speaks: how an entry is submitted, what an answer promises, and how the log is read in the
 * end. What cannot be held to a promise in a dialect is said where it is missing.
 */
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { parseCheckpoint } from "@lacre/core/bundle";
import { ByteWriter, fromBase64, fromHex, text, toBase64, toHex } from "@lacre/core/bytes";
import { formatPem, JsonObject, parseJson } from "@lacre/core/codec";
import { checkSignature, defaultAlgorithm, importPublicKey, sha256, type PrivateKey, type PublicKey } from "@lacre/core/crypto";
import { hashLeaf } from "@lacre/core/merkle";
import {
  type Certificate,
  decodeCertificate,
  issuerKeyHash,
  loggedTbs,
  preparePrecertificate,
  randomSerial,
  signerFields,
  signUnsigned,
} from "@lacre/core/x509";
import { createSigned, createWrites, type Answer, type LedgerOracle, type Write } from "./load.ts";

/** Reads a path of the log. */
export type Read = (path: string) => Promise<Answer>;

/** One protocol. */
export interface Dialect {
  /** Where entries are posted. */
  readonly submit: string;
  /** What a stored entry is answered with. */
  readonly created: number;
  /** What a repeated one may be answered with instead. */
  readonly duplicate: number | undefined;
  createWrites(): () => Write;
  /** Where a log's files are, below its address. */
  readonly files: string;
  /** The log's latest checkpoint; undefined where none can be had. */
  checkpoint(read: Read): Promise<string | undefined>;
  /** Holds the log to an answer with `created`. Throws where the answer is not what it should be. */
  take(oracle: LedgerOracle, write: Write, body: Buffer): void;
  /** Whether the whole log can be read as tiles afterwards. */
  readonly hasTiles: boolean;
}

async function readCheckpoint(read: Read, path: string): Promise<string | undefined> {
  const { status, body } = await read(path);
  return status === 200 ? body.toString() : undefined;
}

/** Rekor v2: tiles, proof and checkpoint in the answer. Our own server answers a repeated request with 201, rekor-tiles with 409. */
export const REKOR_V2: Dialect = {
  submit: "/api/v2/log/entries",
  created: 201,
  duplicate: 409,
  createWrites: () => createWrites(),
  files: "/api/v2",
  checkpoint: (read) => readCheckpoint(read, "/checkpoint"),
  take: (oracle, write, body) => void oracle.take(write, body),
  hasTiles: true,
};

/** Rekor v1: hashedrekord 0.0.1. The protocol has no tiles: what is held are the proofs and that no two checkpoints of a size differ. */
export const REKOR_V1: Dialect = {
  submit: "/api/v1/log/entries",
  created: 201,
  duplicate: 409,
  createWrites() {
    const signed = createSigned();
    return () => {
      const { digest, signature, certificate } = signed();
      const spec = {
        data: { hash: { algorithm: "sha256", value: toHex(digest) } },
        signature: {
          content: toBase64(signature),
          publicKey: { content: Buffer.from(formatPem("CERTIFICATE", certificate)).toString("base64") },
        },
      };
      return { digest: toHex(digest), body: Buffer.from(JSON.stringify({ apiVersion: "0.0.1", kind: "hashedrekord", spec })) };
    };
  },
  files: "",
  async checkpoint(read) {
    const { status, body } = await read("/api/v1/log");
    return status === 200 ? new JsonObject(parseJson(body), "log").string("signedTreeHead") : undefined;
  },
  take(oracle, { digest }, body) {
    const answer = new JsonObject(parseJson(body), "answer");
    const entry = answer.object(answer.keys()[0] ?? "");
    const verification = entry.object("verification");
    if (verification.bytes("signedEntryTimestamp").length === 0) throw new Error("no promise");
    const record = entry.bytes("body");
    if (!text(record).includes(digest)) throw new Error("the entry is not the one that was sent");
    const proof = verification.object("inclusionProof");
    oracle.hold({
      index: Number(proof.int64("logIndex")),
      leafHash: hashLeaf(sha256, record),
      size: Number(proof.int64("treeSize")),
      root: fromHex(proof.string("rootHash")),
      proof: proof.array("hashes").map((hash) => fromHex(hash as string)),
      checkpoint: proof.string("checkpoint"),
    });
  },
  hasTiles: false,
};

/** An authority that the log under test accepts. */
export interface Authority {
  /** The issuer first, accepted root last. */
  readonly chain: readonly Certificate[];
  readonly key: PrivateKey;
}

/**
 * RFC 6962 `add-pre-chain` with new precertificates of an authority. The answer is a promise (SCT): its signature is
 * checked where the log's key is known, and the leaf that it implies must be in the log in the end (C2SP static-ct-api).
 */
export function createCertificateDialect(authority: Authority, logKey: PublicKey | undefined): Dialect {
  const [issuer] = authority.chain as [Certificate];
  const chain = authority.chain.map(({ der }) => toBase64(der));
  const keyHash = issuerKeyHash(issuer);
  return {
    submit: "/ct/v1/add-pre-chain",
    created: 200,
    duplicate: 200,
    createWrites() {
      const random = (length: number): Uint8Array => randomBytes(length);
      const keys = Array.from({ length: 64 }, () =>
        importPublicKey(generateKeyPairSync("ec", { namedCurve: "P-256" }).publicKey.export({ type: "spki", format: "der" })),
      );
      const algorithm = defaultAlgorithm(authority.key.publicKey);
      let next = 0;
      return () => {
        const at = next++;
        const fields = signerFields({
          serial: randomSerial(random),
          publicKey: keys[at % keys.length]!,
          issuer,
          notBeforeMs: Date.now(),
          notAfterMs: Date.now() + 600_000,
          san: {
            kind: "uri",
            value: `https://github.com/example/project-${at}/.github/workflows/release.yaml@refs/tags/v1.${at}.0`,
          },
          identityIssuer: "https://token.actions.githubusercontent.com",
          claims: new Map(),
        });
        const leaf = toBase64(signUnsigned(preparePrecertificate(fields, algorithm), authority.key));
        return { digest: leaf, body: Buffer.from(JSON.stringify({ chain: [leaf, ...chain] })) };
      };
    },
    files: "/ct",
    checkpoint: (read) => readCheckpoint(read, "/checkpoint"),
    take(oracle, { digest }, body) {
      const sct = new JsonObject(parseJson(body), "answer");
      const extensions = sct.bytes("extensions");
      const tbs = loggedTbs(decodeCertificate(fromBase64(digest)).tbs);
      const leaf = new ByteWriter()
        .uint(1, 0)
        .uint(1, 0)
        .uint64(sct.int64("timestamp"))
        .uint(2, 1)
        .put(keyHash)
        .vector(3, tbs)
        .vector(2, extensions)
        .finish();
      // What an SCT signs is, octet for octet, the leaf.
      if (logKey !== undefined)
        checkSignature(defaultAlgorithm(logKey), logKey, { message: leaf }, sct.bytes("signature").subarray(4));
      oracle.holdSomewhere(hashLeaf(sha256, leaf));
    },
    hasTiles: true,
  };
}

/** Origin of a checkpoint. */
export function originOf(checkpoint: string): string {
  return parseCheckpoint(checkpoint).origin;
}
