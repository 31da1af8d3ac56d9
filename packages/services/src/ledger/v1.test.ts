// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { createHash, createPublicKey, generateKeyPairSync, sign, verify } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import fc from "fast-check";
import { decodeEntryMap } from "@lacre/core/client";
import { signCheckpoint } from "@lacre/core/bundle";
import { pae } from "@lacre/core/codec";
import { generateKey, importPrivateKey, sha256 } from "@lacre/core/crypto";
import { checkConsistency, checkInclusion, emptyRoot, hashLeaf } from "@lacre/core/merkle";
import { createEdge } from "../edge/index.ts";
import { ServiceError } from "../errors.ts";
import { createMemoryAnchor, openLog, type Log } from "../engine/index.ts";
import { createFileBlobStore, createFileSystem } from "../store/index.ts";
import {
  createLedgerV1Service,
  createVerification,
  LEDGER_PERSONALITY,
  originV1,
  registerLedgerV1,
  type LedgerV1Service,
} from "./index.ts";
import { promisedText, treePrefix } from "./v1-answer.ts";

type Loose = any; // oxlint-disable-line no-explicit-any -- tests break documents on purpose

const NAME = "rekor.test.lacre.localhost";
const TREE = "1234567890123456789";
const PREFIX = "112210f47de98115";
const dir = mkdtempSync(join(tmpdir(), "lacre-ledger-v1-"));
const logKey = generateKey("P-256");
const logPublic = createPublicKey({ key: Buffer.from(logKey.publicKey.spki), format: "der", type: "spki" });
const LOG_ID = createHash("sha256").update(logKey.publicKey.spki).digest("hex");
const verification = createVerification({ threads: 0 });
const app = createEdge();
let log: Log;
let service: LedgerV1Service;
let nowMs = 1_700_000_000_000;
before(async () => {
  log = await openLog({
    dir,
    origin: originV1(NAME, TREE),
    personality: LEDGER_PERSONALITY,
    signCheckpoint: ({ origin, size, root }) => signCheckpoint({ origin, name: NAME, size: BigInt(size), root, key: logKey }),
    now: () => (nowMs += 1250),
    anchor: createMemoryAnchor(),
    production: false,
  });
  service = createLedgerV1Service({
    log,
    treeId: TREE,
    key: logKey,
    verification,
    blobs: createFileBlobStore(createFileSystem(), dir),
  });
  registerLedgerV1(app, service);
});
after(async () => {
  await app.close();
  await log.close();
  rmSync(dir, { recursive: true, force: true });
});

const base64 = (bytes: Uint8Array | string): string => Buffer.from(bytes as string).toString("base64");
const sha = (data: Uint8Array | string): string => createHash("sha256").update(data).digest("hex");
const pair = generateKeyPairSync("ec", { namedCurve: "P-256" });
const pem = pair.publicKey.export({ format: "pem", type: "spki" }) as string;
let counter = 0;
const fresh = (): Buffer => Buffer.from(`artifact ${counter++}`);
const proposal = (data: Uint8Array = fresh()): Loose => ({
  apiVersion: "0.0.1",
  kind: "hashedrekord",
  spec: {
    data: { hash: { algorithm: "sha256", value: sha(data) } },
    signature: { content: base64(sign("sha256", data, pair.privateKey)), publicKey: { content: base64(pem) } },
  },
});
const TYPE = "application/vnd.in-toto+json";
const statement = (digest: string): Buffer =>
  Buffer.from(
    JSON.stringify({
      _type: "https://in-toto.io/Statement/v1",
      subject: [{ name: "a", digest: { sha256: digest } }],
      predicateType: "t",
      predicate: { materials: [{ uri: "u", digest: { sha1: "AB".repeat(20) } }] },
    }),
  );
const envelopeOf = (payload: Uint8Array): string =>
  JSON.stringify({
    payload: base64(payload),
    payloadType: TYPE,
    signatures: [{ keyid: "", sig: base64(sign("sha256", pae(TYPE, payload), pair.privateKey)) }],
  });
