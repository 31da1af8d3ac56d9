// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { createHash, X509Certificate } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import { fromHex, toBase64, toHex, utf8 } from "../bytes/index.ts";
import { canonicalJson, formatPem } from "../codec/index.ts";
import { algorithmOf, generateKey, sha256 } from "../crypto/index.ts";
import { LacreError, type LacreCode } from "../errors.ts";
import { hashLeaf } from "../merkle/index.ts";
import { prepareCertificate, signerFields, signUnsigned } from "../x509/index.ts";
import { createWorkshop, SIGNED_MS } from "../../../../test/workshop/workshop.ts";
import { keyPrefix, keysOfCertificateEntry, keysOfEntry, MAX_KEYS, parseSearchKey } from "./keys.ts";
import { anyOf, collectPlaces, type Places } from "./places.ts";
import { INDEX_SHAPE, levelsOf, openIndexRoot, signIndexRoot, type IndexRoot } from "./root.ts";
import { decodePage, lookUp, openPage, pageCounts, pageRange, segmentLength, type Page, type SegmentInfo } from "./segment.ts";
import { SegmentWriter } from "./writer.ts";

function refuses(code: LacreCode, work: () => unknown): void {
  assert.throws(work, (error: unknown) => {
    assert.ok(error instanceof LacreError, String(error));
    return error.code === code;
  });
}

// Keys.

const workshop = createWorkshop();
function certificate(san: { kind: "email" | "uri" | "other"; value: string }, claims: Record<string, string> = {}): Uint8Array {
  const fields = signerFields({
    serial: fromHex("0102030405"),
    publicKey: generateKey("P-256").publicKey,
    issuer: workshop.authority.certificate,
    notBeforeMs: SIGNED_MS,
    notAfterMs: SIGNED_MS + 600_000,
    san,
    identityIssuer: "https://Token.example/Realm",
    claims: new Map(Object.entries(claims)),
  });
  return signUnsigned(prepareCertificate(fields, algorithmOf("PKIX_ECDSA_P256_SHA_256")), workshop.authority.key);
}

const DIGEST = "ab".repeat(32);
function entry2(der: Uint8Array): Uint8Array {
  return utf8(
    canonicalJson({
      apiVersion: "0.0.2",
      kind: "hashedrekord",
      spec: {
        hashedRekordV002: {
          data: { algorithm: "SHA2_256", digest: toBase64(fromHex(DIGEST)) },
          signature: {
            content: "AAAA",
            verifier: { keyDetails: "PKIX_ECDSA_P256_SHA_256", x509Certificate: { rawBytes: toBase64(der) } },
          },
        },
      },
    }),
  );
}
function entry1(pem: string): Uint8Array {
  return utf8(
    canonicalJson({
      apiVersion: "0.0.1",
      kind: "hashedrekord",
      spec: {
        data: { hash: { algorithm: "sha256", value: DIGEST } },
        signature: { content: "AAAA", publicKey: { content: toBase64(utf8(pem)) } },
      },
    }),
  );
}
const keysOf = (body: Uint8Array, payload?: Uint8Array): readonly string[] => keysOfEntry(body, hashLeaf(sha256, body), payload);
const hex = (bytes: Uint8Array | string): string => createHash("sha256").update(bytes).digest("hex");

test("an entry is found by its leaf, digest, signer's certificate and key, name and issuer", () => {
  const der = certificate({ kind: "email", value: "Ann@Mail.Example.com" });
  const node = new X509Certificate(der);
  const body = entry2(der);
  assert.deepEqual(
    keysOf(body).toSorted(),
    [
      `leaf:${hex(Buffer.concat([Buffer.of(0), body]))}`,
      `digest:sha256:${DIGEST}`,
      `certificate:${node.fingerprint256.replaceAll(":", "").toLowerCase()}`,
      `key:${hex(node.publicKey.export({ type: "spki", format: "der" }))}`,
      "identity:ann@mail.example.com",
      "domain:mail.example.com",
      "domain:example.com",
      "issuer:https://token.example/realm",
    ].toSorted(),
  );
});

