// SPDX-License-Identifier: Apache-2.0
/** A log, its witnesses, and every way in which a witness can fail it. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import {
  checkSigned,
  formatVerifierKey,
  logVerifierKey,
  parseCheckpoint,
  parseVerifierKey,
  signCheckpoint,
} from "@lacre/core/bundle";
import { utf8 } from "@lacre/core/bytes";
import type { Fetch, FetchAnswer } from "@lacre/core/client";
import { generateKey, sha256 } from "@lacre/core/crypto";
import { checkQuorum, parseWitnessPolicy } from "@lacre/core/trust";
import { createEdge, createLocalFetch } from "../edge/index.ts";
import { createFileAnchor, openLog, type Log } from "../engine/index.ts";
import { PLAIN } from "../engine/fixture.ts";
import { ServiceError } from "../errors.ts";
import { createMemoryLock } from "../store/index.ts";
import { SimulatedDisk } from "../store/simulated.ts";
import { createWitnessService, openWitnessStore, originHash, registerWitness, type WitnessService } from "../witness/index.ts";
import { createMemory, createQuorum, openMemory, readPolicy, type WitnessMemory, type WitnessQuorum } from "./index.ts";

const ORIGIN = "log.example";
const logKey = generateKey("Ed25519");
const vkey = logVerifierKey(ORIGIN, logKey.publicKey);
const sign = ({ origin, size, root }: { origin: string; size: number; root: Uint8Array }): string =>
  signCheckpoint({ origin, name: origin, size: BigInt(size), root, key: logKey });

/** A witness at `http://<name>.test`, and how it misbehaves at the moment. */
interface Box {
  readonly name: string;
  readonly service: WitnessService;
  readonly fetch: Fetch;
  fault: ((url: string, honest: () => Promise<FetchAnswer>, service: WitnessService) => Promise<FetchAnswer>) | undefined;
}

function box(name: string, type: "Ed25519" | "ML-DSA-44" = "Ed25519"): Box {
  const app = createEdge();
  const store = openWitnessStore(":memory:", { hasKeys: false, hashOf: originHash });
  const service = createWitnessService({
    name: `${name}.example`,
    keys: [generateKey(type)],
    store,
    now: Date.now,
    logs: [{ vkey: formatVerifierKey(vkey) }, { vkey: formatVerifierKey(vkey), origin: "other.example" }],
  });
  registerWitness(app, service);
  return { name, service, fetch: createLocalFetch({ app: () => app, origins: [`http://${name}.test`] }), fault: undefined };
}

const answer = (status: number, body: string, type = "text/plain"): FetchAnswer => ({
  status,
  headers: { get: (name) => (name === "content-type" ? type : null) },
  arrayBuffer: async () => Uint8Array.from(utf8(body)).buffer,
});

interface World {
  readonly boxes: readonly Box[];
  readonly disk: SimulatedDisk;
  readonly said: { readonly level: string; readonly message: string; readonly witness?: string; readonly reason?: string }[];
  readonly quorum: WitnessQuorum;
  readonly memory: WitnessMemory;
  readonly log: Log;
}

async function open(
  rule: string,
  o: { boxes?: readonly Box[]; disk?: SimulatedDisk; memory?: WitnessMemory; timeoutMs?: number; failOpen?: boolean } = {},
): Promise<World> {
  const boxes = o.boxes ?? [box("a"), box("b"), box("c", "ML-DSA-44")];
  const disk = o.disk ?? new SimulatedDisk();
  const memory = o.memory ?? createMemory();
  const said: World["said"] = [];
  const logger = Object.fromEntries(
    ["info", "warn", "error"].map((level) => [
      level,
      (fields: object, message: string) => void said.push({ level, message, ...fields }),
    ]),
  ) as never;
  const policy = parseWitnessPolicy(
    utf8(
      `log ${formatVerifierKey(vkey)}\n${boxes.map(({ name, service }) => `witness ${name} ${service.vkeys[0]!} http://${name}.test/\n`).join("")}${rule}`,
    ),
  );
  const fetch: Fetch = (url, init) => {
    const at = boxes.find(({ name }) => new URL(url).host === `${name}.test`)!;
    return at.fault === undefined ? at.fetch(url, init) : at.fault(url, () => at.fetch(url, init), at.service);
  };
  const quorum = createQuorum({
    policy,
    logKey: vkey,
    origin: ORIGIN,
    memory,
    fetch,
    timeoutMs: o.timeoutMs ?? 150,
    graceMs: 40,
    failOpen: o.failOpen ?? false,
    log: logger,
  });
  const log = await openLog({
    dir: "/data",
    origin: ORIGIN,
    personality: PLAIN,
    production: true,
    fs: disk,
    lock: createMemoryLock(),
    now: Date.now,
    log: logger,
    anchor: createFileAnchor("/state/anchor", ORIGIN, disk),
    signCheckpoint: sign,
    ticks: { minMs: 1, maxMs: 1 },
    witnessing: quorum,
  });
  opened.push(log);
  return { boxes, disk, said, quorum, memory, log };
}