const dsse = (payload: Uint8Array): Loose => ({
  apiVersion: "0.0.1",
  kind: "dsse",
  spec: { proposedContent: { envelope: envelopeOf(payload), verifiers: [base64(pem)] } },
});
const intoto = (payload: Uint8Array): Loose => ({
  apiVersion: "0.0.1",
  kind: "intoto",
  spec: { content: { envelope: envelopeOf(payload) }, publicKey: base64(pem) },
});

const JSON_HEADERS = { "content-type": "application/json", accept: "application/json" };
const post = (url: string, body: unknown, headers: Record<string, string> = JSON_HEADERS) =>
  app.inject({ method: "POST", url, payload: typeof body === "string" ? body : JSON.stringify(body), headers });
const add = (body: unknown) => post("/api/v1/log/entries", body);
const get = (url: string, headers: Record<string, string> = {}) => app.inject({ url, headers });

/** Checks a reply as a stranger would: shape by sigstore-rs's offsets, promise and note by Node's own crypto, the rest by arithmetic. */
function checkReply(text: string): { uuid: string; index: number; size: number; body: Loose; entry: Loose } {
  assert.equal(text.slice(0, 2) + text.slice(82, 85) + text.slice(-2), '{"":{}\n');
  const [[uuid, entry], ...more] = Object.entries(JSON.parse(text)) as [[string, Loose], ...unknown[]];
  assert.equal(more.length, 0);
  assert.equal(text, `${JSON.stringify({ [uuid]: entry })}\n`, "compact");
  assert.deepEqual(
    Object.keys(entry).filter((name) => name !== "attestation"),
    ["body", "integratedTime", "logID", "logIndex", "verification"],
  );
  assert.match(uuid, new RegExp(`^${PREFIX}[0-9a-f]{64}$`));
  const record = Buffer.from(entry.body, "base64");
  assert.equal(uuid.slice(16), Buffer.from(hashLeaf(sha256, record)).toString("hex"));
  assert.deepEqual([typeof entry.integratedTime, typeof entry.logIndex, entry.logID], ["number", "number", LOG_ID]);
  const { signedEntryTimestamp, inclusionProof } = entry.verification;
  const promised = JSON.stringify({
    body: entry.body,
    integratedTime: entry.integratedTime,
    logID: entry.logID,
    logIndex: entry.logIndex,
  });
  assert.ok(
    verify("sha256", Buffer.from(promised), logPublic, Buffer.from(signedEntryTimestamp, "base64")),
    "the promise is signed",
  );
  const [origin, size, root, blank, line, end, ...rest] = inclusionProof.checkpoint.split("\n");
  assert.deepEqual([origin, size, blank, end, rest.length], [`${NAME} - ${TREE}`, String(inclusionProof.treeSize), "", "", 0]);
  assert.equal(Buffer.from(root, "base64").toString("hex"), inclusionProof.rootHash);
  const [, name, blob] = /^\u2014 (\S+) (\S+)$/.exec(line)!;
  const bytes = Buffer.from(blob!, "base64");
  assert.deepEqual([name, bytes.subarray(0, 4).toString("hex")], [NAME, LOG_ID.slice(0, 8)]);
  assert.ok(verify("sha256", Buffer.from(`${origin}\n${size}\n${root}\n`), logPublic, bytes.subarray(4)), "the note is signed");
  const proof = inclusionProof.hashes.map((hash: string) => Buffer.from(hash, "hex"));
  checkInclusion(sha256, {
    index: BigInt(inclusionProof.logIndex),
    size: BigInt(size),
    leafHash: hashLeaf(sha256, record),
    proof,
    root: Buffer.from(root, "base64"),
  });
  assert.equal(inclusionProof.logIndex, entry.logIndex);
  decodeEntryMap(Buffer.from(text));
  return { uuid, index: entry.logIndex, size: Number(size), body: JSON.parse(record.toString()), entry };
}

