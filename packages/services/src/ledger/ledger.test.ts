// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { createHash, createPublicKey, generateKeyPairSync, sign, verify, type KeyObject } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import fc from "fast-check";
import { decodeLogEntry, noteKeyId, signCheckpoint } from "@lacre/core/bundle";
import { JsonObject, pae, parseJson } from "@lacre/core/codec";
import { algorithmOf, generateKey, sha256, signMessage } from "@lacre/core/crypto";
import { checkConsistency, checkInclusion, hashLeaf } from "@lacre/core/merkle";
import { encodeName, prepareCertificate, signUnsigned } from "@lacre/core/x509";
import { createEdge } from "../edge/index.ts";
import { createMemoryAnchor, openLog, type Log } from "../engine/index.ts";
import { ServiceError } from "../errors.ts";
import { admit, createLedgerService, createVerification, LEDGER_PERSONALITY, registerLedger } from "./index.ts";

const ORIGIN = "ledger.test.lacre.localhost";
const dir = mkdtempSync(join(tmpdir(), "lacre-ledger-"));
const logKey = generateKey("Ed25519");
const app = createEdge();
const verification = createVerification({ threads: 0 });
let log: Log;
before(async () => {
  log = await openLog({
    dir,
    origin: ORIGIN,
    personality: LEDGER_PERSONALITY,
    signCheckpoint: ({ size, root }) => signCheckpoint({ origin: ORIGIN, name: ORIGIN, size: BigInt(size), root, key: logKey }),
    now: Date.now,
    anchor: createMemoryAnchor(),
    production: false,
  });
  registerLedger(app, createLedgerService({ log, logId: noteKeyId(ORIGIN, logKey.publicKey), verification }));
});
after(async () => {
  await app.close();
  await log.close();
  rmSync(dir, { recursive: true, force: true });
});

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64");
const digestOf = (hash: string, data: Uint8Array): Buffer => createHash(hash).update(data).digest();
interface Signer {
  readonly privateKey: KeyObject;
  readonly spki: Buffer;
  readonly hash: string;
  readonly keyDetails: string;
}
function signer(keyDetails: string, hash: string, pair: { privateKey: KeyObject; publicKey: KeyObject }): Signer {
  return { privateKey: pair.privateKey, spki: pair.publicKey.export({ format: "der", type: "spki" }), hash, keyDetails };
}
const p256 = signer("PKIX_ECDSA_P256_SHA_256", "sha256", generateKeyPairSync("ec", { namedCurve: "P-256" }));
const SIGNERS: readonly Signer[] = [
  p256,
  signer("PKIX_ECDSA_P384_SHA_384", "sha384", generateKeyPairSync("ec", { namedCurve: "P-384" })),
  signer("PKIX_ECDSA_P521_SHA_512", "sha512", generateKeyPairSync("ec", { namedCurve: "P-521" })),
  signer("PKIX_RSA_PKCS1V15_2048_SHA256", "sha256", generateKeyPairSync("rsa", { modulusLength: 2048 })),
];

/** A hashedrekord request as a client makes it. */
function request(
  data: Uint8Array,
  by: Signer = p256,
): { hashedRekordRequestV002: { digest: string; signature: { content: string; verifier: Record<string, unknown> } } } {
  return {
    hashedRekordRequestV002: {
      digest: base64(digestOf(by.hash, data)),
      signature: {
        content: base64(sign(by.hash, data, by.privateKey)),
        verifier: { publicKey: { rawBytes: base64(by.spki) }, keyDetails: by.keyDetails },
      },
    },
  };
}
function dsse(
  payload: Uint8Array,
  payloadType = "application/vnd.in-toto+json",
): { dsseRequestV002: { envelope: object; verifiers: object[] } } {
  const sig = base64(sign("sha256", pae(payloadType, payload), p256.privateKey));
  return {
    dsseRequestV002: {
      envelope: { payload: base64(payload), payloadType, signatures: [{ sig, keyid: "" }] },
      verifiers: [{ publicKey: { rawBytes: base64(p256.spki) }, keyDetails: p256.keyDetails }],
    },
  };
}
let counter = 0;
const fresh = (): Buffer => Buffer.from(`artifact ${counter++}`);
const post = (body: string | object) =>
  app.inject({ method: "POST", url: "/api/v2/log/entries", payload: typeof body === "string" ? body : JSON.stringify(body) });

