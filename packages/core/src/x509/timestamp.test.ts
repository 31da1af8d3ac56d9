// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { createPublicKey } from "node:crypto";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { RFC3161Timestamp } from "@sigstore/core";
import { concat, equalBytes, toHex, utf8 } from "../bytes/index.ts";
import { der } from "../codec/index.ts";
import { defaultAlgorithm, hash, signMessage, type Algorithm, type HashName } from "../crypto/index.ts";
import { LacreError } from "../errors.ts";
import { decodeCertificate, type Certificate } from "./certificate.ts";
import { attribute, CMS, prepareSignedData } from "./cms.ts";
import { basicConstraints, EXTENSION, extendedKeyUsage, keyUsage, PURPOSE } from "./extensions.ts";
import {
  answers,
  authority,
  cases,
  clock,
  damaged,
  file,
  haveVectors,
  HOUR,
  keyOf,
  NOW,
  openssl,
  pem,
  raw,
  refuses,
  root,
  scratchPath,
  serial,
  stuffed,
  withExtensions,
  withoutExtension,
  type Holder,
} from "./fixture.test.ts";
import { signUnsigned } from "./issue.ts";
import { encodeHashAlgorithm, signatureAlgorithmOf } from "./signature.ts";
import { checkEmbeddedSigner, checkTimestamp, prepareTimestamp, type ProvenTime, type TimestampAuthority } from "./timestamp.ts";
import {
  decodeTimestampRequest,
  decodeTimestampResponse,
  encodeTimestampRequest,
  encodeTimestampResponse,
  encodeTstInfo,
  TST_INFO,
} from "./tsp.ts";

const POLICY = "1.3.6.1.4.1.57264.2";
const V1 = "1.2.840.113549.1.9.16.2.12";
const V2 = "1.2.840.113549.1.9.16.2.47";

const top = root("clock root");
const tsa = clock(top);
const signature = utf8("the raw bytes of a signature");
const trusted: TimestampAuthority = { chain: [tsa.certificate, top.certificate], startMs: NOW - HOUR, endMs: undefined };
const rootOnly: TimestampAuthority = { ...trusted, chain: [top.certificate] };

interface Made {
  readonly holder?: Holder;
  readonly over?: Uint8Array;
  readonly imprintHash?: HashName;
  readonly timeMs?: number;
  readonly nonce?: Uint8Array | bigint;
  readonly certificates?: readonly Certificate[];
}

function respond({
  holder = tsa,
  over = signature,
  imprintHash = "sha256",
  timeMs = NOW + 1500,
  nonce,
  certificates = [],
}: Made = {}): Uint8Array {
  const unsigned = prepareTimestamp({
    policy: POLICY,
    imprint: { hash: imprintHash, digest: hash(imprintHash, over) },
    serial: serial(),
    timeMs,
    accuracySeconds: 1,
    ...(nonce === undefined ? {} : { nonce }),
    signer: holder.certificate,
    algorithm: defaultAlgorithm(holder.key.publicKey),
    certificates,
  });
  return signUnsigned(unsigned, holder.key);
}

function check(
  response: Uint8Array,
  authorities: readonly TimestampAuthority[] = [trusted],
  signedBytes: Uint8Array = signature,
): ProvenTime {
  return checkTimestamp({ response: decodeTimestampResponse(response), signedBytes, authorities });
}

const certificateId = ({ der: bytes, issuer, serial: number }: Certificate, algorithm?: Uint8Array): Uint8Array =>
  der.sequence(
    der.sequence(
      der.sequence(
        algorithm ?? new Uint8Array(),
        der.octets(hash("sha256", bytes)),
        der.sequence(der.sequence(der.context(4, issuer)), der.integer(number)),
      ),
    ),
  );

/** A token whose parts may each be replaced: signed properly over whatever it then says. */
function craft(
  parts: {
    readonly attributes?: (standard: ReadonlyMap<string, Uint8Array>) => readonly Uint8Array[];
    readonly info?: Uint8Array;
    readonly contentType?: string;
    readonly holder?: Holder;
    readonly certificates?: readonly Certificate[];
  } = {},
): Uint8Array {
  const { holder = tsa, contentType = TST_INFO, certificates = [] } = parts;
  const content = parts.info ?? info();
  const standard = new Map([
    [CMS.contentType as string, der.oid(TST_INFO)],
    [CMS.messageDigest, der.octets(hash("sha256", content))],
    [V2, certificateId(holder.certificate)],
  ]);
  const attributes = parts.attributes?.(standard) ?? entries(standard);
  const unsigned = prepareSignedData({
    contentType,
    content,
    signer: holder.certificate,
    algorithm: defaultAlgorithm(holder.key.publicKey),
    certificates,
    attributes,
  });
  return encodeTimestampResponse(signUnsigned(unsigned, holder.key));
}

const entries = (values: ReadonlyMap<string, Uint8Array>): readonly Uint8Array[] =>
  [...values].map(([type, value]) => attribute(type, value));
const changed =
  (type: string, value?: Uint8Array) =>
  (standard: ReadonlyMap<string, Uint8Array>): readonly Uint8Array[] => {
    const values = new Map(standard);
    if (value === undefined) values.delete(type);
    else values.set(type, value);
    return entries(values);
  };

