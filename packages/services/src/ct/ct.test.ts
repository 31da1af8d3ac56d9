// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { createHash, createPublicKey, verify as nodeVerify } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { tileLeafInput } from "@lacre/core/log";
import {
  checkConsistency,
  checkInclusion,
  hashLeaf,
  inclusionNodes,
  TILE_WIDTH,
  type TileCoordinate,
  tilePath,
} from "@lacre/core/merkle";
import { parseCheckpoint } from "@lacre/core/bundle";
import { ByteReader, equalBytes, fromBase64, toBase64 } from "@lacre/core/bytes";
import { generateKey, importPrivateKey, type PrivateKey, sha256, signMessage } from "@lacre/core/crypto";
import {
  authorityFields,
  type Certificate,
  type CertificateFields,
  checkSct,
  decodeCertificate,
  encodeName,
  issuerKeyHash,
  loggedTbs,
  POISON,
  prepareCertificate,
  prepareLoggedCertificate,
  preparePrecertificate,
  rootFields,
  sctListExtension,
  signerFields,
  signUnsigned,
  type Sct,
} from "@lacre/core/x509";
import type { FastifyInstance } from "fastify";
import fc from "fast-check";
import { createHierarchy, ES256, type Hierarchy } from "../../../../test/issuance.ts";
import { createEdge } from "../edge/index.ts";
import { createMemoryAnchor, type Log, openLog } from "../engine/index.ts";
import { ServiceError } from "../errors.ts";
import { createMemoryBlobStore } from "../store/index.ts";
import {
  createCtCheckpointSigner,
  createCtService,
  CT_PERSONALITY,
  ctNoteKeyId,
  registerCt,
  treeHeadSignedData,
} from "./index.ts";
import { type CtEntry, decodeEntry, encodeEntry } from "./entry.ts";

const scratch = mkdtempSync(join(tmpdir(), "lacre-ct-"));
const opened: Log[] = [];
after(async () => {
  for (const log of opened) await log.close();
  rmSync(scratch, { recursive: true });
});

const CA = createHierarchy();
const SIGNER = generateKey("P-256");
let serial = 1;

interface Bed {
  readonly app: FastifyInstance;
  readonly log: Log;
  readonly key: PrivateKey;
  readonly logId: Uint8Array;
  readonly now: { ms: number };
}

const fixed = generateKey("P-256");
let beds = 0;
async function bed(
  options: { dir?: string; roots?: readonly Certificate[]; blobs?: ReturnType<typeof createMemoryBlobStore> } = {},
): Promise<Bed> {
  const key = importPrivateKey(fixed.pkcs8);
  const logId = sha256(key.publicKey.spki);
  const sign = (message: Uint8Array): Uint8Array => signMessage(ES256, key, message);
  const now = { ms: Date.now() };
  const log = await openLog({
    dir: options.dir ?? join(scratch, `${beds++}`),
    origin: "ct.test",
    personality: CT_PERSONALITY,
    signCheckpoint: createCtCheckpointSigner({ logId, sign }),
    now: () => now.ms,
    anchor: createMemoryAnchor(),
    production: false,
    segmentBytes: 1 << 18,
  });
  opened.push(log);
  const app = createEdge();
  registerCt(
    app,
    createCtService({
      log,
      logId,
      sign,
      roots: options.roots ?? [CA.root],
      blobs: options.blobs ?? createMemoryBlobStore(),
      now: () => now.ms,
    }),
  );
  return { app, log, key, logId, now };
}

function fields(more: { ca?: Hierarchy; value?: string } = {}): CertificateFields {
  const nowMs = Date.now();
  const { issuing } = more.ca ?? CA;
  return signerFields({
    serial: Uint8Array.of(0x10, serial >> 8, serial++ & 0xff),
    publicKey: SIGNER.publicKey,
    notBeforeMs: nowMs,
    notAfterMs: nowMs + 600_000,
    issuer: issuing,
    san: { kind: "email", value: more.value ?? "dev@example.com" },
    identityIssuer: "https://issuer.example",
    claims: new Map(),
  });
}
const precertificate = (of: CertificateFields, ca: Hierarchy = CA): Uint8Array =>
  signUnsigned(preparePrecertificate(of, ES256), ca.issuingKey);