/** Checks an answer as a stranger would: the note by Node's own crypto, the proof by arithmetic, the body by eye. */
function checkAnswer(text: string): ReturnType<typeof decodeLogEntry> {
  assert.match(text, /^[ -~]+$/, "the answer is ASCII");
  const json = JSON.parse(text);
  assert.deepEqual(
    Object.keys(json)
      .filter((name) => name !== "inclusionPromise")
      .toSorted(),
    ["canonicalizedBody", "inclusionProof", "integratedTime", "kindVersion", "logId", "logIndex"],
  );
  assert.deepEqual(
    [typeof json.logIndex, json.integratedTime, json.inclusionPromise ?? null, json.logIndex],
    ["string", "0", null, json.inclusionProof.logIndex],
  );
  const entry = decodeLogEntry(new JsonObject(parseJson(text), "entry"));
  const proof = entry.inclusionProof!;
  const [origin, size, root, blank, line] = proof.checkpoint.split("\n") as [string, string, string, string, string];
  assert.deepEqual([origin, size, root, blank], [ORIGIN, String(proof.treeSize), base64(proof.rootHash), ""]);
  const match = /^\u2014 (\S+) (\S+)$/.exec(line)!;
  const blob = Buffer.from(match[2]!, "base64");
  assert.deepEqual([match[1], blob.subarray(0, 4)], [ORIGIN, Buffer.from(entry.logId.subarray(0, 4))]);
  const key = createPublicKey({ key: Buffer.from(logKey.publicKey.spki), format: "der", type: "spki" });
  assert.ok(verify(null, Buffer.from(`${origin}\n${size}\n${root}\n`), key, blob.subarray(4)), "the checkpoint is signed");
  checkInclusion(sha256, {
    index: entry.logIndex,
    size: proof.treeSize,
    leafHash: hashLeaf(sha256, entry.canonicalizedBody),
    proof: proof.hashes,
    root: proof.rootHash,
  });
  return entry;
}

test("logs an entry of every permitted key kind and answers 201 with a proof that holds", async () => {
  for (const by of SIGNERS) {
    const data = fresh();
    const sent = request(data, by);
    const answer = await post(sent);
    assert.equal(answer.statusCode, 201, answer.body);
    const entry = checkAnswer(answer.body);
    const { digest, signature } = sent.hashedRekordRequestV002;
    const algorithm = { sha256: "SHA2_256", sha384: "SHA2_384", sha512: "SHA2_512" }[by.hash];
    assert.equal(
      Buffer.from(entry.canonicalizedBody).toString(),
      `{"apiVersion":"0.0.2","kind":"hashedrekord","spec":{"hashedRekordV002":{"data":{"algorithm":"${algorithm}","digest":"${digest}"},"signature":{"content":"${signature.content}","verifier":{"keyDetails":"${by.keyDetails}","publicKey":{"rawBytes":"${base64(by.spki)}"}}}}}}`,
    );
  }
});

test("logs an attestation as the kind that was asked for", async () => {
  const payload = Buffer.from('{"_type":"https://in-toto.io/Statement/v1"}');
  const answer = await post(dsse(payload));
  assert.equal(answer.statusCode, 201, answer.body);
  const entry = checkAnswer(answer.body);
  assert.deepEqual([entry.kind, entry.version], ["dsse", "0.0.2"]);
  assert.equal(
    JSON.parse(Buffer.from(entry.canonicalizedBody).toString()).spec.dsseV002.payloadHash.digest,
    base64(digestOf("sha256", payload)),
  );
});

