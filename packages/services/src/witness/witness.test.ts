// SPDX-License-Identifier: Apache-2.0
/** The witness by its rules, over its own door. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import {
  checkSigned,
  createVerifierKey,
  formatCheckpointText,
  formatVerifierKey,
  formatWitnessRequest,
  logVerifierKey,
  parseCheckpoint,
  parseVerifierKey,
  signCheckpoint,
  signNote,
} from "@lacre/core/bundle";
import { utf8 } from "@lacre/core/bytes";
import { formatNote } from "@lacre/core/codec";
import { generateKey, sha256 } from "@lacre/core/crypto";
import { CompactRange, emptyRoot, hashLeaf, proveConsistency } from "@lacre/core/merkle";
import type { FastifyInstance } from "fastify";
import { createEdge } from "../edge/index.ts";
import { ServiceError } from "../errors.ts";
import {
  createWitnessService,
  openWitnessStore,
  originHash,
  registerWitness,
  type WitnessService,
  type WitnessStore,
} from "./index.ts";

const scratch = mkdtempSync(join(tmpdir(), "lacre-witness-"));
after(() => rmSync(scratch, { recursive: true, force: true }));

const ORIGIN = "log.example";
const log = generateKey("Ed25519");
const stranger = generateKey("Ed25519");
const keys = [generateKey("Ed25519"), generateKey("ML-DSA-44")];

/** A log of numbered leaves; `world` tells histories apart. */
function tree(size: number, world = "") {
  const nodes: Uint8Array[][] = [];
  const range = new CompactRange(sha256);
  for (let at = 0; at < size; at++)
    range.append(
      hashLeaf(sha256, utf8(`${at < 3 ? "" : world}${at}`)),
      (level, index, hash) => void ((nodes[level] ??= [])[index] = hash),
    );
  const prove = (from: number): Uint8Array[] => proveConsistency(sha256, from, size, (level, index) => nodes[level]![index]!);
  return { root: range.root(), prove };
}

const checkpointOf = (size: number, world = "", key = log, origin = ORIGIN): string =>
  signCheckpoint({ origin, name: origin, size: BigInt(size), root: tree(size, world).root, key });
const body = (from: number, size: number, world = ""): string =>
  formatWitnessRequest({ oldSize: BigInt(from), proof: tree(size, world).prove(from), note: checkpointOf(size, world) });

interface World {
  readonly app: FastifyInstance;
  readonly service: WitnessService;
  readonly store: WitnessStore;
  readonly said: object[];
  post(payload: string): Promise<{ status: number; type: string; text: string }>;
}
let stores = 0;
function open(o: { path?: string; now?: () => number; hasKeys?: boolean } = {}): World {
  const path = o.path ?? join(scratch, `${stores++}`, "witness.db");
  const store = openWitnessStore(path, { hasKeys: o.hasKeys ?? false, hashOf: originHash });
  const said: object[] = [];
  const service = createWitnessService({
    name: "w.example",
    keys,
    store,
    now: o.now ?? Date.now,
    logs: [{ vkey: formatVerifierKey(logVerifierKey(ORIGIN, log.publicKey)) }],
    log: { warn: () => {}, error: (fields) => void said.push(fields) },
  });
  const app = createEdge();
  registerWitness(app, service);
  return {
    app,
    service,
    store,
    said,
    async post(payload) {
      const answer = await app.inject({ method: "POST", url: "/add-checkpoint", payload });
      return { status: answer.statusCode, type: String(answer.headers["content-type"]), text: answer.body };
    },
  };
}

