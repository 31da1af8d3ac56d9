// SPDX-License-Identifier: Apache-2.0
/** The campaign's oracle, held to a log in memory that is then cut, changed and forked. */
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { test } from "node:test";
import { signCheckpoint } from "@lacre/core/bundle";
import { generateKey } from "@lacre/core/crypto";
import { CompactRange, hashLeaf, hashNode, parseTilePath, TILE_WIDTH, type Sha256 } from "@lacre/core/merkle";
import { LedgerOracle } from "./load.ts";

const sha256: Sha256 = (data) => new Uint8Array(createHash("sha256").update(data).digest());
const key = generateKey("P-256");
const leafHashes = Array.from({ length: 600 }, () => hashLeaf(sha256, randomBytes(8)));

/** The root of the first leaves, by the recursion of RFC 6962, section 2.1. */
function rootOf(leaves: readonly Uint8Array[]): Uint8Array {
  if (leaves.length === 1) return leaves[0]!;
  let half = 1;
  while (half * 2 < leaves.length) half *= 2;
  return hashNode(sha256, rootOf(leaves.slice(0, half)), rootOf(leaves.slice(half)));
}

function checkpointOf(leaves: readonly Uint8Array[]): string {
  const origin = "log.test";
  return signCheckpoint({ origin, size: BigInt(leaves.length), root: rootOf(leaves), name: origin, key });
}

/** A log that shows these leaves. */
function show(leaves: readonly Uint8Array[]): (path: string) => Promise<{ status: number; body: Buffer }> {
  return (path) => {
    if (path === "/checkpoint") return Promise.resolve({ status: 200, body: Buffer.from(checkpointOf(leaves)) });
    const { index, width } = parseTilePath(path.slice("/tile/".length));
    return Promise.resolve({ status: 200, body: Buffer.concat(leaves.slice(index * TILE_WIDTH, index * TILE_WIDTH + width)) });
  };
}

const swapped = (place: number): readonly Uint8Array[] =>
  leafHashes.map((hash, index) => (index === place ? hashLeaf(sha256, randomBytes(8)) : hash));

async function problemsOf(oracle: LedgerOracle, leaves: readonly Uint8Array[]): Promise<readonly string[]> {
  await oracle.check(show(leaves));
  return oracle.problems.splice(0);
}

test("a log that grows keeps what it promised", async () => {
  const oracle = new LedgerOracle();
  for (const size of [100, 256, 300, 512, 513, 600]) assert.deepEqual(await problemsOf(oracle, leafHashes.slice(0, size)), []);
  const range = new CompactRange(sha256);
  for (const hash of leafHashes) range.append(hash);
  assert.deepEqual(range.root(), rootOf(leafHashes));
});

test("what was held true once is compared again", async () => {
  for (const place of [0, 255, 300]) {
    const oracle = new LedgerOracle();
    assert.deepEqual(await problemsOf(oracle, leafHashes.slice(0, 512)), []);
    assert.match((await problemsOf(oracle, swapped(place)))[0]!, /another one/);
  }
});

test("a cut log is told", async () => {
  const oracle = new LedgerOracle();
  assert.deepEqual(await problemsOf(oracle, leafHashes), []);
  assert.match((await problemsOf(oracle, leafHashes.slice(0, 512))).join(), /the checkpoint of size 600 is lost/);
});

test("a checkpoint of another history is told, also below what was held true", async () => {
  for (const size of [200, 256, 512, 555]) {
    const oracle = new LedgerOracle();
    assert.deepEqual(await problemsOf(oracle, leafHashes), []);
    oracle.see(checkpointOf(swapped(3).slice(0, size)));
    assert.match((await problemsOf(oracle, leafHashes)).join(), new RegExp(`forked: the checkpoint of size ${size}`));
  }
});

test("a promise about a place that was held true is checked", async () => {
  const oracle = new LedgerOracle();
  assert.deepEqual(await problemsOf(oracle, leafHashes), []);
  const other = swapped(0).slice(0, 1);
  oracle.hold({ index: 0, leafHash: other[0]!, size: 1, root: rootOf(other), proof: [], checkpoint: checkpointOf(other) });
  assert.match((await problemsOf(oracle, leafHashes)).join(), /entry 0 is another one/);
});
