// SPDX-License-Identifier: Apache-2.0
/**
 * For hammer and crash: requests as signing clients make them, and the oracle that holds a ledger (Rekor v2 dialect) to
 * every answer it gave.
 */
import { createHash, generateKeyPairSync, randomBytes, sign } from "node:crypto";
import { Agent, request as httpRequest, type ClientRequest } from "node:http";
import { checkNoteSignature, decodeLogEntry, noteKeyId, parseCheckpoint, type LogEntry } from "@lacre/core/bundle";
import { equalBytes, toBase64, toHex } from "@lacre/core/bytes";
import { JsonObject, parseJson } from "@lacre/core/codec";
import { algorithmOf, generateKey, importPublicKey, sha256 } from "@lacre/core/crypto";
import { checkInclusion, CompactRange, hashLeaf, HASH_LENGTH, TILE_WIDTH, tilePath, tileWidth } from "@lacre/core/merkle";
import type { TransparencyLog } from "@lacre/core/trust";
import { decodeCertificate, encodeName, prepareCertificate, randomSerial, rootFields, signerFields, signUnsigned } from "@lacre/core/x509";

/** A write request and what its entry must contain. */
export interface Write {
  readonly body: Buffer;
  /** Base64 of the artifact's digest. */
  readonly digest: string;
}

/** Makes requests for entries never seen before: hashedrekord, P-256, each signer with a certificate as Fulcio's. */
export function createWrites(signers = 64): () => Write {
  const algorithm = algorithmOf("PKIX_ECDSA_P256_SHA_256");
  const root = generateKey("P-256");
  const random = (length: number): Uint8Array => randomBytes(length);
  const [notBeforeMs, notAfterMs] = [Date.now() - 60_000, Date.now() + 3_600_000];
  const name = encodeName({ O: "load", CN: "load" });
  const issuer = decodeCertificate(
    signUnsigned(prepareCertificate(rootFields({ serial: randomSerial(random), publicKey: root.publicKey, notBeforeMs, notAfterMs, subject: name }), algorithm), root),
  );
  const made = Array.from({ length: signers }, (_, at) => {
    const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const fields = signerFields({
      serial: randomSerial(random), publicKey: importPublicKey(publicKey.export({ type: "spki", format: "der" })), notBeforeMs, notAfterMs, issuer,
      san: { kind: "uri", value: `https://github.com/example/project-${at}/.github/workflows/release.yaml@refs/tags/v1.${at}.0` },
      identityIssuer: "https://token.actions.githubusercontent.com", claims: new Map(),
    });
    return { privateKey, certificate: toBase64(signUnsigned(prepareCertificate(fields, algorithm), root)) };
  });
  let next = 0;
  return () => {
    const { privateKey, certificate } = made[next++ % signers]!;
    const artifact = randomBytes(32);
    const digest = createHash("sha256").update(artifact).digest("base64");
    const content = sign("sha256", artifact, privateKey).toString("base64");
    const verifier = { x509Certificate: { rawBytes: certificate }, keyDetails: "PKIX_ECDSA_P256_SHA_256" };
    return { digest, body: Buffer.from(JSON.stringify({ hashedRekordRequestV002: { digest, signature: { content, verifier } } })) };
  };
}

export interface Answer {
  readonly status: number;
  readonly body: Buffer;
}

/** A client with kept connections. */
export function createPoster(url: string, connections: number): { post(path: string, body: Buffer): Promise<Answer>; get(path: string): Promise<Answer>; close(): void } {
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  const { hostname, port } = new URL(url);
  const send = (method: string, path: string, body?: Buffer): Promise<Answer> =>
    new Promise((resolve, reject) => {
      const headers = body === undefined ? {} : { "content-type": "application/json", "content-length": body.length };
      const request: ClientRequest = httpRequest({ agent, hostname: hostname.replaceAll(/[[\]]/g, ""), port, path, method, headers }, (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("end", () => resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks) }));
        response.on("error", reject);
      });
      request.on("error", reject);
      request.end(body);
    });
  return { post: (path, body) => send("POST", path, body), get: (path) => send("GET", path), close: () => agent.destroy() };
}

/** Remembers what was promised and finds what was not kept. */
export class LedgerOracle {
  readonly problems: string[] = [];
  readonly #leaves = new Map<number, Uint8Array>();
  readonly #roots = new Map<number, Uint8Array>();
  readonly #log: TransparencyLog | undefined;