test("the vectors: UUID, promised text and checkpoint", () => {
  assert.equal(treePrefix(TREE), PREFIX);
  assert.equal(treePrefix("1"), "0000000000000001");
  const scalar = "22".repeat(32);
  const key = importPrivateKey(
    Buffer.from(`308141020100301306072a8648ce3d020106082a8648ce3d030107042730250201010420${scalar}`, "hex"),
  );
  const logId = createHash("sha256").update(key.publicKey.spki).digest("hex");
  assert.equal(logId, "bfcba2b742a807bbb72b522fa4694c4604ff68ebd21b048c56d53dc18a94d5c4");
  const body =
    '{"apiVersion":"0.0.1","kind":"hashedrekord","spec":{"data":{"hash":{"algorithm":"sha256","value":"6221d61fdb870e48655996ed4278171b093e3d8079dc4b8ab6c6550655ab4231"}},"signature":{"content":"MEUCIQDY+Fcb+o9PQLk7UK9FkfVLgs33ZMCC67+HPtXRZ3tkJgIgJURBgjb47Fau4K2UaLevdgW2lX36eRrGZTuMSs22wlM=","publicKey":{"content":"LS0tLS1CRUdJTiBQVUJMSUMgS0VZLS0tLS0KTUZrd0V3WUhLb1pJemowQ0FRWUlLb1pJemowREFRY0RRZ0FFQWhmbUYvQzJSRGtvSjQrV21aNXBvanBQTEJVcgozMjFzMzJibHVBS0MxTzBaU24zcnk1ZHhMUzNhUEtoYXFIWmFWdlJmeDFoWmxsTHlpWHhsTUc1WGxBPT0KLS0tLS1FTkQgUFVCTElDIEtFWS0tLS0tCg=="}}}}';
  const promised = promisedText(base64(body), 1_700_000_000, logId, 7);
  assert.equal(sha(promised), "ab5fdfb1e2c57f6f74f2efb8ee88a7799110d0b6a0b81fa8585ebac8355a3d3d");
  const node = createPublicKey({ key: Buffer.from(key.publicKey.spki), format: "der", type: "spki" });
  assert.ok(
    verify(
      "sha256",
      Buffer.from(promised),
      node,
      Buffer.from("MEYCIQChGk6vKvL1sxvQkXeLq4cnB1sGL3jKL/CMDJMCYaWVDgIhALXgjk8E8Le8ZsCjswt0E2LhKIB7csRqanv9/3jlBayf", "base64"),
    ),
  );
  const ours = signCheckpoint({
    origin: originV1("rekor.lacre.example", TREE),
    name: "rekor.lacre.example",
    size: 1n,
    root: hashLeaf(sha256, Buffer.from(body)),
    key,
  });
  const vector =
    "rekor.lacre.example - 1234567890123456789\n1\nn87OChh9rXTNtlNGfJXtmq03o3d0GoSVSV4HBJGTSaM=\n\n\u2014 rekor.lacre.example v8uitzBFAiEAgBkWLdp8NLNEbni1CZuPsIhq+ETiQOzmLK/eq3Q6zPMCICYNK425+GcOVrMSYYBn9iWU/wVP6/79Hgx0jf6lZAg0\n";
  // ECDSA differs each time; all before it, hint included, does not.
  assert.equal(ours.slice(0, ours.indexOf("v8uit") + 5), vector.slice(0, vector.indexOf("v8uit") + 5));
});

test("an empty log has a state, a root and a key", async () => {
  const info = (await get("/api/v1/log")).json();
  assert.deepEqual(
    [info.inactiveShards, info.treeID, info.treeSize, info.rootHash],
    [[], TREE, 0, Buffer.from(emptyRoot(sha256)).toString("hex")],
  );
  const key = await get("/api/v1/log/publicKey");
  assert.deepEqual(
    [key.headers["content-type"], key.body],
    ["application/x-pem-file", logPublic.export({ format: "pem", type: "spki" })],
  );
  assert.equal((await get(`/api/v1/log/publicKey?treeID=${TREE}`)).statusCode, 200);
  assert.equal((await get("/api/v1/log/publicKey?treeID=5")).statusCode, 400);
});

test("an entry of every kind is logged and answered with promise, proof and checkpoint", async () => {
  for (const sent of [proposal(), dsse(statement(sha("one"))), intoto(statement(sha("two")))]) {
    const reply = await add(sent);
    assert.equal(reply.statusCode, 201, reply.body);
    const { uuid, body, index, entry } = checkReply(reply.body);
    assert.deepEqual(
      [reply.headers.etag, reply.headers.location, reply.headers["content-type"]],
      [uuid, `/api/v1/log/entries/${uuid}`, "application/json"],
    );
    assert.equal(Number(reply.headers["content-length"]), Buffer.byteLength(reply.body));
    assert.deepEqual([body.kind, body.apiVersion], [sent.kind, sent.apiVersion]);
    assert.equal(Math.floor(((await log.entry(index))?.timeMs ?? 0) / 1000), entry.integratedTime);
  }
});