/** A test that failed leaves its log open. */
const opened: Log[] = [];
after(() => Promise.allSettled(opened.map((log) => log.close())));

let entries = 0;
const append = async (log: Log): Promise<string> => (await log.receipt(await log.append(utf8(`entry ${entries++}`)))).checkpoint;
const unwitnessed =
  (saying: RegExp) =>
  (error: unknown): boolean =>
    error instanceof ServiceError && error.code === "LOG_UNWITNESSED" && error.status === 503 && saying.test(error.detail!);
const standing = ({ quorum }: World, name: string) => quorum.health().witnesses.find((one) => one.name === name)!;

const TWO_OF_THREE = "group g 2 a b c\nquorum g\n";

test("receipts leave under checkpoints that the quorum cosigned, with both kinds of keys", async () => {
  const world = await open("group g all a b c\nquorum g\n");
  for (let at = 0; at < 3; at++) {
    const checkpoint = parseCheckpoint(await append(world.log));
    checkSigned(checkpoint, vkey);
    for (const { service } of world.boxes) checkSigned(checkpoint, parseVerifierKey(service.vkeys[0]!));
  }
  assert.deepEqual(world.quorum.health(), {
    quorum: "3 of (a, b, c)",
    reached: true,
    witnesses: world.boxes.map(({ name }) => ({
      name,
      status: "cosigned",
      size: 3,
      timeMs: standing(world, name).timeMs,
      reason: undefined,
    })),
  });
  assert.ok(Math.abs(standing(world, "a").timeMs! - Date.now()) < 5000);
  await world.log.close();
});

/** Each fault, and what is said of it. */
const FAULTS: Readonly<Record<string, readonly [Box["fault"], RegExp]>> = {
  "is offline": [
    () => Promise.reject(Object.assign(new TypeError("fetch failed"), { cause: { code: "ECONNREFUSED" } })),
    /could not be asked: ECONNREFUSED/,
  ],
  "is slow": [() => new Promise(() => {}), /no answer within 150 ms/],
  fails: [async () => answer(500, "sorry"), /status 500/],
  "claims a larger size": [
    async () => answer(409, "999999\n", "text/x.tlog.size"),
    /999999 entries of this log.*lies, or this log was rolled back/,
  ],
  "claims a size and does not take a proof from there": [
    async () => answer(409, "0\n", "text/x.tlog.size"),
    /0 entries, and does not take a proof/,
  ],
  "claims a size that is none": [async () => answer(409, "many\n", "text/x.tlog.size"), /not what its API promises/],
  "claims a size without saying so": [async () => answer(409, "1\n"), /not what its API promises/],
  "does not know the log": [async () => answer(404, "unknown"), /refused/],
  "answers with nonsense": [async () => answer(200, "OK"), /not what its API promises/],
  "answers for another origin": [
    async (_url, _honest, service) => {
      const other = signCheckpoint({
        origin: "other.example",
        name: ORIGIN,
        size: 0n,
        root: sha256(new Uint8Array(0)),
        key: logKey,
      });
      const cosigned = service.addCheckpoint(utf8(`old 0\n\n${other}`));
      return answer(200, cosigned.kind === "cosigned" ? cosigned.lines : "");
    },
    /signature does not verify/,
  ],
};

