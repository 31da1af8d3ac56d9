// SPDX-License-Identifier: Apache-2.0
/** Times that are not proved (blocks D and E). The forms of tokens are tested in the x509 room. */
import { test } from "node:test";
import { toBase64, utf8 } from "@lacre/core/bytes";
import { der } from "@lacre/core/codec";
import { generateKey, hash, sha256 } from "@lacre/core/crypto";
import { encodeName, PURPOSE, timestampLeafFields, type CertificateFields } from "@lacre/core/x509";
import {
  ARTIFACT,
  authorityInstance,
  createWorkshop,
  flip,
  issue,
  seal,
  SIGNED_MS,
  stampOne,
  type Mutable,
  type Recipe,
  type TokenParts,
  type Workshop,
} from "../workshop/workshop.ts";
import { accepts, assertRefused, judge, refuses, workshop } from "./trial.ts";

const V2: Recipe = { dialect: "v2" };
const tokensOf = (bundle: Mutable): Mutable[] => bundle["verificationMaterial"].timestampVerificationData.rfc3161Timestamps;

// D3: no time is no time.

refuses("a log of tiles without a timestamp", { recipe: { ...V2, timestamp: false } }, "D3", "TIME_MISSING", { recipe: V2 });
refuses(
  "an empty list of timestamps",
  { recipe: { ...V2, bundle: (bundle) => void (tokensOf(bundle).length = 0) } },
  "D3",
  "TIME_MISSING",
);
refuses("one time where two are required", { recipe: V2, options: { times: 2 } }, "D3", "TIME_MISSING", { recipe: V2 });
refuses("a promise where a timestamp is required", { options: { timestamps: 1 } }, "D3", "TIME_MISSING", "none");
accepts("a timestamp and a promise where two times are required", {
  recipe: { timestamp: true },
  options: { times: 2, timestamps: 1 },
});

/** A second token, by the same authority. */
const twice: Recipe = { ...V2, bundle: (bundle) => void tokensOf(bundle).push(tokensOf(bundle)[0]!) };
accepts("the same timestamp twice", { recipe: twice });
refuses("the same timestamp twice where two times are required", { recipe: twice, options: { times: 2 } }, "D3", "TIME_MISSING", {
  recipe: twice,
});

/** A second authority, in the root. */
const second = createWorkshop();
function alsoBy(uri: string, change: (parts: TokenParts) => void = () => {}): Recipe {
  // One signature, so that both tokens are over it.
  const sealed = seal(workshop, V2);
  return {
    ...V2,
    bundle: (bundle) => {
      Object.assign(bundle, structuredClone(sealed.bundle));
      tokensOf(bundle).push({ signedTimestamp: toBase64(stampOne(second, sealed.signature, change)) });
    },
    root: (root) =>
      void root["timestampAuthorities"].push(
        authorityInstance(uri, "second clock", [second.tsa.leaf, second.tsa.certificate, second.tsa.root]),
      ),
  };
}
const OTHER_HOST = "https://clock.elsewhere.test/api/v1/timestamp";
accepts("two timestamps by two authorities where two times are required", {
  recipe: alsoBy(OTHER_HOST),
  options: { times: 2, timestamps: 2 },
});
refuses(
  "two timestamps by two authorities of one host where two times are required",
  { recipe: alsoBy("https://clock.workshop.test:444/other"), options: { times: 2 } },
  "D3",
  "TIME_MISSING",
  { recipe: alsoBy("https://clock.workshop.test:444/other") },
);

// H2: every time counts.

refuses(
  "two times of which one is after the certificate's end",
  { recipe: alsoBy(OTHER_HOST, ({ fields }) => void Object.assign(fields, { timeMs: SIGNED_MS + 20 * 60_000 })) },
  "H2",
  "CERT_EXPIRED",
  { recipe: alsoBy(OTHER_HOST) },
);
refuses(
  "two times of which one is before the certificate's beginning",
  { recipe: alsoBy(OTHER_HOST, ({ fields }) => void Object.assign(fields, { timeMs: SIGNED_MS - 2 * 60_000 })) },
  "H2",
  "CERT_NOT_YET_VALID",
  { recipe: alsoBy(OTHER_HOST) },
);
refuses(
  "a promise within the certificate's life and a timestamp after it",
  { recipe: { timestamp: true, token: ({ fields }) => void Object.assign(fields, { timeMs: SIGNED_MS + 20 * 60_000 }) } },
  "H2",
  "CERT_EXPIRED",
);

// E9: one bad token beside a good one.

refuses(
  "a good timestamp beside one that does not verify",
  { recipe: { ...alsoBy(OTHER_HOST, (parts) => void (parts.key = generateKey("P-256"))) } },
  "E6",
  "TIMESTAMP_INVALID",
  { recipe: alsoBy(OTHER_HOST) },
);
refuses(
  "a good timestamp beside one of an unknown authority",
  { recipe: { ...alsoBy(OTHER_HOST), root: () => {} } },
  "E5",
  "TIMESTAMP_INVALID",
  { recipe: alsoBy(OTHER_HOST) },
);
refuses(
  "a promise beside a timestamp, where the root has no timestamp authority",
  { recipe: { timestamp: true, root: (root) => void (root["timestampAuthorities"] = []) } },
  "E5",
  "TIMESTAMP_INVALID",
);

