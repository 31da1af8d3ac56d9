// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import test from "node:test";
import { text, utf8 } from "../bytes/index.ts";
import { LacreError, type LacreCode } from "../errors.ts";
import { MEDIA } from "./descriptor.ts";
import { artifactTypeOf, decodeManifest, encodeIndex, encodeManifest, MAX_DESCRIPTORS } from "./manifest.ts";

// Stored by cosign 3.1.1 and 2.6.4, as a registry gave them back.
const BUNDLE = `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.empty.v1+json","size":2,"digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","artifactType":"application/vnd.dev.sigstore.bundle.v0.3+json"},"layers":[{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","size":4817,"digest":"sha256:06ffe6586c37910ad8bc521b8a760a695c31b80a8658f241e42897fb324a5f52"}],"annotations":{"dev.sigstore.bundle.content":"dsse-envelope","dev.sigstore.bundle.predicateType":"https://sigstore.dev/cosign/sign/v1","org.opencontainers.image.created":"2026-11-24T09:09:42Z"},"subject":{"mediaType":"application/vnd.docker.distribution.manifest.v2+json","size":423,"digest":"sha256:abb5dc376f7915d99bf0fcb0895eac15b6e6dfd54278489752fa5afcb2108794"},"artifactType":"application/vnd.dev.sigstore.bundle.v0.3+json"}`;
const SIGNATURE = `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","size":233,"digest":"sha256:9d947f27b10bf45c8f801d99647d760a2b90c2761d7c64b3340e4d9d461dacb9"},"layers":[{"mediaType":"application/vnd.dev.cosign.simplesigning.v1+json","size":240,"digest":"sha256:f3524fc5b86d4c6833626166484e17be86f0d8d3ffa1102b079299373a992182","annotations":{"dev.cosignproject.cosign/signature":"MEUCIQDdZgCsZRA+PrNO4VzdkCz0fbHrqIMTsF8cdKlPFEZDMgIgH/7RaCia5IEURFKoCTPtBFl2hCfynUFjXy+ZnJRYSv4="}}]}`;
const INDEX = `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","size":390,"digest":"sha256:a76fad829431f33e8bf91a581a48081cd082a459e57dd3f9999307fa81d9dcd7","platform":{"architecture":"amd64","os":"linux"}},{"mediaType":"application/vnd.oci.image.manifest.v1+json","size":390,"digest":"sha256:a76fad829431f33e8bf91a581a48081cd082a459e57dd3f9999307fa81d9dcd7","platform":{"architecture":"arm64","os":"darwin"}}],"annotations":{"k":"v"}}`;

const DIGEST = `sha256:${"ab".repeat(32)}`;
const CONFIG = { mediaType: MEDIA.config, digest: DIGEST, size: 2 };

function refuses(document: unknown, code: LacreCode, mediaType?: string): LacreError {
  let thrown: unknown;
  try {
    decodeManifest(utf8(typeof document === "string" ? document : JSON.stringify(document)), mediaType);
  } catch (error) {
    thrown = error;
  }
  assert.ok(thrown instanceof LacreError, `accepted ${JSON.stringify(document).slice(0, 100)}`);
  assert.equal(thrown.code, code, thrown.message);
  return thrown;
}

test("what cosign stored is read, and written again octet for octet", () => {
  for (const document of [BUNDLE, SIGNATURE]) {
    const manifest = decodeManifest(utf8(document), MEDIA.manifest);
    assert.ok(manifest.kind === "manifest");
    assert.equal(text(encodeManifest(manifest)), document);
  }
  const index = decodeManifest(utf8(INDEX), MEDIA.index);
  assert.ok(index.kind === "index");
  assert.equal(text(encodeIndex(index)), INDEX);
});

test("the artifact type is the manifest's own, or else its config's", () => {
  assert.equal(artifactTypeOf(decodeManifest(utf8(BUNDLE))), "application/vnd.dev.sigstore.bundle.v0.3+json");
  assert.equal(artifactTypeOf(decodeManifest(utf8(SIGNATURE))), MEDIA.config);
  assert.equal(artifactTypeOf(decodeManifest(utf8(INDEX))), undefined);
});