function info(changes: Partial<Parameters<typeof encodeTstInfo>[0]> = {}): Uint8Array {
  return encodeTstInfo({
    policy: POLICY,
    imprint: { hash: "sha256", digest: hash("sha256", signature) },
    serial: serial(),
    timeMs: NOW,
    ...changes,
  });
}

/** The token's SignedData and SignerInfo put together by hand. */
function handmade(
  parts: {
    readonly signerInfos?: (one: Uint8Array) => Uint8Array;
    readonly signerInfo?: (fields: Uint8Array[]) => readonly Uint8Array[];
    readonly wrap?: (token: Uint8Array) => Uint8Array;
    readonly attributes?: Uint8Array;
    readonly version?: number;
    readonly digests?: Uint8Array;
  } = {},
): Uint8Array {
  const content = info();
  const algorithm: Algorithm = defaultAlgorithm(tsa.key.publicKey);
  const set =
    parts.attributes ??
    der.setOf(
      attribute(CMS.contentType, der.oid(TST_INFO)),
      attribute(CMS.messageDigest, der.octets(hash("sha256", content))),
      attribute(V2, certificateId(tsa.certificate)),
    );
  const tagged = Uint8Array.from(set);
  tagged[0] = 0xa0;
  const fields = [
    der.integer(1),
    der.sequence(tsa.certificate.issuer, der.integer(tsa.certificate.serial)),
    encodeHashAlgorithm("sha256"),
    tagged,
    signatureAlgorithmOf(algorithm).der,
    der.octets(signMessage(algorithm, tsa.key, set)),
  ];
  const one = der.sequence(...(parts.signerInfo?.(fields) ?? fields));
  const data = der.sequence(
    der.integer(parts.version ?? 3),
    der.setOf(parts.digests ?? encodeHashAlgorithm("sha256")),
    der.sequence(der.oid(TST_INFO), der.context(0, der.octets(content))),
    parts.signerInfos?.(one) ?? der.der(der.TAG.set, one),
  );
  const token = der.sequence(der.oid(CMS.signedData), der.context(0, data));
  return parts.wrap?.(token) ?? encodeTimestampResponse(token);
}

test("proves published timestamps, and refuses those that were made to be refused", { skip: !haveVectors }, () => {
  const refused: string[] = [];
  let proven = 0;
  for (const {
    name,
    timestamps,
    signature: signed,
    root: { timestampAuthorities = [] },
  } of cases()) {
    const authorities = timestampAuthorities.map(({ certChain, validFor }) => ({
      chain: certChain.certificates.map((one) => decodeCertificate(raw(one))),
      startMs: Date.parse(validFor?.start ?? ""),
      endMs: validFor?.end === undefined ? undefined : Date.parse(validFor.end),
    }));
    for (const timestamp of timestamps) {
      try {
        const { path } = check(timestamp, authorities, signed);
        const theirs = RFC3161Timestamp.parse(Buffer.from(timestamp));
        theirs.verify(Buffer.from(signed), createPublicKey({ key: Buffer.from(path[0]!.spki), format: "der", type: "spki" }));
        proven++;
      } catch (error) {
        assert.ok(error instanceof LacreError && error.code === "TIMESTAMP_INVALID", String(error));
        refused.push(name);
      }
    }
  }
  assert.deepEqual(refused, [
    "rekor2-timestamp-outside-tsa-cert-validity_fail",
    "rekor2-timestamp-untrusted-tsa-with-embedded-cert_fail",
  ]);
  assert.ok(proven >= 10, `${proven}`);
});

test("what we make, we prove: whole seconds, every hash of the imprint, any curve of the signer", () => {
  for (const imprintHash of ["sha256", "sha384", "sha512"] as const) {
    for (const type of ["P-256", "P-384", "P-521"] as const) {
      const holder = clock(top, undefined, `clock ${type}`, type);
      const { timeMs, path } = check(respond({ holder, imprintHash }), [
        { ...trusted, chain: [holder.certificate, top.certificate] },
      ]);
      assert.equal(timeMs, NOW + 1000);
      assert.deepEqual(path, [holder.certificate, top.certificate]);
    }
  }
});

test("OpenSSL makes the query, we answer, OpenSSL and sigstore-js verify", () => {
  const data = file(signature);
  for (const [digest, extra, certificates] of [
    ["-sha256", ["-cert"], true],
    ["-sha512", ["-no_nonce", "-cert"], true],
    ["-sha384", ["-tspolicy", POLICY], false],
  ] as const) {
    const queryPath = scratchPath("query");
    openssl("ts", "-query", "-data", data, digest, ...extra, "-out", queryPath);
    const request = decodeTimestampRequest(new Uint8Array(readFileSync(queryPath)));
    assert.equal(request.certReq, certificates);
    const unsigned = prepareTimestamp({
      policy: request.policy ?? POLICY,
      imprint: { hash: request.imprint.hash!, digest: request.imprint.digest },
      serial: serial(),
      timeMs: NOW,
      accuracySeconds: 1,
      ...(request.nonce === undefined ? {} : { nonce: request.nonce }),
      signer: tsa.certificate,
      algorithm: defaultAlgorithm(tsa.key.publicKey),
      certificates: certificates ? [tsa.certificate] : [],
    });
    const response = signUnsigned(unsigned, tsa.key);
    const [responsePath, rootPath, leafPath] = [
      file(response),
      file(pem(top.certificate.der), ".pem"),
      file(pem(tsa.certificate.der), ".pem"),
    ];
    const shown = openssl(
      "ts",
      "-verify",
      "-queryfile",
      queryPath,
      "-in",
      responsePath,
      "-CAfile",
      rootPath,
      "-untrusted",
      leafPath,
      "-attime",
      `${NOW / 1000}`,
    );
    assert.match(shown, /Verification: OK/);
    assert.match(
      openssl("ts", "-reply", "-in", responsePath, "-text"),
      /Time stamp: Mar  1 12:00:00 2026 GMT\nAccuracy: 0x01 seconds/,
    );
    const theirs = RFC3161Timestamp.parse(Buffer.from(response));
    theirs.verify(
      Buffer.from(signature),
      createPublicKey({ key: Buffer.from(tsa.key.publicKey.spki), format: "der", type: "spki" }),
    );
    assert.equal(check(response).timeMs, NOW);
  }
});