test("reads snake_case names, URL-safe base64 and enum numbers, and logs the same entry", async () => {
  const sent = request(fresh());
  const first = checkAnswer((await post(sent)).body);
  const { digest, signature } = sent.hashedRekordRequestV002;
  const urlSafe = (text: string): string => text.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
  const other = await post({
    hashed_rekord_request_v002: {
      digest: urlSafe(digest),
      signature: {
        content: urlSafe(signature.content),
        verifier: { public_key: { raw_bytes: base64(p256.spki) }, key_details: 5 },
      },
    },
  });
  assert.equal(checkAnswer(other.body).logIndex, first.logIndex);
});

test("a repeated request is 201 with the first entry, a current proof and x-log-index", async () => {
  const sent = request(fresh());
  const first = await post(sent);
  assert.equal(first.headers["x-log-index"], undefined);
  await post(request(fresh()));
  const again = await post(sent);
  const [one, two] = [checkAnswer(first.body), checkAnswer(again.body)];
  assert.deepEqual(
    [again.statusCode, again.headers["x-log-index"], two.logIndex, two.canonicalizedBody],
    [201, String(one.logIndex), one.logIndex, one.canonicalizedBody],
  );
  assert.ok(two.inclusionProof!.treeSize > one.inclusionProof!.treeSize);
});

test("requests for the same entry that are under way together are one entry", async () => {
  const sent = request(fresh());
  const answers = await Promise.all(Array.from({ length: 8 }, () => post(sent)));
  assert.deepEqual(new Set(answers.map((answer) => answer.statusCode)), new Set([201]));
  assert.equal(new Set(answers.map((answer) => checkAnswer(answer.body).logIndex)).size, 1);
});

test("many at once get distinct places under consistent checkpoints", async () => {
  const answers = await Promise.all(Array.from({ length: 40 }, () => post(request(fresh()))));
  const entries = answers.map((answer) => checkAnswer(answer.body));
  assert.equal(new Set(entries.map((entry) => entry.logIndex)).size, 40);
  const index = entries.map((entry) => Number(entry.logIndex));
  assert.equal(Math.max(...index) - Math.min(...index), 39);
});

test("serves checkpoint, tiles and entry bundles that give back the root", async () => {
  const last = checkAnswer((await post(request(fresh()))).body);
  const checkpoint = await app.inject({ url: "/api/v2/checkpoint" });
  assert.deepEqual(
    [checkpoint.statusCode, checkpoint.headers["content-type"], checkpoint.headers["cache-control"]],
    [200, "text/plain; charset=utf-8", "no-cache"],
  );
  const size = Number(checkpoint.body.split("\n")[1]);
  assert.ok(size > Number(last.logIndex));
  const tile = await app.inject({ url: `/api/v2/tile/0/000.p/${size}` });
  assert.deepEqual(
    [tile.statusCode, tile.headers["content-type"], tile.headers["content-encoding"], tile.rawPayload.length],
    [200, "application/octet-stream", undefined, 32 * size],
  );
  assert.match(String(tile.headers["cache-control"]), /immutable/);
  const bundle = await app.inject({ url: `/api/v2/tile/entries/000.p/${size}` });
  const records = LEDGER_PERSONALITY.unframe(bundle.rawPayload);
  assert.equal(records.length, size);
  records.forEach((record, i) =>
    assert.deepEqual(Buffer.from(hashLeaf(sha256, record)), tile.rawPayload.subarray(32 * i, 32 * i + 32)),
  );
  // The root, recomputed by the definition of RFC 6962 section 2.1.
  const root = (leaves: readonly Buffer[]): Buffer => {
    if (leaves.length === 1) return leaves[0]!;
    let half = 1;
    while (half * 2 < leaves.length) half *= 2;
    return createHash("sha256")
      .update(Buffer.of(1))
      .update(root(leaves.slice(0, half)))
      .update(root(leaves.slice(half)))
      .digest();
  };
  assert.equal(
    base64(root(records.map((_, i) => tile.rawPayload.subarray(32 * i, 32 * i + 32)))),
    checkpoint.body.split("\n")[2],
  );
});

