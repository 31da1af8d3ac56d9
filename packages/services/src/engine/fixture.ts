// SPDX-License-Identifier: Apache-2.0
/**
 * For tests of the engine: a plain personality, a log on a disk that can be broken, and the oracle that remembers what
 * the log promised and holds it to that.
 */
import assert from "node:assert/strict";
import { equalBytes, toBase64, toHex, utf8 } from "@lacre/core/bytes";
import { sha256 } from "@lacre/core/crypto";
import { checkInclusion, CompactRange, emptyRoot, hashLeaf } from "@lacre/core/merkle";
import { createMemoryLock } from "../store/index.ts";
import type { SimulatedDisk } from "../store/simulated.ts";
import { createFileAnchor } from "./anchor.ts";
import { openLog, type Log, type LogOptions, type Receipt } from "./log.ts";
import type { Personality } from "./personality.ts";

/** Records are their own leaves and are framed with 16 bits of length. */
export const PLAIN: Personality = {
  leafInput: (record) => record,
  identity: sha256,
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

export const ORIGIN = "log.test";

/** A checkpoint without a signature: what the engine stores of one is the caller's business. */
export function unsigned({
  origin,
  size,
  root,
}: {
  readonly origin: string;
  readonly size: number;
  readonly root: Uint8Array;
}): string {
  return `${origin}\n${size}\n${toBase64(root)}\n\n— ${origin} none\n`;
}

/** Everything a log ever promised, across its lives. */
export class Oracle {
  readonly #receipts = new Map<number, string>();
  readonly #roots = new Map<number, string>();
  #timeMs = 0;

  /** Sees each state before it is signed. */
  readonly sign = (state: {
    readonly origin: string;
    readonly size: number;
    readonly root: Uint8Array;
    readonly timeMs: number;
  }): string => {
    const root = toHex(state.root);
    assert.equal(this.#roots.get(state.size) ?? root, root, `two roots were signed for size ${state.size}`);
    assert.ok(state.timeMs >= this.#timeMs, "a checkpoint's time went back");
    this.#roots.set(state.size, root);
    this.#timeMs = state.timeMs;
    return unsigned(state);
  };

  /** Sees each receipt that a client got. */
  receive({ index, leafHash, record, size, root, proof, checkpoint }: Receipt): void {
    checkInclusion(sha256, { index: BigInt(index), size: BigInt(size), leafHash, root, proof });
    assert.equal(checkpoint, unsigned({ origin: ORIGIN, size, root }));
    const text = toHex(record);
    assert.equal(this.#receipts.get(index) ?? text, text, `index ${index} was given to two entries`);
    this.#receipts.set(index, text);
  }

  get acknowledged(): number {
    return this.#receipts.size;
  }

  /** Holds a log, as it is now, to everything promised: the entries and every root that was signed. */
  async check(log: Log): Promise<void> {
    const tree = new CompactRange(sha256);
    const roots = new Map([[0, toHex(emptyRoot(sha256))]]);
    for (let index = 0; index < log.size; index++) {
      const record = await log.readRecord(index);
      assert.ok(record !== undefined, `entry ${index} of ${log.size} cannot be read`);
      const promised = this.#receipts.get(index);
      assert.ok(promised === undefined || promised === toHex(record), `entry ${index} is another one`);
      tree.append(hashLeaf(sha256, record));
      if (this.#roots.has(index + 1)) roots.set(index + 1, toHex(tree.root()));
    }
    for (const index of this.#receipts.keys()) assert.ok(index < log.size, `entry ${index} is lost; the log has ${log.size}`);
    for (const [size, root] of this.#roots)
      assert.equal(root, roots.get(size), `the checkpoint of size ${size} is not of this history`);
  }
}

export interface LogOnDisk extends Partial<LogOptions> {
  readonly disk: SimulatedDisk;
  readonly oracle: Oracle;
}

/** A log in /data/log with its anchor in /state/anchor. A process's lock ends with it, so none is kept here. */
export function openOnDisk({ disk, oracle, ...rest }: LogOnDisk): Promise<Log> {
  return openLog({
    dir: "/data/log",
    origin: ORIGIN,
    personality: PLAIN,
    production: true,
    fs: disk,
    lock: createMemoryLock(),
    now: Date.now,
    anchor: createFileAnchor("/state/anchor", ORIGIN, disk),
    signCheckpoint: oracle.sign,
    segmentBytes: 1 << 15,
    indexShape: { generation: 512, fans: [2, 2] },
    ticks: { minMs: 0, maxMs: 0 },
    ...rest,
  });
}

/** Appends records at the same time and hands their receipts to the oracle. */
export async function write(log: Log, oracle: Oracle, from: number, count: number): Promise<readonly Receipt[]> {
  return Promise.all(
    Array.from({ length: count }, async (_, at) => {
      const record = utf8(`entry ${from + at}`);
      const receipt = await log.receipt(await log.append(record));
      assert.ok(equalBytes(receipt.record, record));
      oracle.receive(receipt);
      return receipt;
    }),
  );
}