test("proves the timestamps that OpenSSL makes, by SHA-1 name and by SHA-256 name, with ECDSA and RSA keys", () => {
  const query = scratchPath("query");
  openssl("ts", "-query", "-data", file(signature), "-sha256", "-cert", "-out", query);
  for (const [newKey, essDigest] of [
    ["ec", "sha1"],
    ["ec", "sha256"],
    ["rsa", "sha1"],
    ["rsa", "sha384"],
  ] as const) {
    const paths = {
      config: "",
      key: scratchPath("key"),
      certificate: scratchPath("certificate"),
      serial: file("01\n", ".txt"),
      out: scratchPath("response"),
    };
    const config = file(
      `
[req]
distinguished_name = dn
prompt = no
[dn]
O = stranger
CN = clock
[ext]
keyUsage = critical, digitalSignature
extendedKeyUsage = critical, timeStamping
[ca]
basicConstraints = critical, CA:true
keyUsage = critical, keyCertSign, cRLSign
[tsa]
default_tsa = one
[one]
serial = ${paths.serial}
default_policy = 1.2.3.4
digests = sha256
signer_digest = sha256
accuracy = secs:1, millisecs:500, microsecs:100
ordering = yes
tsa_name = yes
ess_cert_id_chain = no
ess_cert_id_alg = ${essDigest}
`,
      ".cnf",
    );
    const key = newKey === "ec" ? ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"] : ["-newkey", "rsa:2048"];
    const [caKey, ca, request] = [scratchPath("ca-key"), scratchPath("ca"), scratchPath("request")];
    openssl(
      "req",
      "-x509",
      ...key,
      "-nodes",
      "-config",
      config,
      "-extensions",
      "ca",
      "-subj",
      "/O=stranger/CN=root",
      "-days",
      "3",
      "-keyout",
      caKey,
      "-out",
      ca,
    );
    openssl("req", "-new", ...key, "-nodes", "-config", config, "-keyout", paths.key, "-out", request);
    openssl(
      "x509",
      "-req",
      "-in",
      request,
      "-CA",
      ca,
      "-CAkey",
      caKey,
      "-set_serial",
      "7",
      "-days",
      "2",
      "-extfile",
      config,
      "-extensions",
      "ext",
      "-out",
      paths.certificate,
    );
    openssl(
      "ts",
      "-reply",
      "-config",
      config,
      "-section",
      "one",
      "-queryfile",
      query,
      "-inkey",
      paths.key,
      "-signer",
      paths.certificate,
      "-out",
      paths.out,
    );
    const response = new Uint8Array(readFileSync(paths.out));
    const read = (path: string): Certificate =>
      decodeCertificate(new Uint8Array(Buffer.from(openssl("x509", "-in", path).replaceAll(/-----.*-----|\s/g, ""), "base64")));
    const authorityOf = (...chain: readonly Certificate[]): TimestampAuthority => ({ chain, startMs: 0, endMs: undefined });
    for (const authorities of [[authorityOf(read(paths.certificate), read(ca))], [authorityOf(read(ca))]]) {
      const { timeMs } = check(response, authorities);
      assert.ok(Math.abs(timeMs - Date.now()) < 60_000);
    }
    assert.equal(decodeTimestampResponse(response).info.accuracyMs, 1500.1);
    assert.ok(decodeTimestampResponse(response).signedData.signedAttributes.has(essDigest === "sha1" ? V1 : V2));
    refuses(() => check(response, [trusted]), "TIMESTAMP_INVALID", /not of a trusted/);
    refuses(() => check(response, [trusted, rootOnly]), "TIMESTAMP_INVALID", /does not lead/);
  }
});

test("a refused request is refused, and so is a grant without a token (E1)", () => {
  const status = (number: number, ...more: readonly Uint8Array[]): Uint8Array =>
    der.sequence(der.sequence(der.integer(number), ...more));
  refuses(
    () => decodeTimestampResponse(status(2, der.sequence(der.utf8String("no")), der.flags(5))),
    "TIMESTAMP_INVALID",
    /refused/,
  );
  refuses(() => decodeTimestampResponse(status(0)), "TIMESTAMP_INVALID", /no token/);
  const token = respond();
  const granted = (number: number): Uint8Array => {
    const fields = der.openDer(token);
    fields.next();
    return der.sequence(der.sequence(der.integer(number)), fields.next().whole);
  };
  assert.equal(decodeTimestampResponse(granted(1)).status, 1);
  check(granted(1));
  for (const number of [2, 3, 4, 5, 6]) refuses(() => decodeTimestampResponse(granted(number)), "TIMESTAMP_INVALID", /refused/);
});