test("a malformed tile path is 400, a tile outside the tree 404, and there is no data tile", async () => {
  const status = async (path: string) => (await app.inject({ url: `/api/v2/tile/${path}` })).statusCode;
  for (const path of [
    "0",
    "0/0",
    "0/0000",
    "00/000",
    "64/000",
    "-1/000",
    "0/000.p/0",
    "0/000.p/256",
    "0/000.p/01",
    "0/x000/001",
    "0/x1/000",
    "entries",
    "data/000",
    "x/000",
    "0/000/",
    "0/000.p/",
    "0/000.p/1/2",
  ]) {
    assert.equal(await status(path), path === "0/000/" ? 404 : 400, path);
  }
  for (const path of ["0/001", "1/000.p/1", "0/000", "0/000.p/255", "63/000", "entries/999", "0/x999/x999/x999/x999/999"])
    assert.equal(await status(path), 404, path);
});

const refusal = (message: string) => JSON.stringify({ code: 3, message, details: [] });

test("hostile and wrong requests are 400 in the words of the original", async () => {
  const good = request(Buffer.from("x"));
  const inner = good.hashedRekordRequestV002;
  const verifier = inner.signature.verifier as { publicKey: { rawBytes: string } };
  const hashed = (o: object) => ({ hashedRekordRequestV002: { ...inner, ...o } });
  const signed = (o: object) => hashed({ signature: { ...inner.signature, ...o } });
  const by = (o: object) => signed({ verifier: { ...inner.signature.verifier, ...o } });
  const otherKey = generateKeyPairSync("ec", { namedCurve: "P-256" }).publicKey.export({ format: "der", type: "spki" });
  const weak = generateKeyPairSync("rsa", { modulusLength: 1024 }).publicKey.export({ format: "der", type: "spki" });
  const ed = generateKeyPairSync("ed25519").publicKey.export({ format: "der", type: "spki" });
  const flipped = Buffer.from(inner.signature.content, "base64");
  flipped[flipped.length - 1]! ^= 1;
  const INVALID = "invalid hashedrekord request";
  const cases: [string, object, string][] = [
    ["another digest", hashed({ digest: base64(Buffer.alloc(32, 1)) }), INVALID],
    ["digest of 31 bytes", hashed({ digest: base64(Buffer.alloc(31)) }), INVALID],
    ["flipped signature", signed({ content: base64(flipped) }), INVALID],
    ["empty signature", signed({ content: "" }), INVALID],
    ["raw r and s", signed({ content: base64(Buffer.alloc(64, 1)) }), INVALID],
    ["another key", by({ publicKey: { rawBytes: base64(otherKey) } }), INVALID],
    ["weak RSA", by({ publicKey: { rawBytes: base64(weak) }, keyDetails: "PKIX_RSA_PKCS1V15_2048_SHA256" }), INVALID],
    ["keyDetails of another curve", by({ keyDetails: "PKIX_ECDSA_P384_SHA_384" }), INVALID],
    ["keyDetails not permitted", by({ keyDetails: "PKIX_RSA_PSS_2048_SHA256" }), INVALID],
    ["keyDetails unknown", by({ keyDetails: "constructor" }), INVALID],
    ["pure Ed25519", by({ publicKey: { rawBytes: base64(ed) }, keyDetails: "PKIX_ED25519" }), INVALID],
    ["no key", by({ publicKey: undefined }), INVALID],
    ["key and certificate", by({ x509Certificate: verifier.publicKey }), INVALID],
    ["a key as certificate", by({ publicKey: undefined, x509Certificate: verifier.publicKey }), INVALID],
    ["garbage key", by({ publicKey: { rawBytes: base64(Buffer.alloc(91, 0x30)) } }), INVALID],
    ["truncated key", by({ publicKey: { rawBytes: base64(p256.spki.subarray(0, 80)) } }), INVALID],
    ["unknown member", hashed({ extra: 1 }), INVALID],
    ["unknown inner member", by({ publicKey: { ...verifier.publicKey, url: "http://localhost" } }), INVALID],
    ["no base64", hashed({ digest: "***" }), INVALID],
    ["number for digest", hashed({ digest: 5 }), INVALID],
    ["null", { hashedRekordRequestV002: null }, "invalid type, must be either hashedrekord or dsse"],
    ["empty", {}, "invalid type, must be either hashedrekord or dsse"],
    ["array", [], "invalid type, must be either hashedrekord or dsse"],
    ["another type", { intotoRequest: {} }, "invalid type, must be either hashedrekord or dsse"],
    ["both types", { ...good, ...dsse(Buffer.from("{}")) }, INVALID],
    [
      "dsse without verifiers",
      { dsseRequestV002: { ...dsse(Buffer.from("{}")).dsseRequestV002, verifiers: [] } },
      "invalid dsse request",
    ],
    [
      "dsse of another payload",
      {
        dsseRequestV002: {
          ...dsse(Buffer.from("{}")).dsseRequestV002,
          envelope: dsse(Buffer.from("[]")).dsseRequestV002.envelope,
          verifiers: [{ publicKey: { rawBytes: base64(otherKey) }, keyDetails: p256.keyDetails }],
        },
      },
      "invalid dsse request",
    ],
  ];
  const size = log.health().committed;
  for (const [name, body, message] of cases) {
    const answer = await post(body);
    assert.deepEqual([answer.statusCode, answer.body], [400, refusal(message)], name);
  }
  assert.equal(log.health().committed, size, "nothing was logged");
});