for (const [what, [fault, saying]] of Object.entries(FAULTS)) {
  test(`one witness of three ${what}: the quorum holds, and the reason is told`, async () => {
    const world = await open(TWO_OF_THREE);
    world.boxes[0]!.fault = fault;
    const checkpoint = parseCheckpoint(await append(world.log));
    assert.deepEqual(
      checkpoint.note.signatures
        .slice(1)
        .map(({ name }) => name)
        .toSorted(),
      ["b.example", "c.example"],
    );
    // A slow one is known to be slow only when its time is up.
    await new Promise((resolve) => setTimeout(resolve, what === "is slow" ? 250 : 0));
    const { status, reason } = standing(world, "a");
    if (what !== "is slow") {
      assert.deepEqual([status, saying.test(reason!)], ["failing", true], reason);
      assert.ok(
        world.said.some(({ level, witness, reason: told }) => level === "warn" && witness === "a" && saying.test(told!)),
        "the log does not say why",
      );
    }
    await world.log.close();
  });

  test(`two witnesses of three, when one ${what} and one is gone: nothing is published, until it recovers`, async () => {
    const world = await open(TWO_OF_THREE);
    const shown = await append(world.log);
    world.boxes[0]!.fault = fault;
    world.boxes[1]!.fault = FAULTS["is offline"]![0];
    await assert.rejects(append(world.log), unwitnessed(saying));
    assert.deepEqual([world.log.health().status, world.log.checkpoint()], ["unwitnessed", shown]);
    assert.match(world.log.health().failure!, saying);
    assert.match(standing(world, "a").reason!, saying);
    assert.equal(world.quorum.health().reached, false);
    assert.ok(world.said.some(({ level, message }) => level === "error" && /nothing is published/.test(message)));
    world.boxes[0]!.fault = undefined;
    let checkpoint = "";
    for (let tries = 0; checkpoint === "" && tries < 20; tries++)
      checkpoint = await append(world.log).catch((error: ServiceError) => (assert.equal(error.code, "LOG_UNWITNESSED"), ""));
    assert.equal(
      checkQuorum(
        parseWitnessPolicy(utf8(`witness a ${world.boxes[0]!.service.vkeys[0]!}\nquorum a`)),
        parseCheckpoint(checkpoint),
      ).votes.length,
      1,
    );
    assert.deepEqual([standing(world, "a").status, world.log.health().status], ["cosigned", "serving"]);
    await world.log.close();
  });
}

