// SPDX-License-Identifier: Apache-2.0
/**
 * For hammer and crash: requests as signing clients make them, and the oracle that holds a log to every answer it gave.
 * Requests here and `take` are of the Rekor v2 dialect; dialects.ts has the others.
 */
import { createHash, generateKeyPairSync, randomBytes, sign } from "node:crypto";
import { Agent, request as httpRequest, type ClientRequest } from "node:http";
import { checkNoteSignature, decodeLogEntry, noteKeyId, parseCheckpoint, type LogEntry } from "@lacre/core/bundle";
import { equalBytes, toBase64, toHex } from "@lacre/core/bytes";
import { JsonObject, parseJson } from "@lacre/core/codec";
import { algorithmOf, generateKey, importPublicKey, sha256, type PublicKey } from "@lacre/core/crypto";
import { checkInclusion, CompactRange, hashLeaf, HASH_LENGTH, TILE_WIDTH, tilePath, tileWidth } from "@lacre/core/merkle";
import {
  decodeCertificate,
  encodeName,
  prepareCertificate,
  randomSerial,
  rootFields,
  signerFields,
  signUnsigned,
} from "@lacre/core/x509";

/** A write request and what its entry must contain. */
export interface Write {
  readonly body: Buffer;
  /** The artifact's digest, in base64 (v1: hexadecimal). */
  readonly digest: string;
}

/** What signed an artifact, and that artifact's digest. */
export interface Signed {
  readonly digest: Buffer;
  readonly signature: Buffer;
  /** DER. */
  readonly certificate: Uint8Array;
}

/** Makes requests for entries never seen before: hashedrekord, P-256, each signer with a certificate as Fulcio's. */
export function createWrites(signers?: number): () => Write {
  const signed = createSigned(signers);
  return () => {
    const { digest, signature, certificate } = signed();
    const verifier = { x509Certificate: { rawBytes: toBase64(certificate) }, keyDetails: "PKIX_ECDSA_P256_SHA_256" };
    const request = { digest: toBase64(digest), signature: { content: toBase64(signature), verifier } };
    return { digest: request.digest, body: Buffer.from(JSON.stringify({ hashedRekordRequestV002: request })) };
  };
}

/** Signs random artifacts with P-256, in turn by this many signers, each with a certificate as Fulcio's. */
export function createSigned(signers = 64): () => Signed {
  const algorithm = algorithmOf("PKIX_ECDSA_P256_SHA_256");
  const root = generateKey("P-256");
  const random = (length: number): Uint8Array => randomBytes(length);
  const [notBeforeMs, notAfterMs] = [Date.now() - 60_000, Date.now() + 3_600_000];
  const name = encodeName({ O: "load", CN: "load" });
  const issuer = decodeCertificate(
    signUnsigned(
      prepareCertificate(
        rootFields({ serial: randomSerial(random), publicKey: root.publicKey, notBeforeMs, notAfterMs, subject: name }),
        algorithm,
      ),
      root,
    ),
  );
  const made = Array.from({ length: signers }, (_, at) => {
    const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const fields = signerFields({
      serial: randomSerial(random),
      publicKey: importPublicKey(publicKey.export({ type: "spki", format: "der" })),
      notBeforeMs,
      notAfterMs,
      issuer,
      san: { kind: "uri", value: `https://github.com/example/project-${at}/.github/workflows/release.yaml@refs/tags/v1.${at}.0` },
      identityIssuer: "https://token.actions.githubusercontent.com",
      claims: new Map(),
    });
    return { privateKey, certificate: signUnsigned(prepareCertificate(fields, algorithm), root) };
  });
  let next = 0;
  return () => {
    const { privateKey, certificate } = made[next++ % signers]!;
    const artifact = randomBytes(32);
    return {
      digest: createHash("sha256").update(artifact).digest(),
      signature: sign("sha256", artifact, privateKey),
      certificate,
    };
  };
}

export interface Answer {
  readonly status: number;
  readonly body: Buffer;
}

