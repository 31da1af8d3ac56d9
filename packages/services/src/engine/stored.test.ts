// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { concat, utf8 } from "@lacre/core/bytes";
import { sha256 } from "@lacre/core/crypto";
import fc from "fast-check";
import { type BlobStore, createMemoryBlobStore } from "../store/index.ts";
import { key } from "./identities.ts";
import { buildSegment, candidates, encodeSegment, type Segment } from "./segment.ts";
import { mergedFile, openStored, storedCandidates, type StoredSegment } from "./stored.ts";

const identityOf = (index: number): string => key(sha256(utf8(`${index}`)));
const NAME = "index/identity/1/000";

function built(first: number, count: number, name = identityOf): Segment {
  return buildSegment(
    first,
    Array.from({ length: count }, (_, at) => [name(first + at), first + at] as const),
    count,
  );
}

async function stored(segment: Segment, blobs: BlobStore = createMemoryBlobStore()): Promise<StoredSegment> {
  await blobs.putMutable(NAME, encodeSegment(segment));
  return (await openStored(blobs, NAME, segment.first, segment.words.length / 2))!;
}

async function fileOf(parts: readonly (Segment | StoredSegment)[]): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  for await (const piece of mergedFile(parts)) pieces.push(piece.slice());
  return concat(...pieces);
}

test("a file answers as the segment in memory does", async () => {
  for (const count of [1, 2, 511, 512, 513, 5000]) {
    const segment = built(700, count);
    const file = await stored(segment);
    for (let index = 0; index < 6000; index++)
      assert.deepEqual(storedCandidates(file, identityOf(index)), candidates(segment, identityOf(index)));
  }
});

test("entries that begin alike are found across the fences", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.constantFrom(0, 1, 128, 255), fc.constantFrom(0, 255), fc.integer({ min: 1, max: 1300 })), {
        minLength: 1,
        maxLength: 6,
      }),
      async (rows) => {
        const names = rows.flatMap(([a, b, times]) => Array.from({ length: times }, () => String.fromCharCode(a, 0, 0, b, a)));
        const segment = built(0, names.length, (index) => names[index]!);
        const file = await stored(segment);
        for (const [a, b] of rows) {
          const name = String.fromCharCode(a, 0, 0, b, a);
          assert.deepEqual(storedCandidates(file, name), candidates(segment, name));
        }
      },
    ),
    { numRuns: 30 },
  );
});

test("a merged file is that of a segment built at once, whether its parts are in memory or files", async () => {
  for (const counts of [[1, 1], [300, 1, 500], Array.from({ length: 16 }, () => 9000)]) {
    let first = 0;
    const parts: (Segment | StoredSegment)[] = [];
    for (const [at, count] of counts.entries()) {
      const segment = built(first, count);
      parts.push(at % 2 === 0 ? segment : await stored(segment));
      first += count;
    }
    assert.deepEqual(await fileOf(parts), encodeSegment(built(0, first)));
  }
});

test("a merge of entries that are not evenly spread is whole too", async () => {
  const parts = [0, 1].map((part) =>
    built(part * 80_000, 80_000, (index) => `\xff\xff\xff\xff${String.fromCharCode(index % 256)}`),
  );
  const whole = built(0, 160_000, (index) => `\xff\xff\xff\xff${String.fromCharCode(index % 256)}`);
  assert.deepEqual(await fileOf(parts), encodeSegment(whole));
});

test("a file that is not exactly the segment is not opened", async () => {
  const blobs = createMemoryBlobStore();
  const bytes = encodeSegment(built(512, 256));
  await blobs.putMutable(NAME, bytes);
  assert.ok(await openStored(blobs, NAME, 512, 256));
  assert.equal(await openStored(blobs, "index/identity/1/001", 512, 256), undefined);
  assert.equal(await openStored(blobs, NAME, 0, 256), undefined);
  assert.equal(await openStored(blobs, NAME, 512, 255), undefined);
  for (const changed of [bytes.subarray(1), bytes.subarray(0, -1), new Uint8Array(0)]) {
    await blobs.putMutable(NAME, changed);
    assert.equal(await openStored(blobs, NAME, 512, 256), undefined);
  }
  for (let at = 0; at < bytes.length; at += 7) {
    await blobs.putMutable(
      NAME,
      bytes.map((octet, place) => (place === at ? octet ^ 1 : octet)),
    );
    assert.equal(await openStored(blobs, NAME, 512, 256), undefined, `octet ${at}`);
  }
});