test("text that is no JSON, or is built to hurt, is 400 and says what is wrong", async () => {
  const deep = `${"[".repeat(100_000)}${"]".repeat(100_000)}`;
  for (const [body, saying] of [
    ["", /not JSON/],
    ["{", /not JSON/],
    ["\u00ff", /not JSON/],
    [deep, /nested too deeply/],
    ['{"a":1,"a":2}', /twice/],
    [`{"a":${deep}}`, /nested too deeply/],
    ['{"hashedRekordRequestV002":{},"hashedRekordRequestV002":{}}', /twice/],
  ] as const) {
    const answer = await post(body);
    assert.equal(answer.statusCode, 400);
    assert.match(answer.json().message, saying, body.slice(0, 20));
    assert.equal(answer.json().code, 3);
  }
  assert.equal(
    (await app.inject({ method: "POST", url: "/api/v2/log/entries", payload: Buffer.alloc(5 << 20, 0x20) })).statusCode,
    413,
  );
});

test("an entry that a bundle has no room for is 400", async () => {
  // Certificates of 7 kB each, for one key: ten of them are more than an entry may hold, two are not.
  const key = generateKey("P-256");
  const name = encodeName({ CN: "large" });
  const padding = { oid: "1.2.3.4", critical: false, value: new Uint8Array(7000) };
  const certificate = signUnsigned(
    prepareCertificate(
      {
        serial: Uint8Array.of(1),
        issuer: name,
        subject: name,
        notBeforeMs: 0,
        notAfterMs: 1000,
        publicKey: key.publicKey,
        extensions: [padding],
      },
      algorithmOf(p256.keyDetails),
    ),
    key,
  );
  const entryOf = (count: number) => {
    const payload = Buffer.from(`${count}`);
    const signatures = Array.from({ length: count }, () => ({
      sig: base64(signMessage(algorithmOf(p256.keyDetails), key, pae("t", payload))),
      keyid: "",
    }));
    const verifiers = signatures.map(() => ({ x509Certificate: { rawBytes: base64(certificate) }, keyDetails: p256.keyDetails }));
    return { dsseRequestV002: { envelope: { payload: base64(payload), payloadType: "t", signatures }, verifiers } };
  };
  const fits = await post(entryOf(1));
  assert.equal(fits.statusCode, 201, fits.body);
  const answer = await post(entryOf(10));
  assert.deepEqual([answer.statusCode, answer.body], [400, refusal("entry is too large for the log")]);
  assert.throws(
    () => LEDGER_PERSONALITY.frame(new Uint8Array(65_536)),
    (error) => error instanceof ServiceError && error.code === "ENTRY_TOO_LARGE",
  );
  assert.equal(LEDGER_PERSONALITY.unframe(LEDGER_PERSONALITY.frame(new Uint8Array(65_535)))[0]!.length, 65_535);
});

