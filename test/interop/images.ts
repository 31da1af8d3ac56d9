// SPDX-License-Identifier: Apache-2.0
// Images signed and attested here, verified by cosign 2.6 and 3.1; on Debian's docker-registry, which has no referrers
// API, and on one that has it. What was signed there and is verified here stands in image-verification.ts.
import { createHash } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { homeEnv, type Journey, LACRE, run, succeed } from "../harness.ts";
import { cosignPath, type Setting } from "./clients/index.ts";
import { cosign26Path } from "./clients/v1.ts";
import { push, putManifest, type Running, startDebianRegistry, startReferrersRegistry } from "./image-verification.ts";

const INDEX = "application/vnd.oci.image.index.v1+json";

function journeysOn(setting: Setting, work: string, name: string, start: () => Promise<Running>): Journey[] {
  const home = join(work, `signing-${name.replaceAll(" ", "-")}`);
  mkdirSync(home, { recursive: true });
  const options = { env: { ...homeEnv(home), COSIGN_PASSWORD: "", COSIGN_YES: "true" }, cwd: home };
  const [old, current] = [cosign26Path(), cosignPath()];
  const trust = ["--trusted-root", join(setting.trust, "trusted_root.json")];
  const who = ["--certificate-identity", setting.identity, "--certificate-oidc-issuer", setting.issuer];
  const other = ["--certificate-identity", "other@example.com", "--certificate-oidc-issuer", setting.issuer];
  const config = ["--signing-config", join(setting.trust, "signing_config.v0.2.json"), ...trust];
  const lacre = (...args: string[]): ReturnType<typeof succeed> => succeed(process.execPath, [LACRE, ...args], options);
  const token = async (): Promise<string[]> => ["--identity-token", await setting.token()];
  const refuses = async (command: string, args: readonly string[]): Promise<void> => {
    if ((await run(command, args, options)).status === 0) throw new Error(`accepted: ${command} ${args.join(" ")}`);
  };
  let running: Promise<Running> | undefined;
  const host = async (): Promise<string> => (await (running ??= prepare())).host;
  async function prepare(): Promise<Running> {
    // cosign 2.6 takes a trusted root for bundles alone; for the older format it wants to have been initialised.
    await succeed(old, ["initialize", "--mirror", `${setting.url}/tuf/`, "--root", join(setting.trust, "root.json")], options);
    await succeed(old, ["generate-key-pair"], options);
    return start();
  }
  const image = async (repository: string): Promise<string> => {
    const at = await host();
    return `${at}/${repository}@${(await push(at, repository, "v1", `${name} ${repository}`)).digest}`;
  };
  const both = async (args: readonly string[], forOld: readonly string[] = []): Promise<void> => {
    await succeed(current, [...args, ...trust], options);
    await succeed(old, [...args, ...forOld], options);
  };
  const attest = ["attest", "--predicate", setting.predicate, "--type", "slsaprovenance1"];
  const bundles = ["--new-bundle-format", "--use-signed-timestamps", ...trust];
  const tags = "--new-bundle-format=false";
  return [
    {
      name: `images, ${name}: signed by lacre, verified by cosign`,
      async go() {
        const one = await image("signed/new");
        await lacre("sign", ...config, ...(await token()), "-a", "env=prod", one);
        await both(["verify", ...who, "-a", "env=prod", one], bundles);
        await refuses(current, ["verify", ...who, ...trust, "-a", "env=test", one]);
        await refuses(current, ["verify", ...other, ...trust, one]);
        await refuses(current, ["verify", ...who, ...trust, await image("signed/nothing")]);
      },
    },
    {
      name: `images, ${name}: signed by lacre in the older format, verified by cosign`,
      async go() {
        const one = await image("signed/old");
        await lacre("sign", tags, ...config, ...(await token()), "-a", "env=prod", one);
        await lacre("sign", "--registry-referrers-mode", "legacy", ...config, ...(await token()), one);
        await both(["verify", tags, ...who, "-a", "env=prod", one]);
        await refuses(current, ["verify", tags, ...other, ...trust, one]);
      },
    },
    {
      name: `images, ${name}: signed by lacre with a key of cosign, verified by cosign`,
      async go() {
        const [fresh, older] = [await image("signed/key"), await image("signed/old-key")];
        await lacre("sign", "--key", "cosign.key", ...config, fresh);
        await lacre("sign", "--key", "cosign.key", tags, ...config, older);
        await succeed(current, ["verify", "--key", "cosign.pub", ...trust, fresh], options);
        await both(["verify", "--key", "cosign.pub", tags, older]);
      },
    },
    {
      name: `images, ${name}: attested by lacre, verified by cosign`,
      async go() {
        const one = await image("attested/new");
        await lacre(...attest, ...config, ...(await token()), one);
        await lacre(...attest, "--replace", ...config, ...(await token()), one);
        await both(["verify-attestation", "--type", "slsaprovenance1", ...who, one], bundles);
        await refuses(current, ["verify-attestation", "--type", "spdxjson", ...who, ...trust, one]);
        const { stdout } = await succeed(
          current,
          ["verify-attestation", "--type", "slsaprovenance1", ...who, ...trust, one],
          options,
        );
        const found = stdout.trim().split("\n").length;
        if (found !== 1) throw new Error(`replaced, and cosign finds ${found}`);
      },
    },
    {
      name: `images, ${name}: attested by lacre in the older format, verified by cosign`,
      async go() {
        const one = await image("attested/old");
        await lacre(...attest, tags, ...config, ...(await token()), one);
        await lacre(...attest, tags, "--replace", ...config, ...(await token()), one);
        await both(["verify-attestation", tags, "--type", "slsaprovenance1", ...who, one]);
        await refuses(current, ["verify-attestation", tags, "--type", "spdxjson", ...who, ...trust, one]);
      },
    },
    {
      name: `images, ${name}: a list signed recursively by lacre, each image verified by cosign`,
      async go() {
        const at = await host();
        const children = [];
        for (const architecture of ["amd64", "arm64"]) {
          const child = await push(at, "signed/list", undefined, `${name} ${architecture}`);
          children.push({ ...child, platform: { os: "linux", architecture } });
        }
        const list = await putManifest(at, "signed/list", "v1", INDEX, {
          schemaVersion: 2,
          mediaType: INDEX,
          manifests: children,
        });
        await lacre("sign", "-r", ...config, ...(await token()), `${at}/signed/list:v1`);
        for (const { digest } of [list, ...children])
          await succeed(current, ["verify", ...who, ...trust, `${at}/signed/list@${digest}`], options);
      },
    },
    {
      name: `images, ${name}: signatures in another repository, verified by cosign`,
      async go() {
        const at = await host();
        const one = await image("signed/elsewhere");
        const elsewhere = { ...options, env: { ...options.env, COSIGN_REPOSITORY: `${at}/signatures` } };
        await succeed(process.execPath, [LACRE, "sign", tags, ...config, ...(await token()), one], elsewhere);
        await refuses(current, ["verify", tags, ...who, ...trust, one]);
        await succeed(current, ["verify", tags, ...who, ...trust, one], elsewhere);
      },
    },
    {
      name: `images, ${name}: a payload of lacre's is cosign's, signed by openssl, attached by lacre, verified by cosign`,
      async go() {
        const one = await image("attached/app");
        const payload = (await lacre("generate", "-a", "note=<a & b>", one)).stdout;
        const theirs = (await succeed(current, ["generate", "-a", "note=<a & b>", one], options)).stdout;
        if (payload !== theirs) throw new Error(`payloads differ:\n${payload}\n${theirs}`);
        writeFileSync(join(home, "payload.json"), payload);
        await succeed("openssl", ["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "own.pem"], options);
        await succeed("openssl", ["ec", "-in", "own.pem", "-pubout", "-out", "own.pub"], options);
        await succeed("openssl", ["dgst", "-sha256", "-sign", "own.pem", "-out", "payload.sig", "payload.json"], options);
        await lacre("attach", "signature", "--payload", "payload.json", "--signature", "payload.sig", one);
        await both(["verify", tags, "--key", "own.pub", "--insecure-ignore-tlog", one]);
      },
    },
    {
      name: `images, ${name}: files uploaded by lacre and by cosign are the same image`,
      async go() {
        const at = await host();
        writeFileSync(join(home, "file"), createHash("sha256").update(name).digest("hex"));
        const ours = (await lacre("upload", "blob", "-f", "file", "-a", "k=v", `${at}/files/ours:v1`)).stdout.trim();
        await succeed(current, ["upload", "blob", "-f", "file", "-a", "k=v", `${at}/files/theirs:v1`], options);
        const manifest = async (repository: string): Promise<string> => {
          const accept = "application/vnd.oci.image.manifest.v1+json";
          return (await fetch(`http://${at}/v2/${repository}/manifests/v1`, { headers: { accept } })).text();
        };
        if ((await manifest("files/ours")) !== (await manifest("files/theirs"))) throw new Error("manifests differ");
        const digest = `sha256:${createHash("sha256")
          .update(await manifest("files/ours"))
          .digest("hex")}`;
        if (!ours.endsWith(`@${digest}`)) throw new Error(`${ours} is not ${digest}`);
      },
    },
  ];
}

/** Images on both kinds of registry. */
export function imageJourneys(setting: Setting, work: string): Journey[] {
  return [
    ...journeysOn(setting, work, "docker-registry", () => startDebianRegistry(join(work, "signing-registry"))),
    ...journeysOn(setting, work, "referrers", startReferrersRegistry),
  ];
}