test("refuses a document that two readers could take for two things", () => {
  const manifest = { schemaVersion: 2, config: CONFIG, layers: [] };
  refuses({ ...manifest, manifests: [] }, "MANIFEST_INVALID");
  refuses({ schemaVersion: 2, manifests: [], layers: [] }, "MANIFEST_INVALID");
  refuses({ ...manifest, mediaType: MEDIA.index }, "MANIFEST_INVALID");
  refuses({ schemaVersion: 2, mediaType: MEDIA.manifest, manifests: [] }, "MANIFEST_INVALID");
  refuses({ ...manifest, mediaType: MEDIA.manifest }, "MANIFEST_INVALID", MEDIA.dockerManifest);
  refuses(manifest, "MANIFEST_INVALID", MEDIA.index);
  refuses({ ...manifest, Layers: [] }, "MANIFEST_INVALID");
  refuses({ ...manifest, MANIFESTS: [] }, "MANIFEST_INVALID");
  refuses(`{"schemaVersion":2,"config":${JSON.stringify(CONFIG)},"layers":[],"layers":[]}`, "BAD_JSON");
});

test("refuses schemas and types that are not known", () => {
  refuses({ schemaVersion: 1, fsLayers: [] }, "MANIFEST_INVALID");
  refuses({ schemaVersion: 2, mediaType: "application/vnd.docker.distribution.manifest.v1+prettyjws" }, "MANIFEST_INVALID");
  refuses({ config: CONFIG, layers: [] }, "MANIFEST_INVALID");
  refuses({ schemaVersion: 2, mediaType: "application/json", config: CONFIG, layers: [] }, "MANIFEST_INVALID");
  refuses({ schemaVersion: 2, layers: [] }, "BAD_JSON");
  refuses("[]", "BAD_JSON");
});

test("refuses descriptors without a digest, a size or a media type", () => {
  for (const [member, value] of [
    ["digest", "sha256:ab"],
    ["digest", `sha1:${"ab".repeat(20)}`],
    ["digest", `sha256:${"AB".repeat(32)}`],
    ["size", -1],
    ["size", 1.5],
    ["size", "2"],
    ["size", 2 ** 53],
    ["mediaType", ""],
    ["mediaType", "text"],
    ["mediaType", "text/plain\r\nx: y"],
  ] as const) {
    refuses({ schemaVersion: 2, config: { ...CONFIG, [member]: value }, layers: [] }, "MANIFEST_INVALID");
    refuses({ schemaVersion: 2, config: CONFIG, layers: [{ ...CONFIG, [member]: value }] }, "MANIFEST_INVALID");
  }
});

test("limits hold at their number and not one further", () => {
  const many = (count: number): object => ({
    schemaVersion: 2,
    manifests: Array.from({ length: count }, () => ({ ...CONFIG, mediaType: MEDIA.manifest })),
  });
  const full = decodeManifest(utf8(JSON.stringify(many(MAX_DESCRIPTORS))));
  assert.ok(full.kind === "index" && full.manifests.length === MAX_DESCRIPTORS);
  refuses(many(MAX_DESCRIPTORS + 1), "TOO_LARGE");
  const padded = (length: number): string => {
    const document = JSON.stringify({ schemaVersion: 2, config: CONFIG, layers: [], annotations: { a: "" } });
    return document.replace('"a":""', `"a":"${"x".repeat(length - document.length)}"`);
  };
  decodeManifest(utf8(padded(4 << 20)));
  refuses(padded((4 << 20) + 1), "TOO_LARGE");
});

test("annotations keep their names apart from those of objects", () => {
  const manifest = decodeManifest(
    utf8(`{"schemaVersion":2,"config":${JSON.stringify(CONFIG)},"layers":[],"annotations":{"__proto__":"x","constructor":"y"}}`),
  );
  assert.deepEqual(
    { ...manifest.annotations },
    Object.fromEntries([
      ["__proto__", "x"],
      ["constructor", "y"],
    ]),
  );
});