async function submit({ app }: Bed, chain: readonly (Uint8Array | string)[], path = "add-pre-chain") {
  const answer = await app.inject({
    method: "POST",
    url: `/ct/v1/${path}`,
    headers: { "content-type": "application/json" },
    payload: JSON.stringify({ chain: chain.map((item) => (typeof item === "string" ? item : toBase64(item))) }),
  });
  return {
    status: answer.statusCode,
    body: answer.body,
    json: () => answer.json() as { sct_version: number; id: string; timestamp: number; extensions: string; signature: string },
  };
}

function sctOf(json: { id: string; timestamp: number; extensions: string; signature: string }): Sct {
  const signed = new ByteReader(fromBase64(json.signature));
  return {
    logId: fromBase64(json.id),
    timestampMs: json.timestamp,
    extensions: fromBase64(json.extensions),
    hashCode: signed.uint(1),
    signatureCode: signed.uint(1),
    signature: signed.vector(2),
  };
}

test("add-pre-chain: the promise verifies, and its entry is under the published checkpoint", async () => {
  const it = await bed();
  const of = fields();
  const pre = precertificate(of);
  const answer = await submit(it, [pre, CA.issuing.der, CA.root.der]);
  assert.equal(answer.status, 200, answer.body);
  const json = answer.json();
  assert.deepEqual(Object.keys(json), ["sct_version", "id", "timestamp", "extensions", "signature"]);
  assert.deepEqual([json.sct_version, json.extensions, json.timestamp], [0, "", it.now.ms]);
  assert.equal(json.id, toBase64(it.logId));
  const logged = { tbs: loggedTbs(decodeCertificate(pre).tbs), issuerKeyHash: issuerKeyHash(CA.issuing) };
  checkSct({ sct: sctOf(json), logged, log: { logId: it.logId, key: it.key.publicKey } });
  // The certificate made of the same fields is the one that is promised.
  const final = decodeCertificate(signUnsigned(prepareLoggedCertificate(of, ES256, [sctOf(json)]), CA.issuingKey));
  assert.ok(equalBytes(loggedTbs(final.tbs), logged.tbs));

  const { size, root } = parseCheckpoint((await it.app.inject("/ct/checkpoint")).body);
  assert.equal(size, 1n);
  const record = encodeEntry({
    kind: "precertificate",
    timestampMs: json.timestamp,
    ...logged,
    precertificate: pre,
    issuers: [sha256(CA.issuing.der), sha256(CA.root.der)],
  });
  assert.ok(equalBytes((await it.app.inject("/ct/tile/data/000.p/1")).rawPayload, record));
  checkInclusion(sha256, { index: 0n, size, leafHash: hashLeaf(sha256, tileLeafInput(record)), proof: [], root });
});

test("the bytes that are signed are those of RFC 6962, built here by hand", async () => {
  const it = await bed();
  const pre = precertificate(fields());
  const json = (await submit(it, [pre, CA.issuing.der, CA.root.der])).json();
  const tbs = Buffer.from(loggedTbs(decodeCertificate(pre).tbs));
  const head = Buffer.alloc(12);
  head.writeBigUInt64BE(BigInt(json.timestamp), 2);
  head.writeUInt16BE(1, 10);
  const length = Buffer.from([tbs.length >> 16, (tbs.length >> 8) & 0xff, tbs.length & 0xff]);
  const signed = Buffer.concat([head, createHash("sha256").update(CA.issuing.spki).digest(), length, tbs, Buffer.from([0, 0])]);
  const signature = Buffer.from(json.signature, "base64");
  assert.deepEqual([...signature.subarray(0, 2)], [4, 3]);
  assert.equal(signature.readUInt16BE(2), signature.length - 4);
  assert.ok(
    nodeVerify(
      "sha256",
      signed,
      createPublicKey({ key: Buffer.from(it.key.publicKey.spki), format: "der", type: "spki" }),
      signature.subarray(4),
    ),
  );
});

