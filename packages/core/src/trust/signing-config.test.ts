// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { ClientTrustConfig as PeerClientConfig, SigningConfig as PeerConfig } from "@sigstore/protobuf-specs";
import fc from "fast-check";
import { toBase64, utf8 } from "../bytes/index.ts";
import { generateKey, sha256 } from "../crypto/index.ts";
import { LacreError, type LacreCode } from "../errors.ts";
import {
  decodeClientTrustConfig,
  decodeSigningConfig,
  decodeTrustedRoot,
  encodeClientTrustConfig,
  encodePython3TrustConfig,
  encodeSigningConfig,
  formatTime,
  parseTime,
  selectServices,
  type Service,
  type SigningConfig,
} from "./index.ts";

// Loose on purpose: the tests below break it in every way.
type Loose = ReturnType<typeof JSON.parse>;

const NOW = Date.UTC(2026, 5, 1);
const DAY = 86_400_000;

function service(url: string, majorApiVersion = 1, operator = "example", start = "2026-01-01T00:00:00Z"): Loose {
  return { url, majorApiVersion, validFor: { start }, operator };
}

function good(): Loose {
  return {
    mediaType: "application/vnd.dev.sigstore.signingconfig.v0.2+json",
    caUrls: [service("https://fulcio.example.com")],
    oidcUrls: [service("https://oidc.example.com/auth")],
    rekorTlogUrls: [service("https://log.example.com", 2), service("https://rekor.example.com", 1)],
    rekorTlogConfig: { selector: "ANY" },
    tsaUrls: [service("https://tsa.example.com/api/v1/timestamp")],
    tsaConfig: { selector: "EXACT", count: 1 },
  };
}

function changed(change: (document: Loose) => void): SigningConfig {
  const document = good();
  change(document);
  return decodeSigningConfig(utf8(JSON.stringify(document)));
}

function refuses(code: LacreCode, words: RegExp, change: (document: Loose) => void): void {
  assert.throws(
    () => changed(change),
    (error: unknown) => {
      assert.ok(error instanceof LacreError, String(error));
      assert.equal(error.code, code, error.message);
      assert.match(error.message, words);
      return true;
    },
  );
}

test("a good config is read whole and written the same", () => {
  const config = changed(() => undefined);
  assert.deepEqual(config.rekorTlogUrls[0], {
    url: "https://log.example.com",
    majorApiVersion: 2,
    operator: "example",
    startMs: Date.UTC(2026, 0, 1),
    endMs: undefined,
  });
  assert.deepEqual(config.tsaConfig, { selector: "EXACT", count: 1 });
  assert.deepEqual(JSON.parse(encodeSigningConfig(config)), good());
});

test("@sigstore/protobuf-specs reads what is written, and we read what it writes", () => {
  const config = changed(() => undefined);
  const peer = PeerConfig.fromJSON(JSON.parse(encodeSigningConfig(config)));
  assert.equal(peer.rekorTlogUrls[0]!.majorApiVersion, 2);
  assert.equal(peer.tsaConfig!.count, 1);
  assert.deepEqual(decodeSigningConfig(utf8(JSON.stringify(PeerConfig.toJSON(peer)))), config);
});

test("only version 0.2 is read", () => {
  for (const mediaType of [
    undefined,
    "",
    "application/vnd.dev.sigstore.signingconfig.v0.1+json",
    "application/vnd.dev.sigstore.signingconfig.v0.3+json",
  ]) {
    refuses("SIGNING_CONFIG_INVALID", /version/, (document) => (document.mediaType = mediaType));
  }
});

test("a service has an http address, a version and a window with a start", () => {
  for (const list of ["caUrls", "oidcUrls", "rekorTlogUrls", "tsaUrls"]) {
    for (const url of [
      "",
      "fulcio.example.com",
      "ftp://example.com",
      "https://",
      "https:///x",
      "https://a b",
      "javascript:alert(1)",
    ]) {
      refuses("SIGNING_CONFIG_INVALID", /url is not/, (document) => (document[list][0].url = url));
    }
    refuses("BAD_JSON", /url is missing/, (document) => delete document[list][0].url);
    for (const version of [0, undefined, 4294967296])
      refuses("SIGNING_CONFIG_INVALID", /majorApiVersion/, (document) => (document[list][0].majorApiVersion = version));
    for (const version of [-1, 1.5, "v1"])
      refuses("BAD_JSON", /majorApiVersion/, (document) => (document[list][0].majorApiVersion = version));
    refuses("SIGNING_CONFIG_INVALID", /has no start/, (document) => delete document[list][0].validFor);
    refuses("SIGNING_CONFIG_INVALID", /ends before/, (document) => (document[list][0].validFor.end = "2025-01-01T00:00:00Z"));
    refuses("BAD_JSON", /array/, (document) => (document[list] = {}));
  }
  assert.equal(changed((document) => (document.caUrls[0].majorApiVersion = 4294967295)).caUrls[0]!.majorApiVersion, 4294967295);
  assert.equal(changed((document) => delete document.caUrls[0].operator).caUrls[0]!.operator, "");
});