test("an entry that holds PEM is found by it too, as Rekor v1 files it", () => {
  const der = certificate({ kind: "email", value: "ann@example.com" });
  assert.ok(keysOf(entry1(formatPem("CERTIFICATE", der))).includes(`pem:${hex(new X509Certificate(der).toString())}`));
  const { spki } = generateKey("P-256").publicKey;
  const keys = keysOf(entry1(formatPem("PUBLIC KEY", spki)));
  assert.deepEqual(
    keys.filter((key) => !key.startsWith("leaf")),
    [`digest:sha256:${DIGEST}`, `key:${hex(spki)}`, `pem:${hex(formatPem("PUBLIC KEY", spki))}`],
  );
  assert.ok(!keysOf(entry2(der)).some((key) => key.startsWith("pem")));
});

test("URIs are found by origin, organisation, repository, project, and without their ref", () => {
  const under = (value: string, claims = {}): readonly string[] =>
    keysOf(entry2(certificate({ kind: "uri", value }, claims)))
      .filter((key) => key.startsWith("under:"))
      .map((key) => key.slice(6));
  assert.deepEqual(under("https://github.com/Acme/Tool/.github/workflows/release.yml@refs/heads/a@b"), [
    "https://github.com",
    "https://github.com/acme",
    "https://github.com/acme/tool",
    "https://github.com/acme/tool/.github/workflows/release.yml",
  ]);
  assert.deepEqual(under("https://gitlab.example:8443/group/sub/project//.gitlab-ci.yml@refs/tags/v1"), [
    "https://gitlab.example:8443",
    "https://gitlab.example:8443/group",
    "https://gitlab.example:8443/group/sub",
    "https://gitlab.example:8443/group/sub/project",
    "https://gitlab.example:8443/group/sub/project//.gitlab-ci.yml",
  ]);
  assert.deepEqual(under("spiffe://trust.example/ns/prod/sa/x"), [
    "spiffe://trust.example",
    "spiffe://trust.example/ns",
    "spiffe://trust.example/ns/prod",
    "spiffe://trust.example/ns/prod/sa/x",
  ]);
  assert.deepEqual(under("urn:example:thing"), []);
  assert.deepEqual(under("https://host.example"), ["https://host.example"]);
  // A reusable workflow signs under its own name; the repository that was built is a claim.
  assert.ok(
    under("https://github.com/shared/flows/.github/workflows/x.yml@v1", {
      sourceRepositoryURI: "https://github.com/Acme/built",
    }).includes("https://github.com/acme/built"),
  );
});

test("envelopes are found by payload and envelope hash; kept statements by subjects and materials, if they are the entry's", () => {
  const dsse = utf8(
    canonicalJson({
      apiVersion: "0.0.1",
      kind: "dsse",
      spec: {
        envelopeHash: { algorithm: "sha256", value: "cd".repeat(32) },
        payloadHash: { algorithm: "sha256", value: "ef".repeat(32) },
        signatures: [],
      },
    }),
  );
  assert.deepEqual(keysOf(dsse).slice(1), [`digest:sha256:${"ef".repeat(32)}`, `digest:sha256:${"cd".repeat(32)}`]);
  const payload = utf8(
    JSON.stringify({
      _type: "https://in-toto.io/Statement/v1",
      predicateType: "x",
      subject: [{ name: "a", digest: { sha256: "11".repeat(32), SHA512: "22".repeat(64) } }],
      predicate: { materials: [{ digest: { gitCommit: "33".repeat(20) } }, { uri: "none" }, 7] },
    }),
  );
  const intoto = (payloadHash: string): Uint8Array =>
    utf8(
      canonicalJson({
        apiVersion: "0.0.2",
        kind: "intoto",
        spec: {
          content: {
            envelope: { payloadType: "application/vnd.in-toto+json", signatures: [] },
            hash: { algorithm: "sha256", value: DIGEST },
            payloadHash: { algorithm: "sha256", value: payloadHash },
          },
        },
      }),
    );
  const keys = keysOf(intoto(hex(payload)), payload);
  for (const key of [
    `digest:sha256:${"11".repeat(32)}`,
    `digest:sha512:${"22".repeat(64)}`,
    `digest:gitcommit:${"33".repeat(20)}`,
  ])
    assert.ok(keys.includes(key), key);
  assert.deepEqual(keysOf(intoto(DIGEST), payload), keysOf(intoto(DIGEST)));
  assert.deepEqual(keysOf(intoto(hex(payload))).length + 3, keys.length);
});