test("add-chain: a final certificate is an entry of its own, with its own promise", async () => {
  const it = await bed();
  const of = fields();
  const pre = await submit(it, [precertificate(of), CA.issuing.der]);
  const final = signUnsigned(prepareLoggedCertificate(of, ES256, [sctOf(pre.json())]), CA.issuingKey);
  const answer = await submit(it, [final, CA.issuing.der], "add-chain");
  assert.equal(answer.status, 200, answer.body);
  const sct = sctOf(answer.json());
  const leaf = Buffer.concat([
    Buffer.alloc(12),
    Buffer.from([final.length >> 16, (final.length >> 8) & 0xff, final.length & 0xff]),
    final,
    Buffer.from([0, 0]),
  ]);
  leaf.writeBigUInt64BE(BigInt(sct.timestampMs), 2);
  assert.ok(
    nodeVerify(
      "sha256",
      leaf,
      createPublicKey({ key: Buffer.from(it.key.publicKey.spki), format: "der", type: "spki" }),
      sct.signature,
    ),
  );
  assert.equal(it.log.size, 2);
});

test("the root may be left out, and is then named by the entry all the same", async () => {
  const it = await bed();
  await submit(it, [precertificate(fields()), CA.issuing.der]);
  const entry = decodeEntry((await it.app.inject("/ct/tile/data/000.p/1")).rawPayload);
  assert.deepEqual(
    entry.issuers.map((print) => Buffer.from(print).toString("hex")),
    [CA.issuing, CA.root].map((issuer) => createHash("sha256").update(issuer.der).digest("hex")),
  );
  for (const issuer of [CA.issuing, CA.root]) {
    const answer = await it.app.inject(`/ct/issuer/${createHash("sha256").update(issuer.der).digest("hex")}`);
    assert.deepEqual([answer.statusCode, answer.headers["content-type"]], [200, "application/pkix-cert"]);
    assert.ok(equalBytes(answer.rawPayload, issuer.der));
  }
});

test("the same precertificate again, later, by another chain, or at the same time gets the same promise", async () => {
  const it = await bed();
  const pre = precertificate(fields());
  const both = await Promise.all([submit(it, [pre, CA.issuing.der]), submit(it, [pre, CA.issuing.der, CA.root.der])]);
  it.now.ms += 5000;
  // The issuer's signature differs, the content does not: still the same entry.
  const again = await submit(it, [precertificate({ ...fields() }), CA.issuing.der]);
  const third = await submit(it, [pre, CA.issuing.der, CA.root.der]);
  assert.equal(both[0]!.body, both[1]!.body);
  assert.equal(third.body, both[0]!.body);
  assert.notEqual(again.json().timestamp, third.json().timestamp);
  assert.equal(it.log.size, 2);
});

test("a second precertificate of the same content is the same entry whatever its signature", async () => {
  const it = await bed();
  const of = fields();
  const first = await submit(it, [precertificate(of), CA.issuing.der]);
  const second = await submit(it, [precertificate(of), CA.issuing.der]);
  assert.equal(second.body, first.body);
  assert.equal(it.log.size, 1);
});

test("after a restart the promise is the same statement, signed anew", async () => {
  const dir = join(scratch, "restart");
  const before = await bed({ dir });
  const pre = precertificate(fields());
  const first = sctOf((await submit(before, [pre, CA.issuing.der])).json());
  await before.log.close();
  const later = await bed({ dir });
  later.now.ms += 60_000;
  const second = sctOf((await submit(later, [pre, CA.issuing.der])).json());
  assert.equal(second.timestampMs, first.timestampMs);
  checkSct({
    sct: second,
    logged: { tbs: loggedTbs(decodeCertificate(pre).tbs), issuerKeyHash: issuerKeyHash(CA.issuing) },
    log: { logId: later.logId, key: later.key.publicKey },
  });
  assert.equal(later.log.size, 1);
});

test("times do not go back although the clock does", async () => {
  const it = await bed();
  const first = (await submit(it, [precertificate(fields()), CA.issuing.der])).json().timestamp;
  it.now.ms -= 3_600_000;
  assert.equal((await submit(it, [precertificate(fields()), CA.issuing.der])).json().timestamp, first);
});