test("a second request is refused with the way to the first, and the way leads there", async () => {
  const sent = proposal();
  const first = checkReply((await add(sent)).body);
  const again = await add(sent);
  assert.equal(again.statusCode, 409);
  assert.deepEqual(again.json(), {
    code: 409,
    message: `an equivalent entry already exists in the transparency log with UUID ${first.uuid}`,
  });
  assert.equal(again.headers.location, `/api/v1/log/entries/${first.uuid}`);
  const found = await get(again.headers.location ?? "");
  const second = checkReply(found.body);
  assert.deepEqual(
    [found.statusCode, second.uuid, second.index, second.entry.integratedTime],
    [200, first.uuid, first.index, first.entry.integratedTime],
  );
});

test("requests for one entry that are under way together are one request", async () => {
  const sent = proposal();
  const replies = await Promise.all([add(sent), add({ ...sent, comment: "the same entry" }), add(sent)]);
  assert.deepEqual(
    replies.map(({ statusCode }) => statusCode),
    [201, 201, 201],
  );
  assert.equal(new Set(replies.map(({ body }) => checkReply(body).uuid)).size, 1);
  assert.equal((await add(sent)).statusCode, 409);
});

test("a refusal under way is everybody's refusal, and the next request is a new one", async () => {
  const bad = proposal();
  bad.spec.data.hash.value = sha("something else");
  const replies = await Promise.all([add(bad), add(bad)]);
  assert.deepEqual(
    replies.map(({ statusCode }) => statusCode),
    [400, 400],
  );
  assert.match(replies[0]!.json().message, /^error processing entry: verifying signature/);
});

test("an entry is found by UUID, by leaf hash, by index, in upper case", async () => {
  const { uuid, index } = checkReply((await add(proposal())).body);
  for (const url of [uuid, uuid.slice(16), uuid.toUpperCase(), `${uuid}/`, `?logIndex=${index}`]) {
    const found = await get(url.startsWith("?") ? `/api/v1/log/entries${url}` : `/api/v1/log/entries/${url}`);
    assert.equal(found.statusCode, 200, url);
    assert.deepEqual([checkReply(found.body).uuid, found.headers.etag], [uuid, uuid]);
    assert.match(String(found.headers["cache-control"]), /no-cache/);
  }
});

test("what is not there is a 404 with nothing in it", async () => {
  const { uuid } = checkReply((await add(proposal())).body);
  for (const url of [`${PREFIX}${"0".repeat(64)}`, "0".repeat(64), `${"1".repeat(16)}${uuid.slice(16)}`, "?logIndex=99999999"]) {
    const missing = await get(url.startsWith("?") ? `/api/v1/log/entries${url}` : `/api/v1/log/entries/${url}`);
    assert.deepEqual(
      [missing.statusCode, missing.body, missing.headers["content-type"], missing.headers["content-length"]],
      [404, "", undefined, "0"],
      url,
    );
  }
});