test("whatever the octets, there are keys, never an exception, and not too many", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      assert.deepEqual(keysOf(bytes), [`leaf:${toHex(hashLeaf(sha256, bytes))}`]);
      assert.deepEqual(keysOfCertificateEntry(bytes, new Uint8Array(32)).length, 1);
    }),
  );
  const payload = utf8(
    JSON.stringify({
      _type: "https://in-toto.io/Statement/v1",
      predicateType: "x",
      predicate: {},
      subject: Array.from({ length: 600 }, (_, at) => ({ name: `${at}`, digest: { sha256: hex(`${at}`), other: `${at}` } })),
    }),
  );
  const body = utf8(
    canonicalJson({
      apiVersion: "0.0.2",
      kind: "intoto",
      spec: {
        content: {
          envelope: { payloadType: "application/vnd.in-toto+json", signatures: [] },
          hash: { algorithm: "sha256", value: DIGEST },
          payloadHash: { algorithm: "sha256", value: hex(payload) },
        },
      },
    }),
  );
  assert.equal(keysOf(body, payload).length, MAX_KEYS);
});

test("an entry of a CT log is found by certificate, key, serial, names and issuer", () => {
  const der = certificate({ kind: "email", value: "ann@example.com" });
  const u24 = (bytes: Uint8Array): Uint8Array => Buffer.concat([Buffer.of(0, bytes.length >> 8, bytes.length & 255), bytes]);
  const tileLeaf = Buffer.concat([
    Buffer.alloc(8, 1),
    Buffer.of(0, 0),
    u24(der),
    Buffer.of(0, 0),
    Buffer.of(0, 32),
    Buffer.alloc(32),
  ]);
  const keys = keysOfCertificateEntry(tileLeaf, new Uint8Array(32));
  for (const key of [
    `certificate:${hex(der)}`,
    "serial:0102030405",
    "identity:ann@example.com",
    "domain:example.com",
    "issuer:https://token.example/realm",
  ])
    assert.ok(keys.includes(key), key);
});

test("keys are read in the ways people write them, and no others", () => {
  const spelled: [string, string][] = [
    ["email:You@Example.com", "identity:you@example.com"],
    ["uri:https://X/", "identity:https://x/"],
    ["identity:Robot", "identity:robot"],
    ["domain:@Example.com.", "domain:example.com"],
    ["repository:https://github.com/Acme/Tool/", "under:https://github.com/acme/tool"],
    [`digest:${DIGEST.toUpperCase()}`, `digest:sha256:${DIGEST}`],
    [`digest:SHA256:${DIGEST}`, `digest:sha256:${DIGEST}`],
    ["digest:gitCommit:AB", "digest:gitcommit:ab"],
    [`leaf:${DIGEST}`, `leaf:${DIGEST}`],
    ["serial:0A:1b", "serial:0a1b"],
    [`digest:${"00".repeat(64)}`, `digest:sha512:${"00".repeat(64)}`],
  ];
  for (const [given, expected] of spelled) {
    assert.equal(parseSearchKey(given), expected);
    assert.equal(parseSearchKey(expected), expected);
  }
  for (const bad of [
    "",
    "you@example.com",
    "phone:1",
    "identity:",
    "leaf:ab",
    `leaf:${"zz".repeat(32)}`,
    "digest:abc",
    "digest:sha256:ab",
    "digest::ab",
    "digest:x:",
    "domain:",
    "under:/",
    "serial:0",
    "toString:x",
    `identity:${"x".repeat(5000)}`,
  ]) {
    refuses("SEARCH_KEY_INVALID", () => parseSearchKey(bad));
  }
});

test("a prefix is the first forty bits of the key's SHA-256", () => {
  fc.assert(fc.property(fc.string(), (key) => assert.equal(keyPrefix(key), Number.parseInt(hex(key).slice(0, 10), 16))));
});