test("the checkpoint is a note whose signature is that of a tree head, of the log's name and key", async () => {
  const it = await bed();
  await submit(it, [precertificate(fields()), CA.issuing.der]);
  const answer = await it.app.inject("/ct/checkpoint");
  assert.deepEqual([answer.headers["content-type"], answer.headers["cache-control"]], ["text/plain; charset=utf-8", "no-cache"]);
  const { origin, size, root, note, extensions } = parseCheckpoint(answer.body);
  assert.deepEqual([origin, size, extensions], ["ct.test", 1n, []]);
  const [line] = note.signatures;
  assert.equal(line!.name, "ct.test");
  const id = createHash("sha256")
    .update(Buffer.concat([Buffer.from("ct.test\n\x05"), it.logId]))
    .digest();
  assert.ok(equalBytes(line!.keyHint, id.subarray(0, 4)));
  assert.ok(equalBytes(ctNoteKeyId("ct.test", it.logId), id));
  const signature = Buffer.from(line!.signature);
  const timeMs = signature.readBigUInt64BE(0);
  assert.deepEqual([signature[8], signature[9], signature.readUInt16BE(10)], [4, 3, signature.length - 12]);
  const head = Buffer.alloc(50);
  head[1] = 1;
  head.writeBigUInt64BE(timeMs, 2);
  head.writeBigUInt64BE(size, 10);
  head.set(root, 18);
  assert.ok(equalBytes(treeHeadSignedData(Number(timeMs), Number(size), root), head));
  assert.ok(
    nodeVerify(
      "sha256",
      head,
      createPublicKey({ key: Buffer.from(it.key.publicKey.spki), format: "der", type: "spki" }),
      signature.subarray(12),
    ),
  );
});

test("a monitor rebuilds the tree from tiles alone", async () => {
  const it = await bed();
  const roots: { size: bigint; root: Uint8Array }[] = [];
  for (const count of [1, 130, 200]) {
    await Promise.all(Array.from({ length: count }, () => submit(it, [precertificate(fields()), CA.issuing.der])));
    const { size, root } = parseCheckpoint((await it.app.inject("/ct/checkpoint")).body);
    roots.push({ size, root });
  }
  const { size, root } = roots.at(-1)!;
  assert.equal(size, 331n);
  const tile = async (coordinate: TileCoordinate) => {
    const answer = await it.app.inject(`/ct/tile/${tilePath(coordinate)}`);
    assert.equal(answer.statusCode, 200);
    assert.equal(answer.headers["content-type"], "application/octet-stream");
    return answer.rawPayload;
  };
  const records = [
    ...CT_PERSONALITY.unframe(await tile({ level: "data", index: 0, width: TILE_WIDTH })),
    ...CT_PERSONALITY.unframe(await tile({ level: "data", index: 1, width: 75 })),
  ];
  assert.equal(records.length, 331);
  const hashes = records.map((record) => hashLeaf(sha256, tileLeafInput(record)));
  assert.ok(equalBytes(Buffer.concat(hashes.slice(256)), await tile({ level: 0, index: 1, width: 75 })));
  const node = (level: number, index: number): Uint8Array =>
    level === 0
      ? hashes[index]!
      : createHash("sha256")
          .update(Buffer.concat([Buffer.from([1]), node(level - 1, 2 * index), node(level - 1, 2 * index + 1)]))
          .digest();
  const { proveInclusion, proveConsistency } = await import("@lacre/core/merkle");
  for (const index of [0, 255, 256, 330]) {
    checkInclusion(sha256, {
      index: BigInt(index),
      size,
      leafHash: hashes[index]!,
      proof: proveInclusion(sha256, index, Number(size), node),
      root,
    });
  }
  for (const old of roots.slice(0, -1))
    checkConsistency(sha256, {
      oldSize: old.size,
      oldRoot: old.root,
      newSize: size,
      newRoot: root,
      proof: proveConsistency(sha256, Number(old.size), Number(size), node),
    });
  assert.ok(inclusionNodes(0, 331).length > 0);
});