test("the token is CMS SignedData about a time, with one signer and nothing behind (E2)", () => {
  check(handmade());
  refuses(
    () => decodeTimestampResponse(handmade({ signerInfos: (one) => der.der(der.TAG.set, one, one) })),
    "TIMESTAMP_INVALID",
    /more than one signer/,
  );
  refuses(() => decodeTimestampResponse(handmade({ signerInfos: () => der.der(der.TAG.set) })), "TIMESTAMP_INVALID", /malformed/);
  refuses(() => decodeTimestampResponse(concat(respond(), Uint8Array.of(0))), "TIMESTAMP_INVALID", /malformed/);
  refuses(
    () => decodeTimestampResponse(handmade({ wrap: (token) => encodeTimestampResponse(concat(token, der.nil())) })),
    "TIMESTAMP_INVALID",
    /malformed/,
  );
  refuses(() => decodeTimestampResponse(craft({ contentType: "1.2.840.113549.1.7.1" })), "TIMESTAMP_INVALID", /not about a time/);
  for (const version of [0, 6]) refuses(() => decodeTimestampResponse(handmade({ version })), "TIMESTAMP_INVALID", /version/);
  refuses(
    () => decodeTimestampResponse(handmade({ digests: der.sequence(der.oid("1.2.3"), der.nil(), der.nil()) })),
    "TIMESTAMP_INVALID",
    /malformed/,
  );
  check(handmade({ digests: der.sequence(der.oid("1.2.3")) }));
  const enveloped = handmade({
    wrap: () => encodeTimestampResponse(der.sequence(der.oid("1.2.840.113549.1.7.3"), der.context(0, der.sequence()))),
  });
  refuses(() => decodeTimestampResponse(enveloped), "TIMESTAMP_INVALID", /not CMS SignedData/);
});

test("a token for other bytes is of other bytes (T23, E3)", () => {
  for (const over of [
    utf8("the artifact"),
    hash("sha256", signature),
    utf8(Buffer.from(signature).toString("base64")),
    new Uint8Array(),
  ]) {
    refuses(() => check(respond({ over })), "TIMESTAMP_MISMATCH");
  }
});

test("an imprint with another hash than SHA-2, or of the wrong length, is refused (E3)", () => {
  const other = info();
  // SHA-224 is the fourth of NIST's hashes.
  other[Buffer.from(other).indexOf(Buffer.from("608648016503040201", "hex")) + 8] = 4;
  refuses(() => check(craft({ info: other })), "TIMESTAMP_INVALID", /malformed/);
  refuses(
    () => check(craft({ info: info({ imprint: { hash: "sha256", digest: new Uint8Array(20) } }) })),
    "TIMESTAMP_INVALID",
    /wrong length/,
  );
});