/** The key that a log's checkpoints are checked with. */
export interface CheckpointKey {
  readonly name: string;
  readonly key: PublicKey;
  /** Default: as C2SP signed-note makes it of name and key. */
  readonly keyHint?: Uint8Array;
}

/** What an answer promised. */
export interface Promised {
  readonly index: number;
  readonly leafHash: Uint8Array;
  readonly size: number;
  readonly root: Uint8Array;
  readonly proof: readonly Uint8Array[];
  readonly checkpoint: string;
}

/** A client with kept connections. */
export function createPoster(
  url: string,
  connections: number,
): { post(path: string, body: Buffer): Promise<Answer>; get(path: string): Promise<Answer>; close(): void } {
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  const { hostname, port, pathname } = new URL(url);
  const base = pathname.replace(/\/$/, "");
  const send = (method: string, path: string, body?: Buffer): Promise<Answer> =>
    new Promise((resolve, reject) => {
      const headers = body === undefined ? {} : { "content-type": "application/json", "content-length": body.length };
      const request: ClientRequest = httpRequest(
        { agent, hostname: hostname.replaceAll(/[[\]]/g, ""), port, path: base + path, method, headers },
        (response) => {
          const chunks: Buffer[] = [];
          response.on("data", (chunk: Buffer) => chunks.push(chunk));
          response.on("end", () => resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks) }));
          response.on("error", reject);
        },
      );
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
  /** Leaf hashes promised without an index, in hexadecimal. */
  readonly #unplaced = new Set<string>();
  readonly #log: CheckpointKey | undefined;
  /** The full tiles that were held to every promise, and the tree over them. */
  #proven: { readonly tiles: Uint8Array[]; readonly range: CompactRange } = { tiles: [], range: new CompactRange(sha256) };
  /** Indices and sizes promised since. */
  readonly #fresh = { leaves: new Set<number>(), roots: new Set<number>() };

  /** With the log's key, signatures of checkpoints are checked too. */
  constructor(log?: CheckpointKey) {
    this.#log = log;
  }

  /** Entries promised so far, and sizes for which a checkpoint was seen. */
  get promised(): number {
    return this.#leaves.size + this.#unplaced.size;
  }

  get checkpoints(): number {
    return this.#roots.size;
  }

  /** Leaf hashes promised so far, by index. */
  get leaves(): ReadonlyMap<number, Uint8Array> {
    return this.#leaves;
  }

  /** Takes the 201 answer to a write: proof, checkpoint and body must fit one another and the request. */
  take({ digest }: Write, answer: Buffer): LogEntry | undefined {
    try {
      const entry = decodeLogEntry(new JsonObject(parseJson(answer), "answer"));
      const proof = entry.inclusionProof;
      if (proof === undefined) throw new Error("no inclusion proof");
      if (!Buffer.from(entry.canonicalizedBody).includes(digest)) throw new Error("the entry is not the one that was sent");
      const leafHash = hashLeaf(sha256, entry.canonicalizedBody);
      this.hold({
        index: Number(entry.logIndex),
        leafHash,
        size: Number(proof.treeSize),
        root: proof.rootHash,
        proof: proof.hashes,
        checkpoint: proof.checkpoint,
      });
      return entry;
    } catch (error) {
      this.problems.push(`an answer: ${error instanceof Error ? error.message : String(error)}`);
      return undefined;
    }
  }

  /** Takes a promise. Throws where it contradicts itself or another one. */
  hold({ index, leafHash, size, root, proof, checkpoint }: Promised): void {
    checkInclusion(sha256, { index: BigInt(index), size: BigInt(size), leafHash, root, proof });
    this.see(checkpoint, size, root);
    const before = this.#leaves.get(index);
    if (before !== undefined && !equalBytes(before, leafHash)) throw new Error(`index ${index} was given to two entries`);
    if (before === undefined) this.#fresh.leaves.add(index);
    this.#leaves.set(index, leafHash);
  }

  /** Takes the promise that a leaf is somewhere in the log. */
  holdSomewhere(leafHash: Uint8Array): void {
    this.#unplaced.add(toHex(leafHash));
  }

  /** Takes a checkpoint, and what the one who showed it says of it. */
  see(text: string, size?: number, root?: Uint8Array): void {
    const checkpoint = parseCheckpoint(text);
    if (size !== undefined && Number(checkpoint.size) !== size) throw new Error("the proof is not for its checkpoint's size");
    if (root !== undefined && !equalBytes(checkpoint.root, root)) throw new Error("the proof is not for its checkpoint's root");
    const known = this.#roots.get(Number(checkpoint.size));
    if (known === undefined) {
      if (this.#log !== undefined) {
        const { name, key, keyHint = noteKeyId(name, key) } = this.#log;
        checkNoteSignature({ note: checkpoint.note, name, keyHint, key });
      }
      this.#roots.set(Number(checkpoint.size), checkpoint.root);
      this.#fresh.roots.add(Number(checkpoint.size));
    } else if (!equalBytes(known, checkpoint.root)) throw new Error(`forked: two roots for size ${checkpoint.size}`);
  }

  /**
   * Reads the whole log's leaf hashes and holds it to every promise: each entry at its index, each checkpoint's root that
   * of the first entries. `read` gives a path below the log's address. What was held true before is compared byte for
   * byte and not computed again, so that a campaign's thousandth check costs what its reading costs.
   */
  async check(read: (path: string) => Promise<Answer>): Promise<void> {
    const shown = (await read("/checkpoint")).body.toString();
    this.see(shown);
    const size = Number(parseCheckpoint(shown).size);
    const missing = new Set(this.#unplaced);
    // A promise about what was checked already, or a leaf to be looked for anywhere: nothing is taken as read.
    const isPast = (place: number): boolean => place < this.#proven.range.size;
    if (missing.size > 0 || [...this.#fresh.leaves].some(isPast) || [...this.#fresh.roots].some((size) => isPast(size - 1)))
      this.#proven = { tiles: [], range: new CompactRange(sha256) };
    const { tiles } = this.#proven;
    let { range } = this.#proven;
    for (let index = 0; index * TILE_WIDTH < size; index++) {
      const width = tileWidth(0, index, size);
      const { status, body } = await read(`/tile/${tilePath({ level: 0, index, width })}`);
      if (status !== 200 || body.length !== width * HASH_LENGTH) throw new Error(`tile ${index}/${width} answered ${status}`);
      if (index < tiles.length) {
        if (!equalBytes(tiles[index]!, body)) this.problems.push(`tile ${index} is another one than it was`);
        continue;
      }
      if (width < TILE_WIDTH) range = range.clone();
      for (let at = 0; at < width; at++) {
        const place = index * TILE_WIDTH + at;
        const hash = Uint8Array.from(body.subarray(at * HASH_LENGTH, (at + 1) * HASH_LENGTH));
        const promised = this.#leaves.get(place);
        if (promised !== undefined && !equalBytes(promised, hash)) this.problems.push(`entry ${place} is another one`);
        if (this.#unplaced.size > 0) missing.delete(toHex(hash));
        range.append(hash);
        const root = this.#roots.get(range.size);
        if (root !== undefined && !equalBytes(root, range.root()))
          this.problems.push(`forked: the checkpoint of size ${range.size} (${toHex(root)}) is not of this history`);
      }
      if (width === TILE_WIDTH) tiles.push(Uint8Array.from(body));
    }
    this.#fresh.leaves.clear();
    this.#fresh.roots.clear();
    for (const index of this.#leaves.keys()) if (index >= size) this.problems.push(`entry ${index} is lost: the log has ${size}`);
    for (const leafHash of missing) this.problems.push(`the leaf ${leafHash} is lost: the log has ${size} others`);
    for (const seen of this.#roots.keys())
      if (seen > size) this.problems.push(`the checkpoint of size ${seen} is lost: the log has ${size}`);
  }
}