test("refuses chains that prove nothing, in words and with status 400", async () => {
  const it = await bed();
  const stranger = createHierarchy(Date.now(), "stranger");
  const twin = createHierarchy(Date.now(), "lacre test");
  const pre = precertificate(fields());
  const of = fields();
  const final = signUnsigned(prepareCertificate(of, ES256), CA.issuingKey);
  const noCritical = signUnsigned(
    prepareCertificate({ ...of, extensions: [...of.extensions, { ...POISON, critical: false }] }, ES256),
    CA.issuingKey,
  );
  const longPoison = signUnsigned(
    prepareCertificate({ ...of, extensions: [...of.extensions, { ...POISON, value: Uint8Array.of(5, 0, 0) }] }, ES256),
    CA.issuingKey,
  );
  const promised = signUnsigned(
    prepareCertificate(
      {
        ...of,
        extensions: [...of.extensions, sctListExtension([sctOf((await submit(it, [pre, CA.issuing.der])).json())]), POISON],
      },
      ES256,
    ),
    CA.issuingKey,
  );
  const words: Record<string, RegExp> = {
    eleven: /longer than 10/,
    "one of a megabyte": /something that is not a certificate/,
    "wrong order": /another name/,
    "another root": /does not lead to an accepted root/,
    "signature changed": /not signed by its issuer/,
  };
  const chains: Record<string, [readonly (Uint8Array | string)[], string?]> = {
    empty: [[]],
    "another root": [[precertificate(fields({ ca: stranger }), stranger), stranger.issuing.der, stranger.root.der]],
    "a root of the same name": [[precertificate(fields({ ca: twin }), twin), twin.issuing.der, CA.root.der]],
    "no issuer": [[pre]],
    "wrong order": [[pre, CA.root.der, CA.issuing.der]],
    "root only": [[pre, CA.root.der]],
    "leaf twice": [[pre, pre, CA.issuing.der]],
    "signature changed": [[Uint8Array.from(pre, (octet, at) => (at === pre.length - 1 ? octet ^ 1 : octet)), CA.issuing.der]],
    "signed by the leaf's own key": [[signUnsigned(preparePrecertificate(fields(), ES256), SIGNER), CA.issuing.der]],
    "certificate as precertificate": [[final, CA.issuing.der]],
    "precertificate as certificate": [[pre, CA.issuing.der], "add-chain"],
    "poison not critical": [[noCritical, CA.issuing.der]],
    "poison with content": [[longPoison, CA.issuing.der]],
    "poison and promise": [[promised, CA.issuing.der]],
    "trailing bytes": [[Buffer.concat([pre, Buffer.from([0])]), CA.issuing.der]],
    "cut off": [[pre.subarray(0, -1), CA.issuing.der]],
    garbage: [["AAAA", CA.issuing.der]],
    "not base64": [["!", CA.issuing.der]],
    base64url: [[Buffer.from(pre).toString("base64url"), CA.issuing.der]],
    eleven: [[pre, ...Array.from({ length: 10 }, () => CA.issuing.der)]],
    "one of a megabyte": [[Buffer.alloc(300_000), CA.issuing.der]],
  };
  const size = it.log.size;
  for (const [name, [chain, path]] of Object.entries(chains)) {
    const { status, body } = await submit(it, chain, path);
    assert.equal(status, 400, `${name}: ${body}`);
    assert.match(body, words[name] ?? /^Bad Request\n.+\n$/, name);
  }
  assert.equal(it.log.size, size, "nothing of it was logged");
});

test("refuses issuers that are no authorities, or allow no path this long", async () => {
  const rootKey = generateKey("P-256");
  const common = { notBeforeMs: Date.now() - 1000, notAfterMs: Date.now() + 1e9 };
  const root = decodeCertificate(
    signUnsigned(
      prepareCertificate(
        rootFields({
          ...common,
          serial: Uint8Array.of(1),
          publicKey: rootKey.publicKey,
          subject: encodeName({ O: "x", CN: "root" }),
        }),
        ES256,
      ),
      rootKey,
    ),
  );
  const middleKey = generateKey("P-256");
  const middle = decodeCertificate(
    signUnsigned(
      prepareCertificate(
        authorityFields({
          ...common,
          serial: Uint8Array.of(2),
          publicKey: middleKey.publicKey,
          issuer: root,
          subject: encodeName({ O: "x", CN: "middle" }),
          purpose: "codeSigning",
        }),
        ES256,
      ),
      rootKey,
    ),
  );
  const lowKey = generateKey("P-256");
  const low = decodeCertificate(
    signUnsigned(
      prepareCertificate(
        authorityFields({
          ...common,
          serial: Uint8Array.of(3),
          publicKey: lowKey.publicKey,
          issuer: middle,
          subject: encodeName({ O: "x", CN: "low" }),
          purpose: "codeSigning",
        }),
        ES256,
      ),
      middleKey,
    ),
  );
  const it = await bed({ roots: [root] });
  const under = (issuer: Certificate, key: PrivateKey): Uint8Array =>
    signUnsigned(
      preparePrecertificate(
        signerFields({
          ...common,
          serial: Uint8Array.of(4, serial++ & 0x7f),
          publicKey: SIGNER.publicKey,
          issuer,
          san: { kind: "email", value: "a@b.c" },
          identityIssuer: "https://i.example",
          claims: new Map(),
        }),
        ES256,
      ),
      key,
    );
  assert.equal((await submit(it, [under(middle, middleKey), middle.der])).status, 200);
  const long = await submit(it, [under(low, lowKey), low.der, middle.der]);
  assert.deepEqual([long.status, /longer than an issuer allows/.test(long.body)], [400, true], long.body);
  const leafAsIssuer = decodeCertificate(
    signUnsigned(
      prepareCertificate({ ...fields(), issuer: middle.subject, subject: encodeName({ O: "x", CN: "leaf" }) }, ES256),
      middleKey,
    ),
  );
  const byLeaf = signUnsigned(preparePrecertificate({ ...fields(), issuer: leafAsIssuer.subject }, ES256), SIGNER);
  assert.equal((await submit(it, [byLeaf, leafAsIssuer.der, middle.der])).status, 400);
});