test("a log grows under the witness's eyes; each answer verifies with both of its keys", async () => {
  const { post, service, app } = open();
  assert.equal((await app.inject(`/${originHash(ORIGIN)}/checkpoint`)).statusCode, 404);
  for (const [from, size] of [
    [0, 0],
    [0, 1],
    [1, 5],
    [5, 300],
    [300, 300],
    [300, 301],
  ] as const) {
    const { status, text } = await post(body(from, size));
    assert.equal(status, 200, text);
    const cosigned = parseCheckpoint(checkpointOf(size) + text);
    for (const vkey of service.vkeys)
      assert.ok(Math.abs(checkSigned(cosigned, parseVerifierKey(vkey)).timeMs! - Date.now()) < 10_000);
  }
  const shown = parseCheckpoint((await app.inject(`/${originHash(ORIGIN)}/checkpoint`)).body);
  assert.equal(shown.size, 301n);
  for (const key of [logVerifierKey(ORIGIN, log.publicKey), ...service.vkeys.map(parseVerifierKey)]) checkSigned(shown, key);
  assert.deepEqual(
    service.health().logs.map(({ origin, size }) => [origin, size]),
    [[ORIGIN, 301]],
  );
  await app.close();
});

test("another old size is a conflict, with the size to start from as the protocol writes it", async () => {
  const { post } = open();
  await post(body(0, 5));
  for (const from of [0, 3, 6]) {
    const { status, type, text } = await post(body(from, 7));
    assert.deepEqual([status, type, text], [409, "text/x.tlog.size", "5\n"], `${from}`);
  }
});

test("each refusal has its status", async () => {
  const { post, said, store } = open();
  await post(body(0, 5));
  const note = checkpointOf(7);
  const request = (o: { oldSize?: bigint; proof?: Uint8Array[]; note?: string }): string =>
    formatWitnessRequest({ oldSize: 5n, proof: tree(7).prove(5), note, ...o });
  const good = parseCheckpoint(note);
  const forged = formatNote({
    ...good.note,
    signatures: [...good.note.signatures, { ...good.note.signatures[0]!, signature: new Uint8Array(64) }],
  });
  const cases: readonly (readonly [number, string, string])[] = [
    [400, "", "nothing"],
    [400, "old 5\n\nnot a note\n", "no note"],
    [400, `old 05\n\n${note}`, "a leading zero"],
    [400, request({ oldSize: 8n, proof: [] }), "old beyond new"],
    [404, request({ note: checkpointOf(7, "", log, "other.example") }), "an unknown log"],
    [403, request({ note: checkpointOf(7, "", stranger) }), "another key"],
    [403, request({ note: forged }), "a good line and a bad one"],
    [422, request({ proof: [] }), "no proof"],
    [422, request({ proof: tree(8).prove(5) }), "another proof"],
    [422, body(5, 9, "fork"), "another history"],
    [422, body(5, 5, "fork"), "another root at the same size"],
    [422, request({ note: checkpointOf(5), proof: [new Uint8Array(32)] }), "a proof where none belongs"],
  ];
  for (const [status, payload, what] of cases) assert.equal((await post(payload)).status, status, what);
  assert.equal((await post("x".repeat(200_000))).status, 413);
  // What the log had signed is kept; what strangers sent is not.
  assert.deepEqual(
    store.evidence().map(({ reason }) => /at this size/.test(reason)),
    [false, false, false, true, false],
  );
  assert.equal(said.length, 5);
  assert.equal(store.latest(ORIGIN)!.size, 5n);
  assert.equal((await post(body(5, 7))).status, 200);
});

test("an empty tree has the empty root", async () => {
  const { post } = open();
  const lie = signCheckpoint({ origin: ORIGIN, name: ORIGIN, size: 0n, root: sha256(utf8("lie")), key: log });
  assert.equal((await post(formatWitnessRequest({ oldSize: 0n, proof: [], note: lie }))).status, 422);
  assert.equal(
    (
      await post(
        formatWitnessRequest({
          oldSize: 0n,
          proof: [],
          note: signCheckpoint({ origin: ORIGIN, name: ORIGIN, size: 0n, root: emptyRoot(sha256), key: log }),
        }),
      )
    ).status,
    200,
  );
});

test("what one of its keys cannot cover is not cosigned with the other, and not remembered", async () => {
  const { post, store } = open();
  const { origin, size, root } = parseCheckpoint(checkpointOf(4));
  const note = signNote(`${formatCheckpointText(origin, size, root)}an extension\n`, ORIGIN, log);
  assert.equal((await post(formatWitnessRequest({ oldSize: 0n, proof: [], note }))).status, 400);
  assert.equal(store.latest(ORIGIN), undefined);
  assert.throws(
    () => createWitnessService({ name: "w", keys: [generateKey("P-256")], logs: [], store, now: Date.now }),
    TypeError,
  );
});

