// SPDX-License-Identifier: Apache-2.0
// Signatures of the old kind: loose parts, the small JSON document, annotations of layers. Vectors are cosign's own; the
// refusals are made from the workshop's good bundles, taken apart (T01, T03, T04, T08, T10, T28).
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import {
  decodeBundle,
  decodeLegacyBundle,
  encodeLegacyPromise,
  isLegacyBundle,
  LEGACY_MEDIA_TYPE,
  type LegacySignature,
} from "@lacre/core/bundle";
import { fromBase64, toBase64, utf8 } from "@lacre/core/bytes";
import { formatPem, parsePem } from "@lacre/core/codec";
import { importPublicKey, sha256 } from "@lacre/core/crypto";
import type { LacreCode } from "@lacre/core/errors";
import { decodeTrustedRoot } from "@lacre/core/trust";
import { createVerifier, decidingCheck, type CheckId, type Policy, type Verdict } from "@lacre/core/verify";
import { ARTIFACT, NOW_MS, bytesOf, seal, type Recipe, type Sealed } from "../workshop/workshop.ts";
import { assertRefused, assertVerified, POLICY, summary, workshop } from "./trial.ts";

const FOLDER = join(import.meta.dirname, "..", "..", "vectors", "legacy");
const vectors = JSON.parse(readFileSync(join(FOLDER, "cosign-2.6.json"), "utf8"));
const cosignRoot = decodeTrustedRoot(readFileSync(join(FOLDER, "trusted_root.json")));
const cosignKey = importPublicKey(parsePem(vectors.publicKey));
const cosignPolicy: Policy = { identities: [{ identity: { exact: vectors.identity }, issuer: { exact: vectors.issuer } }] };

interface Layer {
  readonly name: string;
  readonly image: string;
  readonly mediaType: string;
  readonly annotations: Readonly<Record<string, string>>;
  readonly layer: string;
}

function partsOf({ mediaType, annotations, layer }: Layer): LegacySignature {
  return {
    mediaType,
    content: mediaType.includes("dsse")
      ? { kind: "envelope", envelope: fromBase64(layer) }
      : { kind: "message", signature: annotations["dev.cosignproject.cosign/signature"]! },
    certificate: annotations["dev.sigstore.cosign/certificate"],
    chain: annotations["dev.sigstore.cosign/chain"],
    rekorBundle: annotations["dev.sigstore.cosign/bundle"],
    timestamp: annotations["dev.sigstore.cosign/rfc3161timestamp"],
  };
}

function askCosign(parts: LegacySignature, layer: Layer, isKey: boolean, policy: Policy = isKey ? {} : cosignPolicy): Verdict {
  const digest = fromBase64(Buffer.from(layer.image.slice("sha256:".length), "hex").toString("base64"));
  return createVerifier({ trustedRoot: cosignRoot }).verify({
    bundle: parts,
    artifact: layer.mediaType.includes("dsse")
      ? { digests: new Map([["sha256", digest]]) }
      : { digests: new Map(), message: fromBase64(layer.layer) },
    policy,
    ...(isKey ? { key: cosignKey } : {}),
    nowMs: vectors.nowMs,
  });
}

for (const layer of vectors.layers as readonly Layer[]) {
  const isKey = layer.name.includes("key");
  test(`accepts what cosign 2.6 stored beside an image: ${layer.name}`, () => {
    assertVerified(askCosign(partsOf(layer), layer, isKey));
  });
  test(`refuses it for another image or with another layer's promise: ${layer.name}`, () => {
    const other = (vectors.layers as Layer[]).find((one) => one.name !== layer.name && one.name.includes("key") === isKey)!;
    const bundle = other.annotations["dev.sigstore.cosign/bundle"];
    const verdict = askCosign({ ...partsOf(layer), rekorBundle: bundle }, layer, isKey);
    assert.equal(verdict.outcome, "refused");
    // The workshop's cases below say which check it is; here another one may come first, for cosign made these at other times.
    const codes: readonly (string | undefined)[] = ["ENTRY_MISMATCH", "ENTRY_UNSUPPORTED", "CERT_NOT_YET_VALID"];
    assert.ok(codes.includes(decidingCheck(verdict)?.code), summary(verdict));
  });
}

test("refuses an intoto 0.0.1 entry beside an envelope that says the same in other spelling", () => {
  const layer = (vectors.layers as Layer[]).find(({ name }) => name === "c2key att")!;
  const parts = partsOf(layer);
  const respelled = utf8(` ${new TextDecoder().decode(fromBase64(layer.layer))}`);
  const verdict = askCosign({ ...parts, content: { kind: "envelope", envelope: respelled } }, layer, true);
  assertRefused(verdict, "G4", "ENTRY_MISMATCH");
});

