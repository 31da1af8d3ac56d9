// SPDX-License-Identifier: Apache-2.0
// npm run interop: real clients against a real installation, each signing here and verified there, both directions.
// Arguments choose journeys by a part of their names. A client that cannot be had is reported absent; in CI that fails.
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  type Client,
  cosign,
  cosignPath,
  type Kind,
  lacre,
  type Setting,
  type Signer,
  sigstoreJs,
  sigstorePython,
  type Verifier,
} from "./clients/index.ts";
import { sigstoreGo, sigstoreJava } from "./clients/libraries.ts";
import {
  cosign26,
  cosign26Config,
  cosign26V2,
  cosign31V1,
  lacreV1,
  sigstoreJsV1,
  sigstorePython3,
  sigstorePython4V1,
} from "./clients/v1.ts";
import { cosignTrustJourneys, tufJourneys } from "./trust.ts";
import { cosign26Journeys, firstEntryJourneys, gitsignJourneys, rekorCliJourneys } from "./v1.ts";
import { awsJourneys, certificateJourneys, keyFileJourneys, tokenJourneys, vaultJourneys } from "./keys.ts";
import { imageVerificationJourneys } from "./image-verification.ts";
import { imageJourneys } from "./images.ts";
import { witnessJourneys } from "./witness.ts";
import { freePort, homeEnv, type Journey, LACRE, run, scratch, startInstance, succeed, travel } from "../harness.ts";

const DSSE_ENTRY = "9.3 #1: log entries of kind dsse 0.0.2 are not understood by newer clients";
const STATEMENT_V01 = "L1: cosign writes statements of type v0.1, sigstore-python reads v1 only";

const PAE_ENTRY = "9.3 #2: log entries of kind hashedrekord 0.0.2 over an envelope are not understood by sigstore-java 2.0";
const NO_V2 = "9.3 #19: sigstore-python 3 knows the v1 dialect alone";

/** Journeys known to fail, by signer, kind and verifier; the reasons stand in docs/compatibility.md. */
const KNOWN: Readonly<Record<string, string>> = {
  "sigstore-js 5 attestation cosign 3.1": DSSE_ENTRY,
  "sigstore-js 5 attestation sigstore-python 4": DSSE_ENTRY,
  "cosign 3.1 attestation sigstore-python 4": STATEMENT_V01,
  "cosign 3.1 (v1) attestation sigstore-python 4": STATEMENT_V01,
  "cosign 3.1 (v1) attestation sigstore-python 3.6": STATEMENT_V01,
  "cosign 2.6 by signing config attestation cosign 3.1": DSSE_ENTRY,
  "cosign 2.6 by signing config attestation sigstore-python 4": DSSE_ENTRY,
  "cosign 2.6 attestation sigstore-python 4": STATEMENT_V01,
  "cosign 2.6 attestation sigstore-python 3.6": STATEMENT_V01,
  "cosign 2.6 by signing config (v1) attestation sigstore-python 4": STATEMENT_V01,
  "cosign 2.6 by signing config (v1) attestation sigstore-python 3.6": STATEMENT_V01,
  "sigstore-js 5 attestation sigstore-go 1.2": DSSE_ENTRY,
  "cosign 2.6 by signing config attestation sigstore-go 1.2": DSSE_ENTRY,
  ...Object.fromEntries(
    ["lacre", "cosign 3.1", "sigstore-python 4"].map((name) => [`${name} attestation sigstore-java 2.0`, PAE_ENTRY]),
  ),
  ...Object.fromEntries(
    ["lacre", "cosign 3.1", "cosign 2.6 by signing config", "sigstore-js 5", "sigstore-python 4", "sigstore-go 1.2"].flatMap(
      (name) => ["blob", "attestation"].map((kind) => [`${name} ${kind} sigstore-python 3.6`, NO_V2]),
    ),
  ),
};

const only = process.argv.slice(2);
const work = scratch("interop");
const home = join(work.path, "home");
mkdirSync(home);
const server = await startInstance({ dir: join(work.path, "installation"), port: await freePort(), home });
const predicate = join(work.path, "predicate.json");
writeFileSync(
  predicate,
  JSON.stringify({
    buildDefinition: { buildType: "https://example.com/build", externalParameters: {} },
    runDetails: { builder: { id: "https://example.com/builder" } },
  }),
);

const identity = "release@example.com";
const setting: Setting = {
  url: server.url,
  trust: join(server.dir, "trust"),
  home,
  identity,
  issuer: `${server.url}/oidc`,
  predicate,
  token: async () =>
    (
      await succeed(process.execPath, [LACRE, "token", "--email", identity], { env: { ...homeEnv(home), LACRE_DIR: server.dir } })
    ).stdout.trim(),
};

let absent = 0;
function present<T>(make: () => T): T[] {
  try {
    return [make()];
  } catch (error) {
    absent += 1;
    console.log(`absent ${make.name}: ${error instanceof Error ? error.message.split("\n")[0] : String(error)}`);
    return [];
  }
}
const clients: Client[] = [lacre, cosign, sigstoreJs, sigstorePython].flatMap((make) => present(make));
// Those that know log v1 alone sign and verify there; the others sign there when they are told to.
const older: Client[] = [cosign26, sigstorePython3].flatMap((make) => present(make));
const told: Signer[] = [lacreV1, cosign26V2, cosign26Config, cosign31V1, sigstoreJsV1, sigstorePython4V1].flatMap((make) =>
  present<Signer>(make),
);
const libraries = present(sigstoreGo);
const signers: Signer[] = [...clients, ...libraries, ...told, ...older];
const verifiers: Verifier[] = [...clients, ...libraries, ...present<Verifier>(sigstoreJava), ...older];