test("a list that is not empty needs its selector, an empty one does not; EXACT needs a count", () => {
  for (const [list, name] of [
    ["rekorTlogUrls", "rekorTlogConfig"],
    ["tsaUrls", "tsaConfig"],
  ] as const) {
    for (const selection of [undefined, {}, { selector: "SERVICE_SELECTOR_UNDEFINED" }, { selector: 0 }, { selector: "FIRST" }]) {
      refuses("SIGNING_CONFIG_INVALID", /how many/, (document) => (document[name] = selection));
    }
    const empty = changed((document) => {
      document[list] = [];
      delete document[name];
    });
    assert.deepEqual(empty[name], { selector: "ANY" });
    assert.ok(!encodeSigningConfig(empty).includes(name));
    for (const count of [undefined, 0])
      refuses("SIGNING_CONFIG_INVALID", /count/, (document) => (document[name] = { selector: "EXACT", count }));
    for (const [number, selector] of [
      [1, "ALL"],
      [2, "ANY"],
    ] as const)
      assert.deepEqual(changed((document) => (document[name] = { selector: number }))[name], { selector });
    assert.deepEqual(changed((document) => (document[name] = { selector: 3, count: 2 }))[name], { selector: "EXACT", count: 2 });
  }
});

function at(url: string, o: Partial<Service> = {}): Service {
  return { url, majorApiVersion: 1, operator: url[0]!, startMs: NOW - 100 * DAY, endMs: undefined, ...o };
}

const urls = (services: readonly Service[]): string => services.map(({ url }) => url).join(" ");
const ALL = { selector: "ALL" } as const;
const here = { supported: [1, 2], nowMs: NOW };

test("only services valid now are chosen, both ends of the window included", () => {
  const list = [
    at("a1", { startMs: NOW + 1 }),
    at("b1", { startMs: NOW }),
    at("c1", { endMs: NOW }),
    at("d1", { endMs: NOW - 1 }),
  ];
  assert.equal(urls(selectServices(list, ALL, here)), "b1 c1");
});

test("only the highest version that we speak is chosen, of those valid now", () => {
  const list = [
    at("a1"),
    at("b2", { majorApiVersion: 2 }),
    at("c3", { majorApiVersion: 3 }),
    at("d2", { majorApiVersion: 2, endMs: NOW - 1 }),
  ];
  assert.equal(urls(selectServices(list, ALL, here)), "b2");
  assert.equal(urls(selectServices(list, ALL, { ...here, supported: [1] })), "a1");
  assert.equal(urls(selectServices(list, ALL, { ...here, supported: [1, 2, 3] })), "c3");
  assert.equal(urls(selectServices(list, ALL, { ...here, supported: [9] })), "");
});

test("of each operator the one that started last, of equals the first listed; newest first", () => {
  const list = [
    at("a1", { startMs: NOW - 9 * DAY }),
    at("a2", { startMs: NOW - 2 * DAY }),
    at("a3", { startMs: NOW - 2 * DAY }),
    at("b1", { startMs: NOW - 5 * DAY }),
  ];
  assert.equal(urls(selectServices(list, ALL, here)), "a2 b1");
  assert.equal(urls(selectServices(list, { selector: "ANY" }, here)), "a2");
  assert.equal(urls(selectServices(list, { selector: "EXACT", count: 2 }, here)), "a2 b1");
  const nameless = [at("a1", { operator: "" }), at("a2", { operator: "" })];
  assert.equal(urls(selectServices(nameless, ALL, here)), "a1 a2");
});

test("EXACT refuses fewer operators than it asks for; ANY and ALL may find none", () => {
  const missing = (error: unknown): boolean => error instanceof LacreError && error.code === "SERVICE_MISSING";
  assert.throws(() => selectServices([at("a1"), at("a2")], { selector: "EXACT", count: 2 }, here), missing);
  assert.throws(() => selectServices([], { selector: "EXACT", count: 1 }, here), missing);
  assert.throws(() => selectServices([at("a1")], { selector: "EXACT" }, here), TypeError);
  assert.deepEqual(selectServices([], { selector: "ANY" }, here), []);
  assert.deepEqual(selectServices([], ALL, here), []);
});

const ct = generateKey("P-256").publicKey;
const root = decodeTrustedRoot(
  utf8(
    JSON.stringify({
      mediaType: "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
      ctlogs: [
        {
          hashAlgorithm: "SHA2_256",
          publicKey: {
            rawBytes: toBase64(ct.spki),
            keyDetails: "PKIX_ECDSA_P256_SHA_256",
            validFor: { start: "2026-01-01T00:00:00Z" },
          },
          logId: { keyId: toBase64(sha256(ct.spki)) },
        },
      ],
    }),
  ),
);