// D4.

refuses("a time in the future", { recipe: V2, nowMs: SIGNED_MS - 5 * 60_000 - 1 }, "D4", "TIME_IN_FUTURE", { recipe: V2 });
refuses("a promised time in the future", { nowMs: SIGNED_MS - 5 * 60_000 - 1 }, "D4", "TIME_IN_FUTURE", {});
accepts("a time ahead by what clocks may differ", { recipe: V2, nowMs: SIGNED_MS - 5 * 60_000 });

// E1, E2.

refuses(
  "a timestamp that was not granted",
  { recipe: { ...V2, response: () => der.sequence(der.sequence(der.integer(2))) } },
  "E1",
  "TIMESTAMP_INVALID",
);
refuses(
  "a timestamp that was granted without a token",
  { recipe: { ...V2, response: () => der.sequence(der.sequence(der.integer(0))) } },
  "E1",
  "TIMESTAMP_INVALID",
);
refuses(
  "a refusal that carries a token",
  { recipe: { ...V2, response: (response) => der.sequence(der.sequence(der.integer(2)), tokenOf(response)) } },
  "E1",
  "TIMESTAMP_INVALID",
);
refuses(
  "a timestamp with bytes behind it",
  { recipe: { ...V2, response: (response) => Uint8Array.of(...response, 0) } },
  "E2",
  "TIMESTAMP_INVALID",
);
refuses("a token in place of a response", { recipe: { ...V2, response: tokenOf } }, "E2", "TIMESTAMP_INVALID");
refuses("a timestamp that is no DER", { recipe: { ...V2, response: () => utf8("not DER") } }, "E2", "TIMESTAMP_INVALID");
refuses(
  "a timestamp with an indefinite length",
  { recipe: { ...V2, response: (response) => Uint8Array.of(0x30, 0x80, ...response.subarray(4), 0, 0) } },
  "E2",
  "TIMESTAMP_INVALID",
);

function tokenOf(response: Uint8Array): Uint8Array {
  const fields = der.openDer(response);
  fields.next();
  return fields.next().whole;
}

// E3: a timestamp over anything but this bundle's raw signature.

for (const [what, imprint] of Object.entries({
  "the artifact": () => ARTIFACT,
  "the artifact's digest": () => sha256(ARTIFACT),
  "another signature": () => seal(workshop).signature,
  "the base64 text of the signature": (signature: Uint8Array) => utf8(toBase64(signature)),
  "the digest of the signature": (signature: Uint8Array) => sha256(signature),
})) {
  refuses(`a timestamp over ${what}`, { recipe: { ...V2, imprint } }, "E3", "TIMESTAMP_MISMATCH");
  refuses(`a timestamp over ${what}, beside a promise`, { recipe: { timestamp: true, imprint } }, "E3", "TIMESTAMP_MISMATCH");
}
refuses(
  "another signature than was dated",
  { recipe: { ...V2, shown: { signature: seal(workshop).signature } } },
  "E3",
  "TIMESTAMP_MISMATCH",
);

// E4 to E8. The signer and its certificate.

refuses(
  "a timestamp with a changed signature",
  { recipe: { ...V2, response: (response) => flip(response, response.length - 2) } },
  "E6",
  "TIMESTAMP_INVALID",
);
refuses(
  "a timestamp by another key",
  { recipe: { ...V2, token: (parts) => void (parts.key = generateKey("P-256")) } },
  "E6",
  "TIMESTAMP_INVALID",
);

function clock(
  change: (fields: CertificateFields) => CertificateFields = (fields) => fields,
  { list = true, under = workshop }: { readonly list?: boolean; readonly under?: Workshop } = {},
): Recipe {
  const key = generateKey("P-256");
  const fields = timestampLeafFields({
    serial: Uint8Array.of(1, 2, 3),
    publicKey: key.publicKey,
    issuer: under.tsa.certificate,
    subject: encodeName({ O: "workshop clock", CN: "second" }),
    notBeforeMs: SIGNED_MS - 1000,
    notAfterMs: SIGNED_MS + 1000,
  });
  const leaf = issue(change(fields), under.tsa.key);
  return {
    ...V2,
    token: (parts) => {
      parts.key = key;
      Object.assign(parts.fields, { signer: leaf, certificates: [leaf] });
    },
    root: (root) => {
      const [listed] = root["timestampAuthorities"] as Mutable[];
      listed!["certChain"].certificates.splice(0, 1, ...(list ? [{ rawBytes: toBase64(leaf.der) }] : []));
    },
  };
}
const withExtension =
  (oid: string, extension: CertificateFields["extensions"][number] | undefined) =>
  (fields: CertificateFields): CertificateFields => ({
    ...fields,
    extensions: fields.extensions.flatMap((found) => (found.oid !== oid ? [found] : extension === undefined ? [] : [extension])),
  });
const EKU = "2.5.29.37";
const purposes = (critical: boolean, ...oids: readonly string[]) =>
  withExtension(EKU, { oid: EKU, critical, value: der.sequence(...oids.map((oid) => der.oid(oid))) });
