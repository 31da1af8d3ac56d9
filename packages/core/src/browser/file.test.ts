// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { fromHex, toHex } from "../bytes/index.ts";
import { type ByteStream, type FileLike, hashStream, readArtifact } from "./file.ts";
import { bytesOf, createWorkshop, IDENTITY, ISSUER, NOW_MS, type Recipe, seal } from "../../../../test/workshop/workshop.ts";
import { createVerifier, decodeTrustedRoot } from "./index.ts";

const CONTENT = Uint8Array.from({ length: 3_000_001 }, (_, at) => at * 31);
const EXPECTED = createHash("sha256").update(CONTENT).digest("hex");

function streamOf(type: "bytes" | undefined, pieces: readonly Uint8Array[], cancelled?: () => void): ByteStream {
  const left = [...pieces];
  return new ReadableStream({
    ...(type === undefined ? {} : { type }),
    pull(controller: {
      enqueue(piece: Uint8Array): void;
      close(): void;
      byobRequest?: { respond(octets: number): void } | null;
    }) {
      const piece = left.shift();
      if (piece !== undefined) return controller.enqueue(piece.slice());
      controller.close();
      // A pending request into a buffer of ours is answered with its end.
      controller.byobRequest?.respond(0);
    },
    cancel: () => cancelled?.(),
  } as never) as unknown as ByteStream;
}

const cut = (size: number): Uint8Array[] =>
  Array.from({ length: Math.ceil(CONTENT.length / size) }, (_, at) => CONTENT.subarray(at * size, (at + 1) * size));

test("a stream of bytes and a plain stream hash alike, in pieces of any size", async () => {
  for (const type of ["bytes", undefined] as const) {
    for (const size of [4099, 1 << 20, CONTENT.length]) {
      const told: number[] = [];
      const digests = await hashStream(streamOf(type, cut(size)), ["sha256", "sha512"], (octets) => told.push(octets));
      assert.equal(toHex(digests.get("sha256")!), EXPECTED);
      assert.equal(toHex(digests.get("sha512")!), createHash("sha512").update(CONTENT).digest("hex"));
      assert.equal(told.at(-1), CONTENT.length);
    }
  }
});

test("a Blob of this runtime hashes as its octets do, and an empty one too", async () => {
  const file = new Blob([CONTENT]) as unknown as FileLike;
  assert.equal(toHex((await hashStream(file.stream(), ["sha256"])).get("sha256")!), EXPECTED);
  const empty = new Blob([]) as unknown as FileLike;
  assert.equal(toHex((await hashStream(empty.stream(), ["sha256"])).get("sha256")!), createHash("sha256").digest("hex"));
});

test("a stream that is given up is cancelled", async () => {
  let count = 0;
  const failing = (): never => {
    throw new Error("enough");
  };
  await assert.rejects(
    hashStream(
      streamOf(undefined, cut(4096), () => count++),
      ["sha256"],
      failing,
    ),
    /enough/,
  );
  await assert.rejects(
    hashStream(
      streamOf("bytes", cut(4096), () => count++),
      ["sha256"],
      failing,
    ),
    /enough/,
  );
  assert.equal(count, 2);
});

const workshop = createWorkshop();

async function verdictOf(recipe: Recipe, content: Uint8Array): Promise<string> {
  const { bundle, root, artifact } = seal(workshop, { artifact: content, ...recipe });
  const file = new Blob([artifact as Uint8Array<ArrayBuffer>]) as unknown as FileLike;
  const verdict = createVerifier({ trustedRoot: decodeTrustedRoot(bytesOf(root)) }).verify({
    bundle: bytesOf(bundle),
    artifact: await readArtifact(file, bytesOf(bundle)),
    policy: { identities: [{ identity: { exact: IDENTITY }, issuer: { exact: ISSUER } }] },
    nowMs: NOW_MS,
  });
  return verdict.outcome;
}

test("what is read of a file is what its seal needs", async () => {
  for (const recipe of [{}, { keyType: "P-384" }, { dialect: "v2", content: "dsse" }] as const)
    assert.equal(await verdictOf(recipe, CONTENT.subarray(0, 70_000)), "verified");
});

test("a file too large for a scheme that signs the message itself is refused before it is read", async () => {
  const { bundle } = seal(workshop, { content: "message", signer: "key" });
  const stream = (): never => assert.fail("it was read");
  const { importPublicKey } = await import("./index.ts");
  // Any Ed25519 key: the scheme decides.
  const key = importPublicKey(fromHex(`302a300506032b6570032100${"58".padEnd(64, "6")}`));
  await assert.rejects(readArtifact({ size: 2 ** 30, stream }, bytesOf(bundle), { key }), { code: "TOO_LARGE" });
});