test("signed attributes must be there, and bind the content (T20, E4)", () => {
  const noAttributes = handmade({ signerInfo: (fields) => fields.toSpliced(3, 1) });
  refuses(() => decodeTimestampResponse(noAttributes), "TIMESTAMP_INVALID", /no signed attributes/);
  refuses(() => check(craft({ attributes: changed(CMS.contentType) })), "TIMESTAMP_INVALID", /content's type/);
  refuses(
    () => check(craft({ attributes: changed(CMS.contentType, der.oid("1.2.840.113549.1.7.1")) })),
    "TIMESTAMP_INVALID",
    /content's type/,
  );
  refuses(() => check(craft({ attributes: changed(CMS.contentType, der.octets()) })), "TIMESTAMP_INVALID", /content's type/);
  refuses(() => check(craft({ attributes: changed(CMS.messageDigest) })), "TIMESTAMP_INVALID", /content's digest/);
  refuses(
    () => check(craft({ attributes: changed(CMS.messageDigest, der.octets(new Uint8Array(32))) })),
    "TIMESTAMP_INVALID",
    /content's digest/,
  );
  refuses(
    () => check(craft({ attributes: changed(CMS.messageDigest, der.sequence()) })),
    "TIMESTAMP_INVALID",
    /content's digest/,
  );
  refuses(() => check(craft({ attributes: changed(V2) })), "TIMESTAMP_INVALID", /do not name/);
});

test("attributes stand once, with one value, in DER order", () => {
  const [type, digest, named] = [
    attribute(CMS.contentType, der.oid(TST_INFO)),
    attribute(CMS.messageDigest, der.octets(new Uint8Array(32))),
    attribute(V2, certificateId(tsa.certificate)),
  ];
  const set = (...attributes: readonly Uint8Array[]): Uint8Array => handmade({ attributes: der.der(der.TAG.set, ...attributes) });
  refuses(() => decodeTimestampResponse(set(type, type, digest, named)), "TIMESTAMP_INVALID", /twice/);
  refuses(() => decodeTimestampResponse(set(digest, type, named)), "TIMESTAMP_INVALID", /order/);
  const two = der.sequence(der.oid(CMS.contentType), der.der(der.TAG.set, der.oid(TST_INFO), der.oid(TST_INFO)));
  refuses(() => decodeTimestampResponse(set(two, digest, named)), "TIMESTAMP_INVALID", /several values/);
});

test("the attribute must name the signer's certificate, by hash and by issuer and serial (T21, E4)", () => {
  const other = clock(top, undefined, "other clock").certificate;
  const { der: bytes, issuer, serial: number } = tsa.certificate;
  const id = (digest: Uint8Array, name: Uint8Array, numbered: Uint8Array): Uint8Array =>
    der.sequence(
      der.sequence(der.sequence(der.octets(digest), der.sequence(der.sequence(der.context(4, name)), der.integer(numbered)))),
    );
  const right = hash("sha256", bytes);
  check(craft({ attributes: changed(V2, id(right, issuer, number)) }));
  for (const wrong of [
    certificateId(other),
    id(hash("sha256", other.der), issuer, number),
    id(right, other.subject, number),
    id(right, issuer, Uint8Array.of(9)),
    id(right.subarray(1), issuer, number),
  ]) {
    refuses(() => check(craft({ attributes: changed(V2, wrong) })), "TIMESTAMP_INVALID", /not of a trusted/);
  }
  check(craft({ attributes: changed(V2, der.sequence(der.sequence(der.sequence(der.octets(right))))) }));
  check(
    craft({
      attributes: changed(
        V2,
        der.sequence(der.sequence(der.sequence(encodeHashAlgorithm("sha512"), der.octets(hash("sha512", bytes))))),
      ),
    }),
  );
  for (const malformed of [
    der.nil(),
    der.sequence(),
    der.sequence(der.sequence()),
    der.sequence(der.sequence(der.sequence(der.sequence(der.oid("1.3.14.3.2.26")), der.octets(right)))),
  ]) {
    refuses(
      () => check(craft({ attributes: changed(V2, malformed) })),
      "TIMESTAMP_INVALID",
      /names the signer's certificate is malformed/,
    );
  }
  // Both attributes, one of which means another certificate.
  const both = (standard: ReadonlyMap<string, Uint8Array>): readonly Uint8Array[] =>
    entries(new Map([...standard, [V1, der.sequence(der.sequence(der.sequence(der.octets(new Uint8Array(20)))))]]));
  refuses(() => check(craft({ attributes: both })), "TIMESTAMP_INVALID", /not of a trusted/);
});

test("the signer is the trusted root's, or embedded and under its anchor (E5)", () => {
  check(respond({ certificates: [tsa.certificate] }), [rootOnly]);
  refuses(() => check(respond(), [rootOnly]), "TIMESTAMP_INVALID", /not of a trusted/);
  refuses(() => check(respond(), []), "TIMESTAMP_INVALID", /no timestamp authority/);
  const stranger = root("stranger clock root");
  const foreign = clock(stranger, undefined, "foreign clock");
  refuses(
    () => check(respond({ holder: foreign, certificates: [foreign.certificate, stranger.certificate] }), [rootOnly]),
    "TIMESTAMP_INVALID",
    /does not lead/,
  );
  const issuing = authority(top, "clock issuing", undefined, "timeStamping");
  const under = clock(issuing, undefined, "clock under");
  check(respond({ holder: under, certificates: [under.certificate, issuing.certificate] }), [rootOnly]);
  check(respond({ holder: under }), [{ ...trusted, chain: [under.certificate, issuing.certificate, top.certificate] }]);
});

test("a root that lists a signer's certificate means that one", () => {
  const second = clock(top, undefined, "second clock");
  const response = respond({ holder: second, certificates: [second.certificate] });
  check(response, [rootOnly]);
  refuses(() => check(response, [trusted]), "TIMESTAMP_INVALID", /not of a trusted/);
});

test("a forged certificate before the real one changes nothing (T21, E5)", () => {
  const impostor = {
    key: keyOf("impostor clock"),
    certificate: clock(
      { certificate: top.certificate, key: keyOf("impostor root") },
      (fields) => ({ ...fields, serial: tsa.certificate.serial, subject: tsa.certificate.subject }),
      "impostor clock",
    ).certificate,
  };
  const content = info();
  const standard = [
    attribute(CMS.contentType, der.oid(TST_INFO)),
    attribute(CMS.messageDigest, der.octets(hash("sha256", content))),
  ];
  const make = (by: Holder, named: Certificate): Uint8Array => {
    const unsigned = prepareSignedData({
      contentType: TST_INFO,
      content,
      signer: named,
      algorithm: defaultAlgorithm(by.key.publicKey),
      certificates: [impostor.certificate, tsa.certificate],
      attributes: [...standard, attribute(V2, certificateId(named))],
    });
    return encodeTimestampResponse(signUnsigned(unsigned, by.key));
  };
  assert.ok(
    equalBytes(impostor.certificate.serial, tsa.certificate.serial) &&
      equalBytes(impostor.certificate.issuer, tsa.certificate.issuer),
  );
  assert.equal(check(make(tsa, tsa.certificate), [rootOnly]).path[0]!.der.length, tsa.certificate.der.length);
  refuses(() => check(make(impostor, impostor.certificate), [rootOnly]), "TIMESTAMP_INVALID", /does not lead/);
  refuses(
    () => check(make(impostor, tsa.certificate), [rootOnly]),
    "TIMESTAMP_INVALID",
    /not signed by the certificate it names/,
  );
});

test("a signature by another key, or over other attributes, is refused (T20, E6)", () => {
  refuses(
    () => check(respond({ holder: { certificate: tsa.certificate, key: keyOf("thief") } })),
    "TIMESTAMP_INVALID",
    /not signed by/,
  );
  const good = respond();
  const at = Buffer.from(good).indexOf(Buffer.from("2a864886f70d010905", "hex"));
  const later = Uint8Array.from(good);
  later[at + 20]! ^= 1;
  refuses(() => check(later), "TIMESTAMP_INVALID", /not signed by|malformed/);
});

test("digest and signature algorithms must agree and be known (E6)", () => {
  const digest = (value: Uint8Array) => ({ signerInfo: (fields: Uint8Array[]) => fields.toSpliced(2, 1, value) });
  refuses(() => decodeTimestampResponse(handmade(digest(encodeHashAlgorithm("sha384")))), "TIMESTAMP_INVALID", /disagree/);
  refuses(
    () => decodeTimestampResponse(handmade(digest(der.sequence(der.oid("1.3.14.3.2.26"))))),
    "TIMESTAMP_INVALID",
    /malformed/,
  );
  const signatureAlgorithm = (value: Uint8Array) => ({ signerInfo: (fields: Uint8Array[]) => fields.toSpliced(4, 1, value) });
  refuses(
    () => decodeTimestampResponse(handmade(signatureAlgorithm(der.sequence(der.oid("1.2.840.10045.4.1"))))),
    "TIMESTAMP_INVALID",
    /malformed/,
  );
  const rsa = signatureAlgorithm(der.sequence(der.oid("1.2.840.113549.1.1.1"), der.nil()));
  refuses(() => check(handmade(rsa)), "TIMESTAMP_INVALID", /not signed by/);
  refuses(
    () => decodeTimestampResponse(handmade({ signerInfo: (fields) => fields.toSpliced(0, 1, der.integer(3)) })),
    "TIMESTAMP_INVALID",
    /wrong version/,
  );
});

test("a signer may be named by its key identifier", () => {
  const byKey = handmade({
    signerInfo: (fields) => fields.toSpliced(0, 2, der.integer(3), der.contextPrimitive(0, tsa.certificate.subjectKeyId!)),
  });
  check(byKey);
  const byOther = handmade({
    signerInfo: (fields) => fields.toSpliced(0, 2, der.integer(3), der.contextPrimitive(0, Uint8Array.of(1, 2))),
  });
  refuses(() => check(byOther), "TIMESTAMP_INVALID", /not of a trusted/);
});

test("the signer's purpose is timeStamping, critical and alone; it signs, and is no authority (T21, E7)", () => {
  const bad: readonly (readonly [Parameters<typeof clock>[1], RegExp])[] = [
    [withoutExtension(EXTENSION.extendedKeyUsage), /purpose/],
    [withExtensions(extendedKeyUsage([PURPOSE.timeStamping], false)), /purpose/],
    [withExtensions(extendedKeyUsage([PURPOSE.timeStamping, PURPOSE.codeSigning], true)), /purpose/],
    [withExtensions(extendedKeyUsage([PURPOSE.codeSigning], true)), /purpose/],
    [withExtensions(extendedKeyUsage([PURPOSE.any], true)), /purpose/],
    [withExtensions(keyUsage("keyCertSign")), /digital signatures/],
    [withoutExtension(EXTENSION.keyUsage), /digital signatures/],
  ];
  for (const [change, words] of bad) {
    const holder = clock(top, change);
    refuses(
      () => check(respond({ holder }), [{ ...trusted, chain: [holder.certificate, top.certificate] }]),
      "TIMESTAMP_INVALID",
      words,
    );
    refuses(() => check(respond({ holder, certificates: [holder.certificate] }), [rootOnly]), "TIMESTAMP_INVALID", words);
  }
  const ca = clock(top, withExtensions(basicConstraints(true), keyUsage("digitalSignature", "keyCertSign")));
  refuses(
    () => check(respond({ holder: ca, certificates: [ca.certificate] }), [rootOnly]),
    "TIMESTAMP_INVALID",
    /is an authority/,
  );
});

test("the path is valid at the token's time (E7)", () => {
  const at = (timeMs: number, chain: TimestampAuthority = { ...trusted, startMs: 0 }): unknown =>
    check(respond({ timeMs }), [chain]);
  at(tsa.certificate.notBeforeMs);
  at(tsa.certificate.notAfterMs);
  refuses(() => at(tsa.certificate.notBeforeMs - 1000), "TIMESTAMP_INVALID", /does not lead/);
  refuses(() => at(tsa.certificate.notAfterMs + 1000), "TIMESTAMP_INVALID", /does not lead/);
  const expired = root("clock root", (fields) => ({ ...fields, notAfterMs: NOW - HOUR })).certificate;
  refuses(() => at(NOW, { ...trusted, chain: [tsa.certificate, expired] }), "TIMESTAMP_INVALID", /does not lead/);
});

test("the token's time is inside the authority's window, both ends included (E8)", () => {
  const at = (startMs: number, endMs: number | undefined): unknown =>
    check(respond({ timeMs: NOW }), [{ ...trusted, startMs, endMs }]);
  at(NOW, NOW);
  at(NOW, undefined);
  refuses(() => at(NOW + 1, undefined), "TIMESTAMP_INVALID", /window/);
  refuses(() => at(NOW - HOUR, NOW - 1), "TIMESTAMP_INVALID", /window/);
  refuses(() => at(Number.NaN, undefined), "TIMESTAMP_INVALID", /window/);
  refuses(() => at(NOW, Number.NaN), "TIMESTAMP_INVALID", /window/);
});

test("each authority is one chain with one window: they are never mixed", () => {
  const other = root("clock root two");
  const [wrongWindow, wrongChain] = [
    { ...trusted, startMs: NOW + HOUR },
    { ...trusted, chain: [clock(other).certificate, other.certificate] },
  ];
  refuses(() => check(respond({ timeMs: NOW }), [wrongWindow, wrongChain]), "TIMESTAMP_INVALID", /window/);
  const proven = check(respond({ timeMs: NOW }), [wrongWindow, wrongChain, trusted]);
  assert.equal(proven.authority, trusted);
});

test("a statement of another version is refused", () => {
  const fields = der.openDer(info());
  fields.next();
  const rest: Uint8Array[] = [];
  while (!fields.done) rest.push(fields.next().whole);
  refuses(() => check(craft({ info: der.sequence(der.integer(2), ...rest) })), "TIMESTAMP_INVALID", /unknown version/);
});

test("an accuracy out of its range, or an authority without a chain, is refused", () => {
  const fields = der.openDer(info({ accuracySeconds: 1 }));
  const before = [fields.next(), fields.next(), fields.next(), fields.next(), fields.next()].map(({ whole }) => whole);
  const withAccuracy = (...parts: readonly Uint8Array[]): Uint8Array =>
    craft({ info: der.sequence(...before, der.sequence(...parts)) });
  check(withAccuracy(der.integer(1), der.contextPrimitive(0, Uint8Array.of(5)), der.contextPrimitive(1, Uint8Array.of(3, 0xe7))));
  for (const parts of [
    [der.contextPrimitive(0, Uint8Array.of(3, 0xe8))],
    [der.contextPrimitive(1, Uint8Array.of(0xff))],
    [der.nil()],
  ]) {
    refuses(() => check(withAccuracy(...parts)), "TIMESTAMP_INVALID", /malformed/);
  }
  refuses(() => check(respond(), [{ ...trusted, chain: [] }]), "TIMESTAMP_INVALID", /no anchor/);
});

test("a critical extension in the statement is refused; bounds on embedded certificates hold", () => {
  const fields = der.openDer(info());
  const parts: Uint8Array[] = [];
  while (!fields.done) parts.push(fields.next().whole);
  const extension = (critical: boolean): Uint8Array =>
    der.context(1, der.sequence(der.oid("1.2.3"), critical ? der.boolean(true) : new Uint8Array(), der.octets()));
  check(craft({ info: der.sequence(...parts, extension(false)) }));
  refuses(() => check(craft({ info: der.sequence(...parts, extension(true)) })), "TIMESTAMP_INVALID", /critical/);
  check(respond({ certificates: Array.from({ length: 10 }, () => tsa.certificate) }));
  refuses(
    () => check(respond({ certificates: Array.from({ length: 11 }, () => tsa.certificate) })),
    "TIMESTAMP_INVALID",
    /malformed/,
  );
});

test("a token agrees with itself when the certificate it carries signed it, whoever that is", () => {
  const agrees = (response: Uint8Array): void => checkEmbeddedSigner(decodeTimestampResponse(response));
  const stranger = clock(root("stranger clock root"), undefined, "foreign clock");
  agrees(respond({ holder: stranger, certificates: [stranger.certificate] }));
  agrees(respond({ holder: stranger }));
  refuses(
    () => agrees(respond({ holder: stranger, certificates: [tsa.certificate] })),
    "TIMESTAMP_INVALID",
    /not the one it names/,
  );
  refuses(
    () => agrees(respond({ holder: { ...stranger, key: keyOf("thief") }, certificates: [stranger.certificate] })),
    "TIMESTAMP_INVALID",
    /not signed by/,
  );
  refuses(() => agrees(craft({ attributes: changed(CMS.messageDigest) })), "TIMESTAMP_INVALID", /content's digest/);
});

test("embedded certificates that cannot be read do not spoil a good token", () => {
  const junk = { der: der.sequence(der.nil()) } as unknown as Certificate;
  check(respond({ certificates: [junk, tsa.certificate] }), [rootOnly]);
});

test("the nonce is echoed as it was, whatever its size or sign", () => {
  for (const nonce of [
    Uint8Array.of(0),
    Uint8Array.of(0xff),
    Uint8Array.of(0, 0x80),
    new Uint8Array(20).fill(0x7f),
    0n,
    1n << 200n,
  ]) {
    const request = decodeTimestampRequest(
      encodeTimestampRequest({ imprint: { hash: "sha256", digest: new Uint8Array(32) }, nonce }),
    );
    const { info: stated } = decodeTimestampResponse(respond({ nonce: request.nonce! }));
    assert.deepEqual(stated.nonce, request.nonce);
    if (nonce instanceof Uint8Array) assert.deepEqual(stated.nonce, nonce);
  }
  assert.equal(decodeTimestampResponse(respond()).info.nonce, undefined);
});

test("requests are read as clients send them; others are refused", () => {
  const imprint = { hash: "sha256", digest: hash("sha256", signature) } as const;
  const bare = decodeTimestampRequest(encodeTimestampRequest({ imprint }));
  assert.deepEqual(
    { ...bare, imprint: { ...bare.imprint, digest: toHex(bare.imprint.digest) } },
    {
      imprint: { oid: "2.16.840.1.101.3.4.2.1", hash: "sha256", digest: toHex(imprint.digest) },
      policy: undefined,
      nonce: undefined,
      certReq: false,
      extensions: [],
    },
  );
  const digestOf = (oid: string, digest: Uint8Array): Uint8Array =>
    der.sequence(der.sequence(der.oid(oid), der.nil()), der.octets(digest));
  const sha1 = der.sequence(der.integer(1), digestOf("1.3.14.3.2.26", new Uint8Array(20)));
  assert.deepEqual(
    [decodeTimestampRequest(sha1).imprint.hash, decodeTimestampRequest(sha1).imprint.oid],
    [undefined, "1.3.14.3.2.26"],
  );
  const asked = digestOf("2.16.840.1.101.3.4.2.1", imprint.digest);
  const withExtension = der.sequence(
    der.integer(1),
    asked,
    der.boolean(true),
    der.context(0, der.sequence(der.oid("1.2.3"), der.octets(Uint8Array.of(1)))),
  );
  assert.deepEqual(
    decodeTimestampRequest(withExtension).extensions.map(({ oid }) => oid),
    ["1.2.3"],
  );
  const longPolicy = `1.2.${Array.from({ length: 200 }, () => "1").join(".")}`;
  const bad = [
    der.sequence(der.integer(2), asked),
    der.sequence(der.integer(1)),
    der.sequence(der.integer(1), asked, der.boolean(false)),
    der.sequence(der.integer(1), asked, der.nil()),
    concat(encodeTimestampRequest({ imprint }), Uint8Array.of(0)),
    encodeTimestampRequest({ imprint, policy: longPolicy }),
    new Uint8Array(),
    utf8("{}"),
    der.sequence(der.integer(1), asked, der.context(0)),
  ];
  for (const bytes of bad) refuses(() => decodeTimestampRequest(bytes), "REQUEST_INVALID");
});

test("refuses one value too many, wherever it stands", () => {
  // The embedded certificate has a test of its own. NULL parameters of a digest algorithm mean what absent ones do.
  const response = respond({ nonce: 7n });
  const withNull = (bytes: Uint8Array): number => toHex(bytes).split(toHex(encodeHashAlgorithm("sha256", "null"))).length;
  for (const bytes of stuffed(response)) {
    if (withNull(bytes) > withNull(response)) check(bytes);
    else
      assert.throws(
        () => check(bytes),
        (error) => error instanceof LacreError,
        toHex(bytes),
      );
  }
  // The same in what is signed, signed again after the change.
  for (const changedInfo of stuffed(info({ nonce: 7n, accuracySeconds: 1, tsaName: tsa.certificate.subject }))) {
    refuses(() => check(craft({ info: changedInfo })), "TIMESTAMP_INVALID", /malformed/);
  }
  for (const named of stuffed(certificateId(tsa.certificate, encodeHashAlgorithm("sha256", "null")))) {
    refuses(() => check(craft({ attributes: changed(V2, named) })), "TIMESTAMP_INVALID", /is malformed|not of a trusted/);
  }
  const third = (standard: ReadonlyMap<string, Uint8Array>): readonly Uint8Array[] => [
    ...entries(standard),
    der.sequence(der.oid("1.2.3"), der.setOf(der.nil()), der.nil()),
  ];
  refuses(() => check(craft({ attributes: third })), "TIMESTAMP_INVALID", /malformed/);
  for (const bytes of stuffed(
    encodeTimestampRequest({ imprint: { hash: "sha256", digest: new Uint8Array(32) }, nonce: 7n, certReq: true, policy: POLICY }),
  )) {
    refuses(() => decodeTimestampRequest(bytes), "REQUEST_INVALID");
  }
});

test("no damage to a token or a request gets past as anything but an answer (T18, T39)", () => {
  const response = respond({ certificates: [tsa.certificate], nonce: 7n });
  let proven = 0;
  for (const bytes of damaged(response)) {
    answers(
      () => {
        check(bytes);
        proven++;
      },
      toHex(bytes.subarray(0, 40)),
    );
  }
  // What was not signed may change: digestAlgorithms, versions, the embedded certificate (pinned by the root).
  assert.ok(proven > 0);
  const request = encodeTimestampRequest({
    imprint: { hash: "sha256", digest: new Uint8Array(32) },
    nonce: 7n,
    certReq: true,
    policy: POLICY,
  });
  for (const bytes of damaged(request)) answers(() => decodeTimestampRequest(bytes), toHex(bytes));
});