test("a witness with another key than the policy's does not count", async () => {
  const impostor = box("a");
  const boxes = [box("a"), box("b")];
  const world = await open("group g any a b\nquorum g\n", { boxes });
  boxes[0]!.fault = async (_url, honest) => {
    await honest();
    const note = signCheckpoint({ origin: ORIGIN, name: ORIGIN, size: 1n, root: sha256(utf8("any")), key: logKey });
    const cosigned = impostor.service.addCheckpoint(utf8(`old 0\n\n${note}`));
    return answer(200, cosigned.kind === "cosigned" ? cosigned.lines : "");
  };
  const { note } = parseCheckpoint(await append(world.log));
  assert.deepEqual(
    note.signatures.map(({ name }) => name),
    [ORIGIN, "b.example"],
  );
  assert.match(standing(world, "a").reason!, /another key than the policy's/);
  await world.log.close();
});

test("a witness that never saw the log, or forgot it, is brought up to date by its own word", async () => {
  const world = await open("quorum a\n");
  await append(world.log);
  await append(world.log);
  await world.log.close();
  // The memory is lost: the witness answers 409 and says where it is.
  const second = await open("quorum a\n", { boxes: world.boxes, disk: world.disk });
  await append(second.log);
  assert.equal(second.memory.get([...second.memory.entries()][0]![0])!.size, 3);
  await second.log.close();
  // The witness is lost: a new one under the same name and another key is a new witness.
  const fresh = [{ ...box("a") }, ...world.boxes.slice(1)];
  const third = await open("quorum a\n", { boxes: fresh, disk: world.disk, memory: second.memory });
  await append(third.log);
  await third.log.close();
});

test("a witness that answers late is not waited for, and what it cosigned is known all the same", async () => {
  const world = await open("group g any a b\nquorum g\n", { boxes: [box("a"), box("b")], timeoutMs: 2000 });
  let answered = 0;
  world.boxes[1]!.fault = async (_url, honest) => {
    await new Promise((resolve) => setTimeout(resolve, 150));
    return honest().finally(() => answered++);
  };
  const before = performance.now();
  const { note } = parseCheckpoint(await append(world.log));
  assert.ok(performance.now() - before < 150, "the slow one was waited for");
  assert.deepEqual(
    note.signatures.map(({ name }) => name),
    [ORIGIN, "a.example"],
  );
  const sizeOfB = (): number | undefined => world.memory.entries().find(([name]) => name.startsWith("b.example"))?.[1].size;
  const known = sizeOfB();
  while (answered === 0) await new Promise((resolve) => setTimeout(resolve, 10));
  for (let tries = 0; sizeOfB() === known && tries < 50; tries++) await new Promise((resolve) => setTimeout(resolve, 5));
  assert.equal(sizeOfB(), 1);
  assert.equal(world.log.checkpoint().includes("b.example"), false);
  // Late for a tree that is the past by now: nothing goes back.
  const late = append(world.log);
  world.boxes[1]!.fault = undefined;
  await late;
  await append(world.log);
  await new Promise((resolve) => setTimeout(resolve, 250));
  assert.equal(sizeOfB(), 3);
  await world.log.close();
});

test("a memory of another life of the log is not taken for this one's", async () => {
  const world = await open("quorum a\n");
  await append(world.log);
  const [[name]] = world.memory.entries() as [[string, unknown]];
  world.memory.set(new Map([[name, { size: 99, root: sha256(utf8("other")) }]]));
  await append(world.log);
  assert.equal(world.memory.get(name)!.size, 2);
  assert.ok(Math.abs(world.quorum.cosignedMs(world.log.checkpoint())! - Date.now()) < 5000);
  for (const other of [
    "nonsense",
    sign({ origin: ORIGIN, size: 2, root: sha256(utf8("x")) }),
    world.log.checkpoint().replace(ORIGIN, "other.example"),
  ])
    assert.equal(world.quorum.cosignedMs(other), undefined);
  await world.log.close();
});

test("a witness that forgot starts from nothing; that is said", async () => {
  const world = await open("quorum a\n");
  await append(world.log);
  const forgetful = world.boxes[0]!;
  let first = true;
  // It says 0 once, then its honest self is asked with what it would have taken.
  forgetful.fault = async (_url, honest) => {
    if (!first) return honest();
    first = false;
    return answer(409, "0\n", "text/x.tlog.size");
  };
  await append(world.log).catch((error: ServiceError) => assert.equal(error.code, "LOG_UNWITNESSED"));
  assert.ok(world.said.some(({ message }) => /forgotten/.test(message)));
  await world.log.close();
});

test("yesterday's copy of a log does not start once a witness shows what it has cosigned since", async () => {
  const world = await open("quorum a\n");
  await append(world.log);
  await world.log.close();
  // Twice what the disk holds, anchor included: one goes on, the other is put back.
  const [present, copy] = [world.disk.crash("kill"), world.disk.crash("kill")];
  const later = await open("quorum a\n", { boxes: world.boxes, disk: present, memory: world.memory });
  await append(later.log);
  await later.log.close();
  await assert.rejects(
    open("quorum a\n", { boxes: world.boxes, disk: copy }),
    (error) => error instanceof ServiceError && error.code === "LOG_FORKED" && /witness a has seen 2:/.test(error.detail!),
  );
  // Without the witness its own record, kept elsewhere, says the same.
  const silent = world.boxes.map((one) => ({ ...one, fault: FAULTS["is offline"]![0] }));
  await assert.rejects(
    open("quorum a\n", { boxes: silent, disk: copy, memory: world.memory }),
    (error) => error instanceof ServiceError && error.code === "LOG_FORKED" && /our record of a\.example/.test(error.detail!),
  );
});

test("what a witness shows without the log's own signature stops nothing", async () => {
  const world = await open("quorum a\n");
  await append(world.log);
  await world.log.close();
  const stranger = generateKey("Ed25519");
  for (const note of [
    "nonsense",
    signCheckpoint({ origin: ORIGIN, name: ORIGIN, size: 99n, root: sha256(utf8("lie")), key: stranger }),
    signCheckpoint({ origin: "other.example", name: ORIGIN, size: 99n, root: sha256(utf8("lie")), key: logKey }),
  ]) {
    world.boxes[0]!.fault = (url, honest) =>
      url.endsWith("/checkpoint") && !url.includes("add") ? Promise.resolve(answer(200, note)) : honest();
    const again = await open("quorum a\n", { boxes: world.boxes, disk: world.disk, memory: world.memory });
    assert.ok(again.said.some(({ witness }) => witness === "a"));
    await again.log.close();
  }
});

test("failing open is a choice: published with what came, and said", async () => {
  const boxes = [box("a")];
  boxes[0]!.fault = FAULTS["is offline"]![0];
  const world = await open("quorum a\n", { boxes, failOpen: true });
  assert.equal(parseCheckpoint(await append(world.log)).note.signatures.length, 1);
  assert.equal(world.log.health().status, "serving");
  assert.match(standing(world, "a").reason!, /ECONNREFUSED/);
  await world.log.close();
});

test("a policy that this log can never satisfy is refused when it starts", () => {
  const witness = box("a").service.vkeys[0]!;
  const other = formatVerifierKey(logVerifierKey("other.example", generateKey("Ed25519").publicKey));
  const make = (policy: string) =>
    createQuorum({
      policy: parseWitnessPolicy(utf8(policy)),
      logKey: vkey,
      origin: ORIGIN,
      memory: createMemory(),
      fetch: () => Promise.reject(new Error("asked")),
      timeoutMs: 1,
      failOpen: false,
    });
  for (const [policy, saying] of [
    [`log ${other}\nwitness a ${witness} http://a.test\nquorum a`, /not among them/],
    [`witness a ${witness}\nquorum a`, /too few/],
    [
      `${Array.from({ length: 20 }, (_, at) => `witness w${at} ${box(`w${at}`).service.vkeys[0]!} http://w.test`).join("\n")}\nquorum none`,
      /19/,
    ],
  ] as const)
    assert.throws(
      () => make(policy),
      (error) => error instanceof ServiceError && error.code === "CONFIG_INVALID" && saying.test(error.message),
    );
});

test("a policy is read from a file in the data directory, or from the setting itself", (t) => {
  const dir = mkdtempSync(join(tmpdir(), "lacre-policy-"));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  writeFileSync(join(dir, "policy"), "quorum none\n");
  assert.equal(readPolicy("", dir, "witnesses.ledger"), undefined);
  assert.deepEqual(readPolicy("policy", dir, "x"), readPolicy("quorum none", dir, "x"));
  for (const bad of ["absent", "quorum\tnobody", "# no quorum\n"])
    assert.throws(
      () => readPolicy(bad, dir, "witnesses.ledger"),
      (error) =>
        error instanceof ServiceError && error.code === "CONFIG_INVALID" && error.message.startsWith("witnesses.ledger:"),
    );
});

test("what witnesses cosigned is kept in a file, per log; another log's or a damaged one counts as none", () => {
  const dir = mkdtempSync(join(tmpdir(), "lacre-memory-"));
  after(() => rmSync(dir, { recursive: true, force: true }));
  const path = join(dir, "deep", "ledger.witnesses.json");
  openMemory(path, ORIGIN).set(new Map([["w 00000000", { size: 7, root: sha256(utf8("r")) }]]));
  assert.deepEqual(openMemory(path, ORIGIN).get("w 00000000"), { size: 7, root: sha256(utf8("r")) });
  assert.deepEqual(openMemory(path, "other.example").entries(), []);
  writeFileSync(path, readFileSync(path, "utf8").slice(0, -20));
  assert.deepEqual(openMemory(path, ORIGIN).entries(), []);
});