const artifact = join(work.path, "artifact.tar");
writeFileSync(artifact, createHash("sha512").update("an artifact").digest());
const journeys: Journey[] = [];
for (const kind of ["blob", "attestation"] as Kind[]) {
  for (const signer of signers) {
    if (kind === "attestation" && libraries.some((client) => client === signer)) continue;
    const bundle = join(work.path, `${signer.name.replaceAll(" ", "-")}-${kind}.sigstore.json`);
    journeys.push({ name: `${signer.name} signs ${kind}`, go: () => signer.sign(setting, kind, artifact, bundle) });
    for (const verifier of verifiers) {
      const known = KNOWN[`${signer.name} ${kind} ${verifier.name}`];
      journeys.push({
        name: `${verifier.name} verifies ${kind} of ${signer.name}`,
        ...(known === undefined ? {} : { expectedFailure: known }),
        go: () => verifier.verify(setting, kind, artifact, bundle),
      });
    }
  }
}

if (clients.some((client) => client.name.startsWith("cosign"))) {
  const fresh = { ...homeEnv(join(work.path, "cosign-home")) };
  const ours = join(work.path, "lacre-blob.sigstore.json");
  journeys.push({
    name: "cosign initializes from our TUF mirror, then verifies and signs without --trusted-root",
    async go() {
      const command = cosignPath();
      await succeed(command, ["initialize", "--mirror", `${server.url}/tuf/`, "--root", join(setting.trust, "root.json")], {
        env: fresh,
      });
      const policy = ["--certificate-identity", identity, "--certificate-oidc-issuer", setting.issuer];
      await succeed(command, ["verify-blob", "--bundle", ours, ...policy, artifact], { env: fresh });
      const own = join(work.path, "cosign-tuf.sigstore.json");
      await succeed(command, ["sign-blob", "--yes", "--identity-token", await setting.token(), "--bundle", own, artifact], {
        env: fresh,
      });
      await succeed(
        process.execPath,
        [LACRE, "verify", artifact, "--bundle", own, ...policy, "--trusted-root", join(setting.trust, "trusted_root.json")],
        { env: fresh },
      );
      const wrong = await run(
        command,
        [
          "verify-blob",
          "--bundle",
          ours,
          "--certificate-identity",
          "other@example.com",
          "--certificate-oidc-issuer",
          setting.issuer,
          artifact,
        ],
        { env: fresh },
      );
      if (wrong.status === 0) throw new Error("cosign accepted another identity: the check proves nothing");
    },
  });
}
if (clients.some((client) => client.name.startsWith("sigstore-python"))) {
  const fresh = { ...homeEnv(join(work.path, "python-home")) };
  journeys.push({
    name: "sigstore-python trusts our instance from TUF, then verifies and signs with --instance",
    async go() {
      const { sigstore } = {
        sigstore: join(
          process.env.LACRE_PARTS ?? join(process.env.HOME ?? "", ".cache", "lacre-parts"),
          "python",
          "sigstore4",
          "bin",
          "sigstore",
        ),
      };
      await succeed(sigstore, ["--instance", `${server.url}/tuf`, "trust-instance", join(setting.trust, "root.json")], {
        env: fresh,
      });
      const instance = ["--instance", `${server.url}/tuf`];
      const policy = ["--cert-identity", identity, "--cert-oidc-issuer", setting.issuer];
      await succeed(
        sigstore,
        [...instance, "verify", "identity", "--bundle", join(work.path, "lacre-blob.sigstore.json"), ...policy, artifact],
        { env: fresh },
      );
      const own = join(work.path, "python-tuf.sigstore.json");
      await succeed(sigstore, [...instance, "sign", "--identity-token", await setting.token(), "--bundle", own, artifact], {
        env: fresh,
      });
      await succeed(sigstore, [...instance, "verify", "identity", "--bundle", own, ...policy, artifact], { env: fresh });
    },
  });
}
const pythonTuf = (): Journey[] => tufJourneys(work.path);
journeys.push(...present(pythonTuf).flat());
const goWitness = (): Journey[] => witnessJourneys(work.path, home);
journeys.push(...present(goWitness).flat());
for (const more of [
  cosign26Journeys,
  cosignTrustJourneys,
  rekorCliJourneys,
  gitsignJourneys,
  imageVerificationJourneys,
  imageJourneys,
  keyFileJourneys,
  certificateJourneys,
  tokenJourneys,
  awsJourneys,
  vaultJourneys,
])
  journeys.push(...present(() => more(setting, work.path, artifact)).flat());
if (clients.some(({ name }) => name.startsWith("cosign"))) journeys.push(...firstEntryJourneys(setting, artifact, clients));
journeys.push({
  name: "a flipped byte is refused by every client",
  async go() {
    const changed = join(work.path, "changed.tar");
    const bytes = readFileSync(artifact);
    bytes[0]! ^= 1;
    writeFileSync(changed, bytes);
    for (const client of verifiers) {
      const accepted = await client.verify(setting, "blob", changed, join(work.path, "lacre-blob.sigstore.json")).then(
        () => true,
        () => false,
      );
      if (accepted) throw new Error(`${client.name} accepted a changed artifact`);
    }
  },
});

const { passed, failed } = await travel(journeys, only);
await server.stop();
work.remove();
if (absent > 0) console.log(`${absent} clients absent${process.env.CI === undefined ? "" : ": that fails in CI"}`);
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed > 0 || (absent > 0 && process.env.CI !== undefined) ? 1 : 0);