test("requests without the right shape are 422 with the validation's number", async () => {
  const good = proposal();
  const { kind: _kind, ...noKind } = good;
  const { spec: _spec, ...noSpec } = good;
  const { apiVersion: _version, ...noVersion } = good;
  const cases: readonly (readonly [ReturnType<typeof get>, number, RegExp])[] = [
    [add(noKind), 602, /^kind in body is required$/],
    [add(noSpec), 602, /^spec in body is required$/],
    [add(noVersion), 602, /^apiVersion in body is required$/],
    [add({ ...good, apiVersion: "one" }), 605, /apiVersion/],
    [add({ ...good, kind: 7 }), 601, /kind/],
    [add({ ...good, apiVersion: 7 }), 601, /apiVersion/],
    [get("/api/v1/log/entries"), 602, /logIndex in query is required/],
    [get("/api/v1/log/entries?logIndex=x"), 601, /int64/],
    [get("/api/v1/log/entries?logIndex=-1"), 609, /greater/],
    [get("/api/v1/log/entries/abc"), 605, /entryUUID in path should match/],
    [get(`/api/v1/log/entries/${"g".repeat(64)}`), 605, /should match/],
    [get("/api/v1/log/proof"), 602, /lastSize/],
    [get("/api/v1/log/proof?lastSize=0"), 609, /lastSize/],
    [get("/api/v1/log/proof?lastSize=2&firstSize=0"), 609, /firstSize/],
    [get("/api/v1/log/proof?lastSize=2&treeID=x"), 605, /treeID/],
    [post("/api/v1/log/entries/retrieve", { logIndexes: [] }), 612, /at least 1/],
    [post("/api/v1/log/entries/retrieve", { entryUUIDs: Array(11).fill("0".repeat(64)) }), 611, /at most 10/],
    [post("/api/v1/log/entries/retrieve", { entryUUIDs: ["x"] }), 605, /entryUUIDs\.0/],
    [post("/api/v1/log/entries/retrieve", { logIndexes: [1.5] }), 601, /int64/],
    [post("/api/v1/log/entries/retrieve", { logIndexes: [-1] }), 609, /greater/],
    [post("/api/v1/log/entries/retrieve", { entries: {} }), 601, /array/],
    [
      post("/api/v1/log/entries/retrieve", { logIndexes: Array(6).fill(0), entryUUIDs: Array(5).fill("0".repeat(64)) }),
      422,
      /more than max allowed 10 entries in request/,
    ],
    [post("/api/v1/index/retrieve", { hash: "sha256:zz" }), 605, /hash/],
    [post("/api/v1/index/retrieve", { operator: "xor" }), 606, /operator/],
    [post("/api/v1/index/retrieve", { publicKey: {} }), 602, /publicKey\.format/],
    [post("/api/v1/index/retrieve", { publicKey: { format: "gpg" } }), 606, /format/],
    [post("/api/v1/index/retrieve", { email: 5 }), 601, /email/],
    [post("/api/v1/index/retrieve", { subject: "" }), 604, /subject/],
    [post("/api/v1/index/retrieve", { subject: "s".repeat(513) }), 603, /subject/],
  ];
  for (const [pending, code, message] of cases) {
    const reply = await pending;
    assert.equal(reply.statusCode, 422, `${message}: ${reply.body}`);
    assert.equal(reply.json().code, code, reply.body);
    assert.match(reply.json().message, message);
  }
});

test("content that is wrong is 400 and says what", async () => {
  const signed = proposal();
  signed.spec.signature.content = base64("x");
  for (const [body, message] of [
    ["{", /parsing body failed/],
    ["[]", /not an object/],
    ['{"kind":"a","kind":"b"}', /twice/],
    [`{"a":${"[".repeat(40)}${"]".repeat(40)}}`, /deep/],
    [{ ...proposal(), kind: "helm" }, /helm 0\.0\.1/],
    [{ ...proposal(), apiVersion: "0.0.9" }, /0\.0\.9/],
    [signed, /verifying signature/],
    [{ ...proposal(), spec: [] }, /spec is not an object/],
    [Buffer.from([0x7b, 0xff, 0x7d]).toString("latin1"), /parsing body failed/],
  ] as const) {
    const reply = await add(body);
    assert.equal(reply.statusCode, 400, reply.body);
    assert.deepEqual([reply.json().code, reply.headers["content-type"]], [400, "application/json"]);
    assert.match(reply.json().message, message);
  }
});

test("media types: JSON in, JSON out, and nothing else is promised", async () => {
  for (const type of ["text/plain", "application/octet-stream", "application/jsonx"]) {
    const reply = await post("/api/v1/log/entries", proposal(), { "content-type": type });
    assert.deepEqual([reply.statusCode, reply.json().code], [415, 415]);
  }
  assert.equal((await app.inject({ method: "POST", url: "/api/v1/index/retrieve" })).statusCode, 415);
  for (const type of ["application/json; charset=utf-8", "Application/JSON"])
    assert.equal((await post("/api/v1/log/entries", proposal(), { "content-type": type })).statusCode, 201);
  for (const accept of ["text/html", "application/json;q=0", "application/yaml, text/*"])
    assert.equal((await get("/api/v1/log", { accept })).statusCode, 406, accept);
  for (const accept of ["*/*", "application/*", "application/json;q=1, application/yaml", "text/html, */*;q=0.1"])
    assert.equal((await get("/api/v1/log", { accept })).statusCode, 200, accept);
  assert.equal((await get("/api/v1/log/publicKey", { accept: "application/json" })).statusCode, 406);
  assert.equal((await get("/api/v1/log/publicKey", { accept: "application/x-pem-file" })).statusCode, 200);
});

