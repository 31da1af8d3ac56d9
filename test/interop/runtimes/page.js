// SPDX-License-Identifier: Apache-2.0
// The page's program: what a person chose goes to the library, and the verdict is shown as JSON.
import * as library from "./browser.js";
import { judge } from "./judge.js";

const { createVerifier, decodeTrustedRoot, readArtifact } = library;
const find = (id) => document.getElementById(id);
const dropped = {};

async function octets(id) {
  const file = dropped[id] ?? find(id).files[0];
  return new Uint8Array(await file.arrayBuffer());
}

async function verify() {
  find("verdict").textContent = "";
  const bundle = await octets("bundle");
  const { rootSource, nowMs } = globalThis.circumstances;
  const verifier = createVerifier({ trustedRoot: decodeTrustedRoot(await octets("root")), rootSource });
  const file = dropped.file ?? find("file").files[0];
  find("progress").max = file.size;
  const artifact = await readArtifact(file, bundle, { onProgress: (done) => (find("progress").value = done) });
  const policy = { identities: [{ identity: { exact: find("identity").value }, issuer: { exact: find("issuer").value } }] };
  find("verdict").textContent = JSON.stringify(verifier.verify({ bundle, artifact, policy, nowMs }));
}

find("verify").addEventListener("click", () => {
  verify().catch((error) => {
    find("verdict").textContent = JSON.stringify({ error: error.code ?? String(error) });
  });
});

// Dropped together: the seal is the one that ends as seals do.
find("drop").addEventListener("dragover", (event) => event.preventDefault());
find("drop").addEventListener("drop", (event) => {
  event.preventDefault();
  for (const file of event.dataTransfer.files) dropped[file.name.endsWith(".sigstore.json") ? "bundle" : "file"] = file;
});

/** For the test alone: cases as data. */
globalThis.judgeAll = (questions) => judge(library, questions);
globalThis.isReady = true;