test("accepts cosign's old bundle document and detached files, raw and in base64", () => {
  const blob = fromBase64(vectors.blob);
  const ask = (parts: LegacySignature, isKey: boolean): Verdict =>
    createVerifier({ trustedRoot: cosignRoot }).verify({
      bundle: parts,
      artifact: { digests: new Map([["sha256", sha256(blob)]]) },
      policy: isKey ? {} : cosignPolicy,
      ...(isKey ? { key: cosignKey } : {}),
      nowMs: vectors.nowMs,
    });
  const of = (text: string): LegacySignature => {
    assert.ok(isLegacyBundle(utf8(text)));
    const { signature, ...rest } = decodeLegacyBundle(utf8(text));
    return { mediaType: LEGACY_MEDIA_TYPE, content: { kind: "message", signature }, ...rest };
  };
  assertVerified(ask(of(vectors.keyBundle), true));
  assertVerified(ask(of(vectors.bundle), false));
  const { rekorBundle } = of(vectors.bundle);
  const pem = new TextDecoder().decode(fromBase64(vectors.certificate));
  for (const signature of [utf8(vectors.signature), utf8(`${vectors.signature}\n`), fromBase64(vectors.signature)]) {
    for (const certificate of [utf8(vectors.certificate), utf8(pem), parsePem(pem)]) {
      for (const timestamp of [
        undefined,
        utf8(vectors.timestamp),
        fromBase64(JSON.parse(vectors.timestamp).SignedRFC3161Timestamp),
      ]) {
        assertVerified(
          ask(
            { mediaType: LEGACY_MEDIA_TYPE, content: { kind: "message", signature }, certificate, rekorBundle, timestamp },
            false,
          ),
        );
      }
    }
  }
});

/** The workshop's bundle, taken apart as old clients kept it. */
function apart(sealed: Sealed): LegacySignature {
  const bundle = decodeBundle(bytesOf(sealed.bundle));
  const { content, key, logEntries, timestamps } = bundle;
  return {
    mediaType: LEGACY_MEDIA_TYPE,
    content:
      content.kind === "message"
        ? { kind: "message", signature: toBase64(content.signature) }
        : {
            kind: "envelope",
            envelope: utf8(
              JSON.stringify({
                payload: toBase64(content.payload),
                payloadType: content.payloadType,
                signatures: [{ sig: toBase64(content.signature), keyid: "" }],
              }),
            ),
          },
    ...(key.kind === "certificate" ? { certificate: formatPem("CERTIFICATE", key.chain[0]!) } : {}),
    chain: formatPem("CERTIFICATE", workshop.authority.certificate.der) + formatPem("CERTIFICATE", workshop.authority.root.der),
    rekorBundle: logEntries[0] === undefined ? undefined : encodeLegacyPromise(logEntries[0]),
    timestamp: timestamps[0],
  };
}

interface Old {
  readonly recipe?: Recipe;
  readonly change?: (parts: LegacySignature, sealed: Sealed) => LegacySignature;
  readonly policy?: Policy;
  readonly isKey?: boolean;
  readonly artifact?: Uint8Array;
}

function judgeOld({ recipe, change, policy, isKey, artifact }: Old): Verdict {
  const sealed = seal(workshop, recipe);
  const parts = apart(sealed);
  return createVerifier({ trustedRoot: decodeTrustedRoot(bytesOf(sealed.root)) }).verify({
    bundle: change?.(parts, sealed) ?? parts,
    artifact: { digests: new Map([["sha256", sha256(artifact ?? ARTIFACT)]]) },
    policy: policy ?? (isKey === true ? {} : POLICY),
    ...(isKey === true ? { key: sealed.key.publicKey } : {}),
    nowMs: NOW_MS,
  });
}

function refusesOld(name: string, trial: Old, id: CheckId, code: LacreCode): void {
  test(`refuses ${name}`, () => {
    assertRefused(judgeOld(trial), id, code);
    const { change: _change, policy: _policy, artifact: _artifact, ...twin } = trial;
    assertVerified(judgeOld(twin));
  });
}

/** A good signature of the same artifact by the same identity: every part of it is valid, for another seal. */
const another = (recipe?: Recipe): LegacySignature => apart(seal(workshop, recipe));