test("wrong methods, unknown routes and bodies without end are answered in the dialect", async () => {
  const wrong = await app.inject({ method: "DELETE", url: "/api/v1/log/entries" });
  assert.deepEqual(
    [wrong.statusCode, wrong.json(), wrong.headers.allow],
    [405, { code: 405, message: "method DELETE is not allowed" }, "GET, HEAD, POST"],
  );
  const unknown = await get("/api/v1/log/nothing");
  assert.deepEqual([unknown.statusCode, unknown.json()], [404, { code: 404, message: "path /api/v1/log/nothing was not found" }]);
  assert.equal((await get("/ping")).body, ".");
  const large = await app.inject({
    method: "POST",
    url: "/api/v1/log/entries",
    headers: JSON_HEADERS,
    payload: Buffer.alloc((16 << 20) + 1, 0x20),
  });
  assert.deepEqual(
    [large.statusCode, large.json()],
    [413, { code: 413, message: "Request Entity Too Large. Limit set to 16777216" }],
  );
});

test("retrieval by UUID, index and proposal; what is unknown is left out, what is asked twice comes once", async () => {
  const sent = [proposal(), dsse(statement(sha("three"))), intoto(statement(sha("four")))];
  const added: ReturnType<typeof checkReply>[] = [];
  for (const one of sent) added.push(checkReply((await add(one)).body));
  const retrieve = async (body: object): Promise<string[]> => {
    const reply = await post("/api/v1/log/entries/retrieve/", body);
    assert.equal(reply.statusCode, 200, reply.body);
    return reply.json().map((map: object) => checkReply(`${JSON.stringify(map)}\n`).uuid);
  };
  assert.deepEqual(await retrieve({}), []);
  assert.deepEqual(
    await retrieve({ entries: sent }),
    added.map(({ uuid }) => uuid),
  );
  assert.deepEqual(await retrieve({ entries: [proposal()], entryUUIDs: ["0".repeat(64)], logIndexes: [88_888] }), []);
  assert.deepEqual(
    await retrieve({ entryUUIDs: [added[0]!.uuid, added[0]!.uuid.slice(16)], logIndexes: [added[0]!.index, added[1]!.index] }),
    [added[0]!.uuid, added[1]!.uuid],
  );
  assert.equal((await post("/api/v1/log/entries/retrieve", { entries: [{ ...proposal(), kind: "rpm" }] })).statusCode, 400);
});

test("payloads of intoto entries are kept up to a size and given back; envelopes of dsse entries are not", async () => {
  const payload = statement(sha("five"));
  const { uuid } = checkReply((await add(intoto(payload))).body);
  const { entry } = checkReply((await get(`/api/v1/log/entries/${uuid}`)).body);
  assert.deepEqual(Buffer.from(entry.attestation.data, "base64"), payload);
  const large = checkReply((await add(intoto(Buffer.alloc(102_401, 0x61)))).body);
  assert.equal(checkReply((await get(`/api/v1/log/entries/${large.uuid}`)).body).entry.attestation, undefined);
  assert.equal(checkReply((await add(dsse(payload))).body).entry.attestation, undefined);
});