const GOOD_CLOCK = { recipe: clock() };
accepts("a timestamp whose signer the root lists", GOOD_CLOCK);
accepts("a timestamp whose signer is embedded, under an authority the root lists", { recipe: clock(undefined, { list: false }) });
for (const [what, change] of Object.entries({
  "whose purpose is not critical": purposes(false, PURPOSE.timeStamping),
  "with a second purpose": purposes(true, PURPOSE.timeStamping, PURPOSE.codeSigning),
  "for code signing": purposes(true, PURPOSE.codeSigning),
  "without a purpose": withExtension(EKU, undefined),
  "that is not for signatures": withExtension("2.5.29.15", { oid: "2.5.29.15", critical: true, value: der.flags(2) }),
})) {
  refuses(`a timestamp by a signer ${what}`, { recipe: clock(change, { list: false }) }, "E7", "TIMESTAMP_INVALID", {
    recipe: clock(undefined, { list: false }),
  });
}
refuses(
  "a timestamp after its signer's certificate ended",
  { recipe: clock((fields) => ({ ...fields, notAfterMs: SIGNED_MS - 1000 })) },
  "E7",
  "TIMESTAMP_INVALID",
  GOOD_CLOCK,
);
refuses(
  "a timestamp before its signer's certificate began",
  { recipe: clock((fields) => ({ ...fields, notBeforeMs: SIGNED_MS + 1000 })) },
  "E7",
  "TIMESTAMP_INVALID",
  GOOD_CLOCK,
);
refuses(
  "a timestamp by an embedded signer of another authority with the same name",
  { recipe: clock(undefined, { list: false, under: second }) },
  "E7",
  "TIMESTAMP_INVALID",
  { recipe: clock(undefined, { list: false }) },
);
refuses(
  "a timestamp by an embedded signer where the root lists another one",
  { recipe: { ...clock(undefined, { list: false }), root: () => {} } },
  "E5",
  "TIMESTAMP_INVALID",
  { recipe: V2 },
);
test("a forged certificate embedded before the real one changes nothing", () => {
  const forged = issue(
    timestampLeafFields({
      serial: workshop.tsa.leaf.serial,
      publicKey: generateKey("P-256").publicKey,
      issuer: second.tsa.certificate,
      subject: workshop.tsa.leaf.subject,
      notBeforeMs: SIGNED_MS - 1000,
      notAfterMs: SIGNED_MS + 1000,
    }),
    second.tsa.key,
  );
  const recipe: Recipe = {
    ...V2,
    token: ({ fields }) => void Object.assign(fields, { certificates: [forged, workshop.tsa.leaf] }),
  };
  const verdict = judge({ recipe });
  if (verdict.outcome !== "verified") throw new Error("a good token was refused");
  // The forger's own token, under the name and serial of the real signer.
  const key = generateKey("P-256");
  const posing = issue(
    timestampLeafFields({
      serial: workshop.tsa.leaf.serial,
      publicKey: key.publicKey,
      issuer: second.tsa.certificate,
      subject: workshop.tsa.leaf.subject,
      notBeforeMs: SIGNED_MS - 1000,
      notAfterMs: SIGNED_MS + 1000,
    }),
    second.tsa.key,
  );
  const token = (parts: TokenParts): void => {
    parts.key = key;
    Object.assign(parts.fields, { signer: posing, certificates: [posing, workshop.tsa.leaf] });
  };
  assertRefused(judge({ recipe: { ...V2, token } }), "E5", "TIMESTAMP_INVALID");
});

const inTsa = (change: (authority: Mutable) => void): Recipe => ({
  ...V2,
  root: (root) => change(root["timestampAuthorities"][0]),
});
refuses(
  "a timestamp after the authority's window",
  { recipe: inTsa((authority) => void (authority["validFor"].end = new Date(SIGNED_MS - 1).toISOString())) },
  "E8",
  "TIMESTAMP_INVALID",
);
refuses(
  "a timestamp before the authority's window",
  { recipe: inTsa((authority) => void (authority["validFor"].start = new Date(SIGNED_MS + 1).toISOString())) },
  "E8",
  "TIMESTAMP_INVALID",
);
accepts("a timestamp at the last moment of the authority's window", {
  recipe: inTsa((authority) => void (authority["validFor"].end = new Date(SIGNED_MS).toISOString())),
});
refuses(
  "a timestamp of an authority that is not in the root",
  { recipe: { ...V2, root: (root) => void (root["timestampAuthorities"] = []) } },
  "E5",
  "TIMESTAMP_INVALID",
);
for (const name of ["sha384", "sha512"] as const) {
  accepts(`a timestamp with a ${name} imprint`, { recipe: { ...V2, token: () => {}, ...imprintBy(name) } });
}

function imprintBy(name: "sha384" | "sha512"): Recipe {
  let signature: Uint8Array = new Uint8Array();
  return {
    imprint: (bytes) => (signature = bytes),
    token: ({ fields }) => void Object.assign(fields, { imprint: { hash: name, digest: hash(name, signature) } }),
  };
}