refusesOld(
  "T01 a promise about another signature",
  { change: (parts) => ({ ...parts, rekorBundle: another().rekorBundle }) },
  "G1",
  "ENTRY_MISMATCH",
);
refusesOld(
  "T01 another signer's certificate beside signature and entry",
  { change: (parts) => ({ ...parts, certificate: another().certificate }) },
  "G1",
  "ENTRY_MISMATCH",
);
refusesOld(
  "T01 another signature beside certificate and entry",
  { change: (parts) => ({ ...parts, content: another().content }) },
  "G1",
  "ENTRY_MISMATCH",
);
refusesOld("T01 a payload that was not signed", { artifact: utf8("another file") }, "G1", "ENTRY_MISMATCH");
refusesOld(
  "T01 an envelope with the entry of another",
  { recipe: { content: "dsse" }, change: (parts) => ({ ...parts, rekorBundle: another({ content: "dsse" }).rekorBundle }) },
  "G3",
  "ENTRY_MISMATCH",
);
refusesOld(
  "T03 another identity",
  { policy: { identities: [{ identity: { exact: "someone@example.com" }, issuer: POLICY.identities![0]!.issuer }] } },
  "I3",
  "IDENTITY_MISMATCH",
);
refusesOld(
  "T04 a false promise beside a valid detached signature",
  {
    change: (parts) => ({
      ...parts,
      rekorBundle: (parts.rekorBundle as string).replace(/"integratedTime":\d/, '"integratedTime":2'),
    }),
  },
  "F3",
  "PROMISE_INVALID",
);
refusesOld(
  "T04 a signature without any log entry",
  { change: (parts) => ({ ...parts, rekorBundle: undefined }) },
  "F1",
  "LOG_ENTRY_MISSING",
);
refusesOld(
  "a promise that is empty",
  {
    change: (parts) => ({
      ...parts,
      rekorBundle: (parts.rekorBundle as string).replace(/"SignedEntryTimestamp":"[^"]*"/, '"SignedEntryTimestamp":""'),
    }),
  },
  "B3",
  "BUNDLE_NO_PROMISE",
);
refusesOld(
  "T10 a key where the certificate belongs",
  { change: (parts, { key }) => ({ ...parts, certificate: formatPem("PUBLIC KEY", key.publicKey.spki) }) },
  "B2",
  "BUNDLE_SHAPE",
);
refusesOld(
  "T10 a key in base64 where the certificate belongs",
  { change: (parts, { key }) => ({ ...parts, certificate: toBase64(utf8(formatPem("PUBLIC KEY", key.publicKey.spki))) }) },
  "B2",
  "BUNDLE_SHAPE",
);
refusesOld(
  "T10 the trusted key where the certificate belongs, in key mode",
  {
    isKey: true,
    recipe: { signer: "key" },
    change: (parts, { key }) => ({ ...parts, certificate: formatPem("PUBLIC KEY", key.publicKey.spki) }),
  },
  "B2",
  "BUNDLE_SHAPE",
);
refusesOld(
  "T10 a certificate beside the caller's key",
  { isKey: true, recipe: { signer: "key" }, change: (parts) => ({ ...parts, certificate: another().certificate }) },
  "A1",
  "POLICY_MISMATCH",
);
refusesOld(
  "T12 a key's signature where an identity is asked for",
  { change: ({ certificate: _certificate, ...parts }) => parts },
  "A1",
  "POLICY_MISMATCH",
);
refusesOld(
  "T23 a timestamp over another signature",
  { recipe: { timestamp: true }, change: (parts) => ({ ...parts, timestamp: another({ timestamp: true }).timestamp }) },
  "E3",
  "TIMESTAMP_MISMATCH",
);
refusesOld(
  "T28 an empty signature",
  { change: (parts) => ({ ...parts, content: { kind: "message", signature: "" } }) },
  "B2",
  "BUNDLE_SHAPE",
);
refusesOld(
  "T28 an envelope without signatures",
  {
    recipe: { content: "dsse" },
    change: (parts) => ({
      ...parts,
      content: {
        kind: "envelope",
        envelope: utf8('{"payload":"e30=","payloadType":"application/vnd.in-toto+json","signatures":[]}'),
      },
    }),
  },
  "B8",
  "BUNDLE_SHAPE",
);
refusesOld("T28 an empty certificate", { change: (parts) => ({ ...parts, certificate: "" }) }, "B2", "BUNDLE_SHAPE");
refusesOld(
  "two certificates where the signer's belongs",
  { change: (parts) => ({ ...parts, certificate: `${parts.certificate as string}${another().certificate as string}` }) },
  "B2",
  "BUNDLE_SHAPE",
);
refusesOld(
  "a chain longer than allowed",
  { change: (parts) => ({ ...parts, chain: (parts.chain as string).repeat(6) }) },
  "A3",
  "TOO_LARGE",
);
refusesOld(
  "a part larger than allowed",
  { change: (parts) => ({ ...parts, timestamp: new Uint8Array((1 << 20) + 1) }) },
  "A2",
  "TOO_LARGE",
);
refusesOld(
  "a promise with a member twice",
  { change: (parts) => ({ ...parts, rekorBundle: (parts.rekorBundle as string).replace("{", '{"Payload":{},') }) },
  "A2",
  "BAD_JSON",
);
refusesOld(
  "a signature that is not base64",
  { change: (parts) => ({ ...parts, content: { kind: "message", signature: "not base64!" } }) },
  "A4",
  "BAD_BASE64",
);