test("search by digest, key, payload and subject", async () => {
  const data = fresh();
  const subject = sha("a searched subject");
  const one = checkReply((await add(proposal(data))).body).uuid;
  const two = checkReply((await add(intoto(statement(subject)))).body).uuid;
  const search = async (query: object): Promise<string[]> => (await post("/api/v1/index/retrieve", query)).json();
  assert.deepEqual(await search({ hash: sha(data) }), [one]);
  assert.deepEqual(await search({ hash: `SHA256:${sha(data).toUpperCase()}` }), [one]);
  assert.deepEqual(await search({ hash: `sha256:${subject}` }), [two]);
  assert.deepEqual(await search({ hash: sha(statement(subject)) }), [two]);
  assert.deepEqual(await search({ hash: sha(envelopeOf(statement(subject))) }), [], "another signature is another envelope");
  assert.deepEqual(
    await search({ hash: sha(data), publicKey: { format: "x509", content: base64(pem.trimEnd()) }, operator: "and" }),
    [one],
  );
  assert.ok((await search({ publicKey: { format: "x509", content: base64(pem) } })).length > 5);
  assert.ok((await search({ hash: sha(pem) })).length > 5, "signers under sha256 too");
  assert.deepEqual(await search({ hash: sha(data), email: "nobody@example.com", operator: "and" }), []);
  assert.deepEqual(await search({ hash: sha(data), email: "nobody@example.com" }), [one]);
  assert.deepEqual(await search({}), []);
  const other = await post("/api/v1/index/retrieve", { publicKey: { format: "pgp", content: base64(pem) } });
  assert.deepEqual([other.statusCode, other.json().message], [400, "keys of format pgp are not logged here; search by x509"]);
  assert.equal((await post("/api/v1/index/retrieve", { publicKey: { format: "x509", content: base64("x") } })).statusCode, 400);
});

test("growth is proved between any two sizes", async () => {
  while (log.size < 40) await add(proposal());
  const size = log.size;
  const roots = new Map<number, Buffer>();
  const growth = async (first: number, last: number): Promise<{ rootHash: string; hashes: string[] }> =>
    (await get(`/api/v1/log/proof?firstSize=${first}&lastSize=${last}&treeID=${TREE}`)).json();
  for (let at = 1; at <= size; at++) roots.set(at, Buffer.from((await growth(at, at)).rootHash, "hex"));
  assert.equal(roots.get(size)!.toString("hex"), (await get("/api/v1/log")).json().rootHash);
  for (let last = 1; last <= size; last++) {
    for (const first of [1, Math.ceil(last / 3), last - 1, last].filter((at) => at >= 1)) {
      const { rootHash, hashes } = await growth(first, last);
      const proof = hashes.map((hash) => Buffer.from(hash, "hex"));
      checkConsistency(sha256, {
        oldSize: BigInt(first),
        oldRoot: roots.get(first)!,
        newSize: BigInt(last),
        newRoot: Buffer.from(rootHash, "hex"),
        proof,
      });
    }
  }
  assert.deepEqual((await get("/api/v1/log/proof?lastSize=1")).json().hashes, []);
  assert.match(
    (await get("/api/v1/log/proof?firstSize=3&lastSize=2")).json().message,
    /^firstSize\(3\) must be less than lastSize\(2\)$/,
  );
  assert.match(
    (await get(`/api/v1/log/proof?lastSize=${size + 1}`)).json().message,
    new RegExp(`^the tree size requested\\(${size + 1}\\) was greater than what is currently observable\\(${size}\\)$`),
  );
  assert.equal((await get("/api/v1/log/proof?lastSize=2&treeID=5")).statusCode, 400);
});

test("across full tiles proofs and old roots still hold", async () => {
  const bodies = Array.from({ length: 600 }, (_, i) => Buffer.from(`{"apiVersion":"0.0.1","kind":"filler","spec":${i}}`));
  await Promise.all(bodies.map((body) => log.append(body).then((entry) => log.receipt(entry))));
  const size = log.size;
  for (const [first, last] of [
    [255, 256],
    [256, 257],
    [100, 512],
    [256, 512],
    [1, size],
    [size - 1, size],
  ] as const) {
    const [old, grown] = await Promise.all([service.growth(first, first, undefined), service.growth(first, last, undefined)]);
    const proof = grown.hashes.map((hash) => Buffer.from(hash, "hex"));
    checkConsistency(sha256, {
      oldSize: BigInt(first),
      oldRoot: Buffer.from(old.rootHash, "hex"),
      newSize: BigInt(last),
      newRoot: Buffer.from(grown.rootHash, "hex"),
      proof,
    });
  }
  assert.equal((await service.growth(size, size, undefined)).rootHash, service.info().rootHash);
});