test("refuses bodies that are too large, too deep or ambiguous, and tells methods apart", async () => {
  const it = await bed();
  const post = (payload: string | Buffer) => it.app.inject({ method: "POST", url: "/ct/v1/add-pre-chain", payload });
  assert.equal((await post(Buffer.alloc(512 * 1024 + 1, 0x20))).statusCode, 413);
  for (const body of [
    "",
    "{",
    "[]",
    "null",
    '{"chain":1}',
    '{"chain":[1]}',
    '{"chain":[null]}',
    '{"chain":["AA"],"chain":["AA"]}',
    `{"chain":${"[".repeat(10)}${"]".repeat(10)}}`,
    "{}",
  ]) {
    assert.equal((await post(body)).statusCode, 400, body);
  }
  const get = await it.app.inject("/ct/v1/add-pre-chain");
  assert.deepEqual([get.statusCode, get.headers["content-type"]], [405, "text/plain; charset=utf-8"]);
});

test("lists its roots; answers for tiles and issuers that it has, and for no other path", async () => {
  const it = await bed();
  assert.deepEqual((await it.app.inject("/ct/v1/get-roots")).json(), { certificates: [toBase64(CA.root.der)] });
  await submit(it, [precertificate(fields()), CA.issuing.der]);
  for (const path of ["/ct/tile/0/001", "/ct/tile/0/000.p/2", "/ct/tile/data/000", `/ct/issuer/${"0".repeat(64)}`]) {
    const answer = await it.app.inject(path);
    assert.deepEqual([answer.statusCode, answer.headers["cache-control"]], [404, "no-cache"], path);
  }
  for (const path of [
    "/ct/tile/entries/000.p/1",
    "/ct/tile/0/0",
    "/ct/tile/x/000",
    "/ct/tile/0/000.p/256",
    "/ct/tile/..%2fcheckpoint",
    "/ct/issuer/..%2f..%2flock",
    "/ct/issuer/ABC",
    `/ct/issuer/${"A".repeat(64)}`,
  ]) {
    assert.equal((await it.app.inject(path)).statusCode, 400, path);
  }
});

test("refuses issuers with critical extensions that are not processed", async () => {
  const middleKey = generateKey("P-256");
  const common = { notBeforeMs: CA.root.notBeforeMs, notAfterMs: CA.root.notAfterMs };
  const plain = authorityFields({
    ...common,
    serial: Uint8Array.of(2),
    publicKey: middleKey.publicKey,
    issuer: CA.root,
    subject: encodeName({ O: "x", CN: "middle" }),
    purpose: "codeSigning",
  });
  const it = await bed();
  for (const [oid, critical, status] of [
    ["1.2.3.4", true, 400],
    ["1.2.3.4", false, 200],
    ["2.5.29.30", true, 400],
    ["2.5.29.30", false, 400],
  ] as const) {
    const middle = decodeCertificate(
      signUnsigned(
        prepareCertificate(
          { ...plain, extensions: [...plain.extensions, { oid, critical, value: Uint8Array.of(0x30, 0) }] },
          ES256,
        ),
        CA.rootKey,
      ),
    );
    const pre = signUnsigned(preparePrecertificate({ ...fields(), issuer: middle.subject }, ES256), middleKey);
    assert.equal((await submit(it, [pre, middle.der])).status, status, `${oid} ${critical}`);
  }
});