test("a client trust config holds both parts and is read back the same, also by @sigstore/protobuf-specs", () => {
  const config = changed(() => undefined);
  const text = encodeClientTrustConfig(root, config);
  const both = decodeClientTrustConfig(utf8(text));
  assert.deepEqual(both.signingConfig, config);
  assert.deepEqual(both.trustedRoot.ctlogs[0]!.logId, sha256(ct.spki));
  const peer = PeerClientConfig.fromJSON(JSON.parse(text));
  assert.equal(peer.mediaType, "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json");
  assert.equal(peer.signingConfig!.caUrls[0]!.url, "https://fulcio.example.com");
  for (const part of ["mediaType", "trustedRoot", "signingConfig"]) {
    const broken = JSON.parse(text);
    delete broken[part];
    assert.throws(() => decodeClientTrustConfig(utf8(JSON.stringify(broken))), LacreError, part);
  }
});

test("for sigstore-python 3 the signing config is v0.1: single addresses, logs of the v1 dialect", () => {
  const config = changed(() => undefined);
  const text = encodePython3TrustConfig(root, config);
  assert.deepEqual(JSON.parse(text).signingConfig, {
    mediaType: "application/vnd.dev.sigstore.signingconfig.v0.1+json",
    caUrl: "https://fulcio.example.com",
    oidcUrl: "https://oidc.example.com/auth",
    tlogUrls: ["https://rekor.example.com"],
    tsaUrls: ["https://tsa.example.com/api/v1/timestamp"],
  });
  assert.equal(decodeClientTrustConfig(utf8(text)).signingConfig, undefined);
  const onlyV2 = { ...config, rekorTlogUrls: config.rekorTlogUrls.slice(0, 1) };
  assert.deepEqual(JSON.parse(encodePython3TrustConfig(root, onlyV2)).signingConfig.tlogUrls, ["https://log.example.com"]);
});

test("times are read as RFC 3339 has them, to the microsecond", () => {
  const second = Date.UTC(2022, 11, 31, 23, 59, 59);
  for (const [text, timeMs] of [
    ["2022-12-31T23:59:59Z", second],
    ["2022-12-31T23:59:59.9Z", second + 900],
    ["2022-12-31T23:59:59.999Z", second + 999],
    ["2022-12-31T23:59:59.999000Z", second + 999],
    ["2022-12-31T23:59:59.000001999Z", second + 0.001],
    ["2023-01-01T01:59:59+02:00", second],
    ["2022-12-31T18:29:59-05:30", second],
    ["1969-12-31T23:59:59.500Z", -500],
    ["2023-01-01T23:58:59+23:59", second],
    ["0001-01-01T00:00:00Z", -62135596800000],
    ["9999-12-31T23:59:59.999Z", 253402300799999],
  ] as const)
    assert.equal(parseTime(text), timeMs, text);
  for (const text of [
    "",
    "2022-12-31",
    "2022-12-31T23:59:59",
    "2022-12-31 23:59:59Z",
    "2022-12-31t23:59:59z",
    "2022-02-30T00:00:00Z",
    "2022-13-01T00:00:00Z",
    "2022-12-31T24:00:00Z",
    "2022-12-31T23:60:00Z",
    "2022-12-31T23:59:60Z",
    "2022-12-31T23:59:59.Z",
    "2022-12-31T23:59:59.1234567890Z",
    "2022-12-31T23:59:59+24:00",
    "2022-12-31T23:59:59+01:60",
    "2022-12-31T23:59:59+0100",
    "20221231T235959Z",
    "2022-00-10T00:00:00Z",
    "2022-01-00T00:00:00Z",
    " 2022-12-31T23:59:59Z",
    "2022-12-31T23:59:59Z\n",
    "1e12",
    "0000-06-01T00:00:00Z",
    "0001-01-01T00:30:00+01:00",
    "9999-12-31T23:59:59-00:01",
    "9999-12-31T23:00:00-01:00",
    "2022-12-31T10:20:60Z",
    "2022-12-31T10:60:00Z",
  ])
    assert.throws(
      () => parseTime(text),
      (error: unknown) => error instanceof LacreError && error.code === "BAD_JSON",
      text,
    );
});

test("a time that was written is read back, and agrees with Date", () => {
  fc.assert(
    fc.property(fc.integer({ min: -62135596800000, max: 253402300799999 }), (timeMs) => {
      const text = formatTime(timeMs);
      assert.equal(parseTime(text), timeMs);
      assert.equal(new Date(text).getTime(), timeMs);
      assert.equal(text.includes("."), timeMs % 1000 !== 0);
    }),
  );
  assert.equal(formatTime(Date.UTC(2026, 0, 1) + 0.25), "2026-01-01T00:00:00.000250Z");
  assert.equal(formatTime(Date.UTC(2026, 0, 1) + 999), "2026-01-01T00:00:00.999Z");
});