test("the published faults of Rekor's server have no place here", async (t) => {
  let asked = 0;
  const trap = createServer((_, response) => {
    asked += 1;
    response.end(pem);
  });
  await new Promise<void>((resolve) => trap.listen(0, "127.0.0.1", resolve));
  t.after(() => trap.close());
  const url = `http://127.0.0.1:${(trap.address() as AddressInfo).port}/`;
  const cases: readonly (readonly [string, string, unknown, number])[] = [
    [
      "CVE-2023-30551: archives that unpack without end",
      "/api/v1/log/entries",
      { apiVersion: "0.0.1", kind: "jar", spec: { archive: { content: base64(Buffer.alloc(1000)) } } },
      400,
    ],
    [
      "CVE-2026-48702: packages that unpack without end",
      "/api/v1/log/entries",
      { apiVersion: "0.0.1", kind: "alpine", spec: { package: { content: base64(Buffer.alloc(1000)) } } },
      400,
    ],
    [
      "CVE-2023-33199: an entry without content",
      "/api/v1/log/entries",
      { apiVersion: "0.0.2", kind: "intoto", spec: { content: { envelope: {}, hash: {} } } },
      400,
    ],
    [
      "CVE-2023-33199: a retrieval of such",
      "/api/v1/log/entries/retrieve",
      { entries: [{ apiVersion: "0.0.2", kind: "intoto", spec: { content: null } }] },
      400,
    ],
    [
      "CVE-2026-23831: an empty message",
      "/api/v1/log/entries",
      { apiVersion: "0.0.1", kind: "cose", spec: { message: "", publicKey: base64(pem), data: {} } },
      400,
    ],
    ["CVE-2026-24117: a key at an address, searched", "/api/v1/index/retrieve", { publicKey: { format: "x509", url } }, 400],
    [
      "CVE-2026-24117: a key at an address, logged",
      "/api/v1/log/entries",
      { ...proposal(), spec: { ...proposal().spec, signature: { ...proposal().spec.signature, publicKey: { url } } } },
      400,
    ],
    [
      "CVE-2026-24117: an artifact at an address",
      "/api/v1/log/entries",
      {
        apiVersion: "0.0.1",
        kind: "rekord",
        spec: {
          data: { url, hash: { algorithm: "sha256", value: sha("x") } },
          signature: { format: "x509", content: "AA==", url, publicKey: { content: base64(pem) } },
        },
      },
      400,
    ],
  ];
  for (const [name, path, body, status] of cases) assert.equal((await post(path, body)).statusCode, status, name);
  assert.equal(asked, 0, "nothing in a request is fetched");
});

test("a fault of ours is not taken for a refusal, and a tile that is gone is named", async () => {
  const broken = createEdge();
  const blobs = createFileBlobStore(createFileSystem(), dir);
  const faulty = { check: () => Promise.reject(new TypeError("a fault")), close: () => {} };
  registerLedgerV1(broken, createLedgerV1Service({ log, treeId: TREE, key: logKey, verification: faulty, blobs }));
  const reply = await broken.inject({
    method: "POST",
    url: "/api/v1/log/entries",
    headers: JSON_HEADERS,
    payload: JSON.stringify(proposal()),
  });
  assert.deepEqual([reply.statusCode, reply.json()], [500, { code: 500, message: "Internal error" }]);
  const hollow = { origin: log.origin, size: log.size, readTile: async () => undefined } as unknown as Log;
  const without = createLedgerV1Service({ log: hollow, treeId: TREE, key: logKey, verification, blobs });
  await assert.rejects(
    async () => without.growth(1, 2, undefined),
    (error) => error instanceof ServiceError && error.code === "LOG_DAMAGED",
  );
  await broken.close();
});

test("no body, and no header, makes the server fail", async () => {
  const good = JSON.stringify(proposal());
  await fc.assert(
    fc.asyncProperty(
      fc.oneof(
        fc.json(),
        fc.string(),
        fc
          .tuple(fc.nat(good.length - 1), fc.string({ maxLength: 3 }))
          .map(([at, text]) => good.slice(0, at) + text + good.slice(at + 1)),
      ),
      fc.constantFrom("/api/v1/log/entries", "/api/v1/log/entries/retrieve", "/api/v1/index/retrieve"),
      async (body, url) => {
        const { statusCode } = await post(url, body);
        assert.ok([200, 201, 400, 409, 422].includes(statusCode), `${statusCode} for ${body}`);
      },
    ),
    { numRuns: 150 },
  );
});