test("an issuer that is not yet durable is no promise", async () => {
  const inner = createMemoryBlobStore();
  const it = await bed({
    blobs: {
      ...inner,
      flush: async () => {
        throw new ServiceError("STORE_FAILED");
      },
    },
  });
  assert.equal((await submit(it, [precertificate(fields()), CA.issuing.der])).status, 500);
  assert.equal(it.log.size, 0);
});

test("an issuer that cannot be stored is no promise, and is tried again", async () => {
  const inner = createMemoryBlobStore();
  let broken = true;
  const blobs = {
    ...inner,
    putImmutable: async (name: string, bytes: Uint8Array) => {
      if (broken) throw new ServiceError("DISK_FULL");
      await inner.putImmutable(name, bytes);
    },
  };
  const it = await bed({ blobs });
  const pre = precertificate(fields());
  assert.equal((await submit(it, [pre, CA.issuing.der])).status, 500);
  assert.equal(it.log.size, 0, "nothing was logged");
  broken = false;
  assert.equal((await submit(it, [pre, CA.issuing.der])).status, 200);
});

test("a log that has stopped promises nothing", async () => {
  const it = await bed();
  await it.log.close();
  const answer = await submit(it, [precertificate(fields()), CA.issuing.der]);
  assert.equal(answer.status, 503, answer.body);
});

const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const entries = fc.oneof(
  fc.record({
    kind: fc.constant("certificate" as const),
    timestampMs: fc.nat(),
    issuers: fc.array(bytes(32), { maxLength: 4 }),
    certificate: fc.uint8Array({ maxLength: 300 }),
  }),
  fc.record({
    kind: fc.constant("precertificate" as const),
    timestampMs: fc.nat(),
    issuers: fc.array(bytes(32), { maxLength: 4 }),
    issuerKeyHash: bytes(32),
    tbs: fc.uint8Array({ maxLength: 300 }),
    precertificate: fc.uint8Array({ maxLength: 300 }),
  }),
);

test("entries come back from a data tile as they went in, one by one", () => {
  fc.assert(
    fc.property(fc.array(entries, { maxLength: 8 }), (list) => {
      const records = list.map((entry) => encodeEntry(entry as CtEntry));
      const back = CT_PERSONALITY.unframe(Buffer.concat(records.map(CT_PERSONALITY.frame)));
      assert.deepEqual(
        back.map((record) => Buffer.from(record)),
        records.map((record) => Buffer.from(record)),
      );
      back.forEach((record, at) => assert.deepEqual({ ...decodeEntry(Uint8Array.from(record)) }, { ...list[at] }));
    }),
  );
});

test("an entry's identity is everything but its time, its chain and its precertificate's signature", () => {
  const base: CtEntry = {
    kind: "precertificate",
    timestampMs: 1,
    issuers: [],
    issuerKeyHash: Buffer.alloc(32, 1),
    tbs: Buffer.from("tbs"),
    precertificate: Buffer.from("pre"),
  };
  const id = (entry: CtEntry): string => Buffer.from(CT_PERSONALITY.identity(encodeEntry(entry))).toString("hex");
  assert.equal(id({ ...base, timestampMs: 2, issuers: [Buffer.alloc(32)], precertificate: Buffer.from("other") }), id(base));
  assert.notEqual(id({ ...base, issuerKeyHash: Buffer.alloc(32, 2) }), id(base));
  assert.notEqual(id({ ...base, tbs: Buffer.from("tbs2") }), id(base));
  assert.notEqual(id({ kind: "certificate", timestampMs: 1, issuers: [], certificate: Buffer.from("tbs") }), id(base));
});

test("a damaged data tile is damage of the log, not an exception of the runtime", () => {
  const record = encodeEntry({ kind: "certificate", timestampMs: 1, issuers: [Buffer.alloc(32)], certificate: Buffer.from("c") });
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(record.length), (noise, at) => {
      for (const bundle of [noise, record.subarray(0, at), Buffer.concat([record, noise])]) {
        try {
          CT_PERSONALITY.unframe(bundle);
        } catch (error) {
          assert.ok(error instanceof ServiceError && error.code === "LOG_DAMAGED", String(error));
        }
      }
    }),
  );
});