  /** With the log of a trusted root, signatures of checkpoints are checked too. */
  constructor(log?: TransparencyLog) {
    this.#log = log;
  }

  /** Entries promised so far, and sizes for which a checkpoint was seen. */
  get promised(): number {
    return this.#leaves.size;
  }

  get checkpoints(): number {
    return this.#roots.size;
  }

  /** Takes the 201 answer to a write: proof, checkpoint and body must fit one another and the request. */
  take({ digest }: Write, answer: Buffer): LogEntry | undefined {
    try {
      const entry = decodeLogEntry(new JsonObject(parseJson(answer), "answer"));
      const proof = entry.inclusionProof;
      if (proof === undefined) throw new Error("no inclusion proof");
      if (!Buffer.from(entry.canonicalizedBody).includes(digest)) throw new Error("the entry is not the one that was sent");
      const leafHash = hashLeaf(sha256, entry.canonicalizedBody);
      checkInclusion(sha256, { index: entry.logIndex, size: proof.treeSize, leafHash, root: proof.rootHash, proof: proof.hashes });
      this.see(proof.checkpoint, proof.treeSize, proof.rootHash);
      const index = Number(entry.logIndex);
      const before = this.#leaves.get(index);
      if (before !== undefined && !equalBytes(before, leafHash)) throw new Error(`index ${index} was given to two entries`);
      this.#leaves.set(index, leafHash);
      return entry;
    } catch (error) {
      this.problems.push(`an answer: ${error instanceof Error ? error.message : String(error)}`);
      return undefined;
    }
  }

  /** Takes a checkpoint, and what the one who showed it says of it. */
  see(text: string, size?: bigint, root?: Uint8Array): void {
    const checkpoint = parseCheckpoint(text);
    if (size !== undefined && checkpoint.size !== size) throw new Error("the proof is not for its checkpoint's size");
    if (root !== undefined && !equalBytes(checkpoint.root, root)) throw new Error("the proof is not for its checkpoint's root");
    const known = this.#roots.get(Number(checkpoint.size));
    if (known === undefined) {
      if (this.#log !== undefined) {
        const { name, key } = this.#log;
        checkNoteSignature({ note: checkpoint.note, name, keyHint: noteKeyId(name, key), key });
      }
      this.#roots.set(Number(checkpoint.size), checkpoint.root);
    } else if (!equalBytes(known, checkpoint.root)) throw new Error(`forked: two roots for size ${checkpoint.size}`);
  }

  /**
   * Reads the whole log's leaf hashes and holds it to every promise: each entry at its index, each checkpoint's root that
   * of the first entries. `read` gives a path below the log's address.
   */
  async check(read: (path: string) => Promise<Answer>): Promise<void> {
    const shown = (await read("/checkpoint")).body.toString();
    this.see(shown);
    const size = Number(parseCheckpoint(shown).size);
    const range = new CompactRange(sha256);
    const found = new Set<number>();
    for (let index = 0; index * TILE_WIDTH < size; index++) {
      const width = tileWidth(0, index, size);
      const { status, body } = await read(`/tile/${tilePath({ level: 0, index, width })}`);
      if (status !== 200 || body.length !== width * HASH_LENGTH) throw new Error(`tile ${index}/${width} answered ${status}`);
      for (let at = 0; at < width; at++) {
        const place = index * TILE_WIDTH + at;
        const hash = Uint8Array.from(body.subarray(at * HASH_LENGTH, (at + 1) * HASH_LENGTH));
        const promised = this.#leaves.get(place);
        if (promised !== undefined && !equalBytes(promised, hash)) this.problems.push(`entry ${place} is another one`);
        if (promised !== undefined) found.add(place);
        range.append(hash);
        const root = this.#roots.get(range.size);
        if (root !== undefined && !equalBytes(root, range.root())) this.problems.push(`forked: the checkpoint of size ${range.size} (${toHex(root)}) is not of this history`);
      }
    }
    for (const index of this.#leaves.keys()) if (!found.has(index) && index >= size) this.problems.push(`entry ${index} is lost: the log has ${size}`);
    for (const seen of this.#roots.keys()) if (seen > size) this.problems.push(`the checkpoint of size ${seen} is lost: the log has ${size}`);
  }
}