test("a first checkpoint needs no proof and takes none", async () => {
  const { post } = open();
  assert.equal(
    (await post(formatWitnessRequest({ oldSize: 0n, proof: [new Uint8Array(32)], note: checkpointOf(4) }))).status,
    422,
  );
  assert.equal((await post(formatWitnessRequest({ oldSize: 0n, proof: [], note: checkpointOf(4) }))).status, 200);
});

test("of a split view one side is cosigned, whatever comes at the same time, and the other is kept as evidence", async () => {
  const { post, store } = open();
  await post(body(0, 3));
  const answers = await Promise.all(Array.from({ length: 20 }, (_, at) => post(body(3, 4 + (at % 5), at % 2 === 0 ? "a" : "b"))));
  assert.equal(answers.filter(({ status }) => status === 200).length, 1);
  const { size } = store.latest(ORIGIN)!;
  const other = await post(
    body(Number(size), Number(size) + 1, store.latest(ORIGIN)!.root.join() === tree(Number(size), "a").root.join() ? "b" : "a"),
  );
  assert.equal(other.status, 422);
  const [evidence] = store.evidence();
  const [before, after] = [
    parseCheckpoint(evidence!.before),
    parseCheckpoint(evidence!.request.slice(evidence!.request.indexOf("\n\n") + 2)),
  ];
  for (const side of [before, after]) checkSigned(side, logVerifierKey(ORIGIN, log.publicKey));
});

test("what was cosigned outlives the process", async () => {
  const path = join(scratch, "kept", "witness.db");
  const first = open({ path });
  await first.post(body(0, 5));
  await first.app.close();
  const second = open({ path, hasKeys: true });
  assert.equal((await second.post(body(0, 4))).text, "5\n");
  assert.equal((await second.post(body(5, 6, "fork"))).status, 422);
  assert.equal((await second.post(body(5, 6))).status, 200);
  await second.app.close();
});

test("a witness that forgot does not start under its old keys", () => {
  assert.throws(
    () => open({ path: join(scratch, "forgot", "witness.db"), hasKeys: true }),
    (error) => error instanceof ServiceError && error.code === "DIRECTORY_DAMAGED",
  );
});

test("nothing is answered that could not be kept", async () => {
  const { service, store, post } = open();
  store.close();
  assert.throws(() => service.addCheckpoint(utf8(body(0, 1))));
  assert.equal((await post(body(0, 1))).status, 500);
});

test("time does not go back, whatever the clock does", async () => {
  let time = 2_000_000_000_000;
  const { post, service } = open({ now: () => time });
  const ed = parseVerifierKey(service.vkeys[0]!);
  const at = async (from: number, size: number): Promise<number> =>
    checkSigned(parseCheckpoint(checkpointOf(size) + (await post(body(from, size))).text), ed).timeMs!;
  assert.equal(await at(0, 1), time);
  time -= 60_000;
  assert.equal(await at(1, 2), 2_000_000_000_000);
});

test("keys that are none, and origins that cannot be, are refused when it starts", () => {
  const store = openWitnessStore(":memory:", { hasKeys: false, hashOf: originHash });
  const vkey = formatVerifierKey(createVerifierKey(ORIGIN, "ed25519", log.publicKey));
  for (const logs of [[{ vkey: "nonsense" }], [{ vkey, origin: "a\nb" }]]) {
    assert.throws(
      () => createWitnessService({ name: "w", keys, logs, store, now: Date.now }),
      (error) => error instanceof ServiceError && error.code === "CONFIG_INVALID",
    );
  }
  // A v1 log's key has another name than its origin.
  const service = createWitnessService({ name: "w", keys, logs: [{ vkey, origin: "log.example - 17" }], store, now: Date.now });
  const note = signCheckpoint({ origin: "log.example - 17", name: ORIGIN, size: 1n, root: tree(1).root, key: log });
  assert.equal(service.addCheckpoint(utf8(formatWitnessRequest({ oldSize: 0n, proof: [], note }))).kind, "cosigned");
});