// Segments.

interface Built {
  readonly info: SegmentInfo;
  readonly file: Uint8Array;
}

/** A segment of (prefix, place) pairs. */
function build(records: readonly (readonly [number, number])[]): Built {
  const parts: Uint8Array[] = [];
  const writer = new SegmentWriter((page) => parts.push(page));
  for (const [prefix, place] of records.toSorted((a, b) => a[0] - b[0] || a[1] - b[1]))
    writer.add(Math.floor(prefix / 256), ((prefix % 256) * 2 ** 24 + place) >>> 0);
  return { info: { level: 0, place: 0, ...writer.finish() }, file: Buffer.concat(parts) };
}

/** Looks a key up as a reader does: page by page, each proved. */
function read({ info, file }: Built, prefix: number, from = 0, limit = 1000): { places: readonly number[]; pages: number } {
  const known = new Map<string, Page>();
  for (;;) {
    const answer = lookUp(info, prefix, from, limit, (level, index) => known.get(`${level}/${index}`));
    if (answer.missing === undefined) return { places: answer.places, pages: known.size };
    const need = answer.missing;
    known.set(`${need.level}/${need.index}`, openPage(need, file.subarray(need.offset, need.offset + need.length)));
  }
}

test("every key of a segment is found where it is, and nothing else, whatever its size", () => {
  fc.assert(
    fc.property(
      fc.constantFrom(1, 2, 1023, 1024, 1025, 5000),
      fc.integer({ min: 1, max: 400 }),
      fc.nat(),
      (count, distinct, seed) => {
        const records = Array.from(
          { length: count },
          (_, at) => [((seed + ((at * 7919) % distinct)) * 2_654_435_761) % 2 ** 40, at] as const,
        );
        const built = build(records);
        assert.equal(built.file.length, segmentLength(built.info.records));
        for (const prefix of [records[0]![0], records[count >> 1]![0], records.at(-1)![0], 0, 2 ** 40 - 1, 12_345]) {
          const wanted = records.filter(([key]) => key === prefix).map(([, place]) => place);
          assert.deepEqual(read(built, prefix, 0, 1e6).places, wanted);
          const from = wanted[wanted.length >> 1] ?? 3;
          assert.deepEqual(read(built, prefix, from, 5).places, wanted.filter((place) => place >= from).slice(0, 5));
          assert.deepEqual(read(built, prefix, from + 1, 5).places, wanted.filter((place) => place > from).slice(0, 5));
        }
      },
    ),
    { numRuns: 40 },
  );
});

test("a large segment takes three pages to ask, a key in every entry is walked through", () => {
  const count = 300_000;
  const hot = 0x8000000000;
  const records: [number, number][] = [];
  for (let at = 0; at < count; at++) records.push([(at * 2_654_435_761 * 17) % 2 ** 40, at], [hot, at]);
  const built = build(records);
  assert.deepEqual(pageCounts(built.info.records), [586, 3, 1]);
  for (const [prefix, place] of [records[0]!, records[222_222]!, records[2 * count - 2]!]) {
    const { places, pages } = read(built, prefix);
    assert.ok(places.includes(place) && pages <= 4, `${places.join()} in ${pages}`);
  }
  assert.deepEqual(
    read(built, hot, 0, 1e6).places,
    Array.from({ length: count }, (_, at) => at),
  );
  assert.deepEqual(read(built, hot, 123_456, 3).places, [123_456, 123_457, 123_458]);
  // One that is not there: as many pages prove it.
  assert.deepEqual(read(built, hot + 1).places, []);
  assert.ok(read(built, hot + 1).pages <= 4);
});

