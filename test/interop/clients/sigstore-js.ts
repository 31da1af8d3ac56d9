// SPDX-License-Identifier: Apache-2.0
// sigstore-js 5 as a program: its own TUF client, its signing-config builder (log v2), its verifier.
//   sigstore-js.ts sign-blob|attest-blob MIRROR ROOT CACHE TOKEN FILE BUNDLE
//   sigstore-js.ts sign-blob-v1|attest-blob-v1 URL TOKEN FILE BUNDLE      the plain package, which speaks the v1 dialect alone
//   sigstore-js.ts verify-blob|verify-attestation MIRROR ROOT CACHE IDENTITY ISSUER FILE BUNDLE
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { basename } from "node:path";
import { bundleToJSON } from "@sigstore/bundle";
import { SigningConfig } from "@sigstore/protobuf-specs";
import { bundleBuilderFromSigningConfig } from "@sigstore/sign";
import { initTUF } from "@sigstore/tuf";
import { attest, createVerifier, sign as signV1 } from "sigstore";

const [verb, mirrorURL, rootPath, cachePath, ...rest] = process.argv.slice(2) as [string, string, string, string, ...string[]];

async function sign(kind: "messageSignature" | "dsseEnvelope", token: string, file: string, out: string): Promise<void> {
  const tuf = await initTUF({ mirrorURL, rootPath, cachePath });
  const signingConfig = SigningConfig.fromJSON(JSON.parse(await tuf.getTarget("signing_config.v0.2.json")));
  const builder = bundleBuilderFromSigningConfig({
    signingConfig,
    identityProvider: { getToken: () => Promise.resolve(token) },
    bundleType: kind,
  });
  const bytes = readFileSync(file);
  const bundle = await builder.create(
    kind === "messageSignature" ? { data: bytes } : { data: statement(file, bytes), type: IN_TOTO },
  );
  writeFileSync(out, JSON.stringify(bundleToJSON(bundle)));
}

const IN_TOTO = "application/vnd.in-toto+json";

function statement(file: string, bytes: Uint8Array): Buffer {
  const made = {
    _type: "https://in-toto.io/Statement/v1",
    subject: [{ name: basename(file), digest: { sha256: createHash("sha256").update(bytes).digest("hex") } }],
    predicateType: "https://slsa.dev/provenance/v1",
    predicate: {
      buildDefinition: { buildType: "https://example.com/build", externalParameters: {} },
      runDetails: { builder: { id: "https://example.com/builder" } },
    },
  };
  return Buffer.from(JSON.stringify(made));
}

async function signPlain(isAttestation: boolean, url: string, token: string, file: string, out: string): Promise<void> {
  const options = { fulcioURL: url, rekorURL: url, tsaServerURL: url, identityToken: token };
  const bytes = readFileSync(file);
  const bundle = isAttestation ? await attest(statement(file, bytes), IN_TOTO, options) : await signV1(bytes, options);
  writeFileSync(out, JSON.stringify(bundle));
}

async function verify(identity: string, issuer: string, file: string, bundlePath: string, message: boolean): Promise<void> {
  const verifier = await createVerifier({
    tufMirrorURL: mirrorURL,
    tufRootPath: rootPath,
    tufCachePath: cachePath,
    certificateIssuer: issuer,
    certificateIdentityEmail: identity,
  });
  const bundle = JSON.parse(readFileSync(bundlePath, "utf8"));
  if (message) verifier.verify(bundle, readFileSync(file));
  else verifier.verify(bundle);
}

const [a, b, c, d] = rest as [string, string, string, string];
if (verb === "sign-blob-v1" || verb === "attest-blob-v1")
  await signPlain(verb === "attest-blob-v1", mirrorURL, rootPath, cachePath, a);
else if (verb === "sign-blob") await sign("messageSignature", a, b, c);
else if (verb === "attest-blob") await sign("dsseEnvelope", a, b, c);
else if (verb === "verify-blob") await verify(a, b, c, d, true);
else if (verb === "verify-attestation") await verify(a, b, c, d, false);
else throw new Error(`unknown verb ${verb}`);