test("any bytes are an entry or a refusal of ours", () => {
  const seed = Buffer.from(JSON.stringify(request(Buffer.from("x"))));
  const only = (bytes: Uint8Array): void => {
    try {
      admit(bytes);
    } catch (error) {
      if (!(error instanceof ServiceError)) throw error;
    }
  };
  fc.assert(
    fc.property(fc.nat(seed.length - 1), fc.nat(255), (at, value) => {
      const mutated = Buffer.from(seed);
      mutated[at] = value;
      only(mutated);
      only(mutated.subarray(0, at));
    }),
    { numRuns: 500 },
  );
  fc.assert(fc.property(fc.json(), (text) => only(Buffer.from(text))));
});

test("checkpoints seen one after the other are of one history", async () => {
  const records: Buffer[] = [];
  const seen: { size: number; root: Buffer }[] = [];
  for (let i = 0; i < 5; i++) {
    const { inclusionProof } = checkAnswer((await post(request(fresh()))).body);
    seen.push({ size: Number(inclusionProof!.treeSize), root: Buffer.from(inclusionProof!.rootHash) });
  }
  const size = seen.at(-1)!.size;
  const bundle = await app.inject({ url: `/api/v2/tile/entries/000.p/${size}` });
  records.push(...LEDGER_PERSONALITY.unframe(bundle.rawPayload).map((record) => Buffer.from(hashLeaf(sha256, record))));
  const root = (leaves: readonly Buffer[]): Buffer => {
    if (leaves.length === 1) return leaves[0]!;
    const half = 2 ** Math.floor(Math.log2(leaves.length - 1));
    return createHash("sha256")
      .update(Buffer.of(1))
      .update(root(leaves.slice(0, half)))
      .update(root(leaves.slice(half)))
      .digest();
  };
  for (const one of seen) assert.deepEqual(root(records.slice(0, one.size)), one.root);
  assert.throws(() =>
    checkConsistency(sha256, {
      oldSize: BigInt(seen[0]!.size),
      oldRoot: seen[1]!.root,
      newSize: BigInt(size),
      newRoot: seen.at(-1)!.root,
      proof: [],
    }),
  );
});

test("when too much is waiting the answer is 503 with Retry-After", async () => {
  const refusing = createEdge();
  const full = {
    ...log,
    find: async () => undefined,
    append: async () => Promise.reject(new ServiceError("LOG_BUSY", undefined, { headers: { "retry-after": "1" } })),
  } as unknown as Log;
  registerLedger(refusing, createLedgerService({ log: full, logId: new Uint8Array(32), verification }));
  const answer = await refusing.inject({ method: "POST", url: "/api/v2/log/entries", payload: JSON.stringify(request(fresh())) });
  assert.deepEqual(
    [answer.statusCode, answer.headers["retry-after"], answer.body],
    [503, "1", '{"code":14,"message":"reached max pushback; retry","details":[]}'],
  );
});