test("the root is what docs/formats/search.md says it is, computed by other means", () => {
  for (const count of [1, 1024, 1025, 300_000]) {
    const { info, file } = build(Array.from({ length: count }, (_, at) => [(at * 2_654_435_761 * 17) % 2 ** 40, at] as const));
    const hash = (tag: number, page: Buffer): Buffer => createHash("sha256").update(Buffer.of(tag)).update(page).digest();
    const bytes = Buffer.from(file);
    let children: Buffer[] = [];
    for (let at = 0; at < count * 8; at += 8192) {
      const page = bytes.subarray(at, Math.min(at + 8192, count * 8));
      children.push(Buffer.concat([page.subarray(0, 8), hash(0, page)]));
    }
    let offset = count * 8;
    while (children.length > 1) {
      const above: Buffer[] = [];
      for (let at = 0; at < children.length; at += 204) {
        const page = Buffer.concat(children.slice(at, at + 204));
        assert.ok(page.equals(bytes.subarray(offset, offset + page.length)), `page at ${offset}`);
        offset += page.length;
        above.push(Buffer.concat([page.subarray(0, 8), hash(1, page)]));
      }
      children = above;
    }
    assert.equal(offset, bytes.length);
    assert.ok(children[0]!.subarray(8).equals(info.root));
  }
});

test("a page with any octet changed, or in another's place, is refused", () => {
  const built = build(Array.from({ length: 3000 }, (_, at) => [(at * 2_654_435_761) % 2 ** 40, at] as const));
  const prefix = (1500 * 2_654_435_761) % 2 ** 40;
  const whole = read(built, prefix).places;
  assert.deepEqual(whole, [1500]);
  for (let at = 0; at < built.file.length; at += 37) {
    const file = built.file.slice();
    file[at]! ^= 1 << (at % 8);
    let found: readonly number[] | undefined;
    try {
      found = read({ ...built, file }, prefix).places;
    } catch (error) {
      assert.ok(error instanceof LacreError && error.code === "SEARCH_INDEX_DAMAGED");
    }
    if (found !== undefined) assert.deepEqual(found, whole);
  }
  const swapped = built.file.slice();
  swapped.copyWithin(0, 8192, 16_384);
  refuses("SEARCH_INDEX_DAMAGED", () => read({ ...built, file: swapped }, 0));
  refuses("SEARCH_INDEX_DAMAGED", () => read({ ...built, file: built.file.subarray(0, 24_000) }, prefix));
});

test("a signer that lies about where pages begin is refused, not read in two ways", () => {
  // Two honest pages under a page that says that the second begins elsewhere.
  const honest = build(Array.from({ length: 1500 }, (_, at) => [at * 1000, at] as const));
  const inner = honest.file.slice(1500 * 8);
  for (const [at, what] of [
    [0, "first"],
    [40, "second"],
  ] as const) {
    const lie = inner.slice();
    lie[at + 4]! ^= 1;
    const root = sha256(Buffer.concat([Buffer.of(1), lie]));
    const built = { info: { ...honest.info, root }, file: Buffer.concat([honest.file.subarray(0, 1500 * 8), lie]) };
    assert.throws(
      () => [0, 1_023_000, 1_024_000, 1_499_000].map((prefix) => read(built, prefix)),
      (error: LacreError) => error.code === "SEARCH_INDEX_DAMAGED",
      what,
    );
  }
  for (const unsorted of [[2, 1, 2, 1], [2, 1, 1, 1], [2, 1, 1, 0], []])
    refuses("SEARCH_INDEX_DAMAGED", () => decodePage(0, new Uint8Array(Uint32Array.from(unsorted).buffer)));
  refuses("SEARCH_INDEX_DAMAGED", () => decodePage(0, new Uint8Array(8 * 1025)));
  refuses("SEARCH_INDEX_DAMAGED", () => decodePage(1, new Uint8Array(39)));
});

test("where pages are follows from the number of records alone", () => {
  for (const records of [1, 1024, 1025, 1024 * 204, 1024 * 204 + 1, 1024 * 204 * 204 + 1]) {
    const counts = pageCounts(records);
    let at = 0;
    for (const [level, pages] of counts.entries()) {
      for (const index of new Set([0, pages - 1])) {
        const { offset, length } = pageRange(records, level, index);
        if (index === 0) assert.equal(offset, at);
        if (index === pages - 1) at = offset + length;
      }
    }
    assert.equal(at, segmentLength(records));
  }
});

// Combinations.

test("all of several keys, and any of them, wherever they are", async () => {
  const places = (list: readonly number[]): Places => ({ seek: (least) => list.find((place) => place >= least) });
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.uniqueArray(fc.nat(60), { maxLength: 40 }), { minLength: 1, maxLength: 4 }),
      fc.nat(60),
      fc.integer({ min: 1, max: 30 }),
      async (lists, from, limit) => {
        const sorted = lists.map((list) => list.toSorted((a, b) => a - b));
        const range = Array.from({ length: 61 }, (_, at) => at).filter((at) => at >= from);
        const all = range.filter((at) => sorted.every((list) => list.includes(at))).slice(0, limit);
        const any = range.filter((at) => sorted.some((list) => list.includes(at))).slice(0, limit);
        assert.deepEqual(await collectPlaces(sorted.map(places), "all", from, limit), all);
        assert.deepEqual(await collectPlaces(sorted.map(places), "any", from, limit), any);
        assert.deepEqual(await collectPlaces([anyOf(sorted.map(places))], "all", from, limit), any);
      },
    ),
  );
});

// The root.

const key = generateKey("Ed25519");
const ROOT: IndexRoot = {
  origin: "log.example",
  size: 4096 + 1024,
  root: sha256(utf8("tree")),
  shape: INDEX_SHAPE,
  segments: [
    { level: 1, place: 0, records: 50_000, root: sha256(utf8("one")) },
    { level: 0, place: 4, records: 9000, root: sha256(utf8("two")) },
  ],
};
const LOG = { origin: "log.example", key: key.publicKey };

test("a root is read as it was signed, and for its own log and key only", () => {
  const text = signIndexRoot(ROOT, "log.example", key);
  assert.match(
    text,
    /^log\.example\/search\n5120\n\S{44}\nindex 1 1024 4\n1 0 50000 \S{44}\n0 4 9000 \S{44}\n\n\u2014 log\.example\/search \S+\n$/,
  );
  const opened = openIndexRoot(text, LOG);
  assert.deepEqual(JSON.stringify(opened), JSON.stringify(ROOT));
  assert.equal(
    openIndexRoot(signIndexRoot({ ...ROOT, origin: "rekor.example - 123" }, "rekor.example", key), {
      origin: "rekor.example - 123",
      name: "rekor.example",
      key: key.publicKey,
    }).size,
    5120,
  );
  refuses("SEARCH_ROOT_INVALID", () => openIndexRoot(text, { ...LOG, origin: "other.example" }));
  refuses("CHECKPOINT_UNSIGNED", () => openIndexRoot(text, { ...LOG, key: generateKey("Ed25519").publicKey }));
  refuses("SIGNATURE_INVALID", () => openIndexRoot(text.replace("9000", "9001"), LOG));
  refuses("CHECKPOINT_UNSIGNED", () => openIndexRoot(signIndexRoot(ROOT, "other.example", key), LOG));
});

test("a root that does not hold together is refused, though it is signed", () => {
  const signed = (change: Partial<IndexRoot>): string => signIndexRoot({ ...ROOT, ...change }, "log.example", key);
  const [one, two] = ROOT.segments as [SegmentInfo, SegmentInfo];
  const broken: Partial<IndexRoot>[] = [
    { size: 5121 },
    { size: 4096 },
    { segments: [two, one] },
    { segments: [one] },
    { segments: [one, two, two] },
    { segments: [one, { ...two, place: 5 }] },
    { segments: [one, { ...two, records: 1023 }] },
    { segments: [one, { ...two, records: 1024 * 1024 + 1 }] },
    { segments: [{ ...one, level: 9 }, two] },
    { shape: { generation: 1024, fan: 1 } },
    { shape: { generation: 0, fan: 4 } },
    { shape: { generation: 2048, fan: 4 } },
  ];
  for (const change of broken) refuses("SEARCH_ROOT_INVALID", () => openIndexRoot(signed(change), LOG));
  assert.deepEqual(openIndexRoot(signed({ size: 0, segments: [] }), LOG).segments, []);
  assert.equal(levelsOf(INDEX_SHAPE), 8);
});
