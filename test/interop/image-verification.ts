// SPDX-License-Identifier: Apache-2.0
// Images signed by cosign 2.6 and 3.1 and verified here; copies, saved and loaded images verified by cosign. On Debian's
// docker-registry, which has no referrers API, and on one that has it.
import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { freePort, homeEnv, type Journey, LACRE, ROOT, run, succeed } from "../harness.ts";
import { cosignPath, part, type Setting } from "./clients/index.ts";
import { cosign26Path } from "./clients/v1.ts";

type Env = Record<string, string>;

export interface Running {
  /** Host and port. */
  readonly host: string;
}

// Ended with this process, however it ends.
function keep(child: ChildProcess): void {
  process.once("exit", () => child.kill("SIGKILL"));
}

export async function startDebianRegistry(work: string): Promise<Running> {
  part("debian", "docker-registry");
  const port = await freePort();
  const folder = join(work, "docker-registry");
  mkdirSync(folder, { recursive: true });
  const config = {
    version: 0.1,
    log: { level: "error" },
    storage: { filesystem: { rootdirectory: folder }, delete: { enabled: true } },
    http: { addr: `127.0.0.1:${port}` },
  };
  writeFileSync(join(folder, "config.yml"), JSON.stringify(config));
  keep(spawn("docker-registry", ["serve", join(folder, "config.yml")], { stdio: "ignore" }));
  for (let attempt = 0; attempt < 100; attempt++) {
    const answer = await fetch(`http://127.0.0.1:${port}/v2/`).catch(() => undefined);
    if (answer?.ok === true) return { host: `localhost:${port}` };
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error("docker-registry does not answer");
}

export async function startReferrersRegistry(): Promise<Running> {
  const command = join(part("go", join(ROOT, "test", "interop", "clients", "go", "referrers")), "referrers");
  const child = spawn(command, { stdio: ["ignore", "pipe", "ignore"] });
  keep(child);
  for await (const line of createInterface({ input: child.stdout }))
    return { host: line.trim().replace("127.0.0.1", "localhost") };
  throw new Error("the registry with referrers did not start");
}

const MANIFEST = "application/vnd.oci.image.manifest.v1+json";
const INDEX = "application/vnd.oci.image.index.v1+json";
const digestOf = (bytes: Uint8Array): string => `sha256:${createHash("sha256").update(bytes).digest("hex")}`;

/** Pushes an image of one layer by plain requests: no client of the matrix takes part. */
export async function push(
  host: string,
  repository: string,
  tag: string | undefined,
  content: string,
): Promise<{ mediaType: string; digest: string; size: number }> {
  const base = `http://${host}`;
  const put = async (mediaType: string, bytes: Uint8Array): Promise<{ mediaType: string; digest: string; size: number }> => {
    const begun = await fetch(`${base}/v2/${repository}/blobs/uploads/`, { method: "POST" });
    const url = new URL(begun.headers.get("location")!, base);
    url.searchParams.set("digest", digestOf(bytes));
    const done = await fetch(url, {
      method: "PUT",
      body: bytes as Uint8Array<ArrayBuffer>,
      headers: { "content-type": "application/octet-stream" },
    });
    if (done.status !== 201) throw new Error(`the registry does not take a blob: ${done.status}`);
    return { mediaType, digest: digestOf(bytes), size: bytes.length };
  };
  const layer = Buffer.from(`layer of ${content}`);
  const config = Buffer.from(
    JSON.stringify({ architecture: "amd64", os: "linux", config: {}, rootfs: { type: "layers", diff_ids: [digestOf(layer)] } }),
  );
  const manifest = {
    schemaVersion: 2,
    mediaType: MANIFEST,
    config: await put("application/vnd.oci.image.config.v1+json", config),
    layers: [await put("application/vnd.oci.image.layer.v1.tar", layer)],
  };
  return putManifest(host, repository, tag, MANIFEST, manifest);
}

export async function putManifest(
  host: string,
  repository: string,
  tag: string | undefined,
  mediaType: string,
  manifest: object,
): Promise<{ mediaType: string; digest: string; size: number }> {
  const bytes = Buffer.from(JSON.stringify(manifest));
  const answer = await fetch(`http://${host}/v2/${repository}/manifests/${tag ?? digestOf(bytes)}`, {
    method: "PUT",
    body: bytes,
    headers: { "content-type": mediaType },
  });
  if (answer.status !== 201) throw new Error(`the registry does not take a manifest: ${answer.status}`);
  return { mediaType, digest: digestOf(bytes), size: bytes.length };
}

/** The journeys on one registry. */
function journeysOn(setting: Setting, work: string, name: string, start: () => Promise<Running>): Journey[] {
  const home = join(work, `images-${name.replaceAll(" ", "-")}`);
  mkdirSync(home, { recursive: true });
  const env: Env = { ...homeEnv(home), COSIGN_PASSWORD: "", COSIGN_YES: "true" };
  const [old, current] = [cosign26Path(), cosignPath()];
  const trust = ["--trusted-root", join(setting.trust, "trusted_root.json")];
  const who = ["--certificate-identity", setting.identity, "--certificate-oidc-issuer", setting.issuer];
  const other = ["--certificate-identity", "other@example.com", "--certificate-oidc-issuer", setting.issuer];
  const config = ["--signing-config", join(setting.trust, "signing_config.v0.2.json"), ...trust];
  const services = ["--fulcio-url", setting.url, "--rekor-url", setting.url];
  const key = ["--key", "cosign.key"];
  const options = { env, cwd: home };
  const lacre = (args: readonly string[]): ReturnType<typeof run> => run(process.execPath, [LACRE, ...args], options);
  const holds = async (args: readonly string[]): Promise<string> =>
    (await succeed(process.execPath, [LACRE, ...args], options)).stdout;
  const ends = async (status: number, args: readonly string[]): Promise<void> => {
    const said = await lacre(args);
    if (said.status !== status)
      throw new Error(`lacre ${args.join(" ")}\nended with ${said.status}, not ${status}:\n${said.stderr}`);
  };
  let running: Promise<Running> | undefined;
  const images = new Map<string, string>();
  const prepare = async (): Promise<string> => {
    const { host } = await (running ??= start());
    return host;
  };
  const imageOf = async (tag: string): Promise<string> => {
    const host = await prepare();
    if (!images.has(tag)) images.set(tag, (await push(host, "app", tag, `${name} ${tag}`)).digest);
    return `${host}/app@${images.get(tag)!}`;
  };
  const isReady = async (): Promise<void> => {
    await prepare();
    await succeed(old, ["initialize", "--mirror", `${setting.url}/tuf/`, "--root", join(setting.trust, "root.json")], options);
    await succeed(old, ["generate-key-pair"], options);
  };
  /** Both verbs here and there, and what has to be refused. */
  const verified = async (image: string, flags: readonly string[], isKey: boolean): Promise<void> => {
    const signer = isKey ? ["--key", "cosign.pub"] : who;
    const stdout = await holds(["verify", ...signer, ...trust, ...flags, image]);
    const theirs = await succeed(current, ["verify", ...signer, ...trust, ...flags, image], options);
    const claims = (text: string): unknown[] =>
      (JSON.parse(text) as { critical: { image: object; type: string } }[])
        .map(({ critical }) => [critical.image, critical.type])
        .filter(([, type]) => `${type as string}`.includes("sign"));
    if (JSON.stringify(claims(stdout)) !== JSON.stringify(claims(theirs.stdout)))
      throw new Error(`claims differ:\n${stdout}\n${theirs.stdout}`);
    if (!isKey) await ends(12, ["verify", ...other, ...trust, image]);
    await ends(12, ["verify", ...signer, ...trust, "-a", "no=such", image]);
  };
  const attested = async (image: string, isKey: boolean): Promise<void> => {
    const signer = isKey ? ["--key", "cosign.pub"] : who;
    await holds(["verify-attestation", "--type", "slsaprovenance1", ...signer, ...trust, image]);
    await ends(12, ["verify-attestation", "--type", "spdxjson", ...signer, ...trust, image]);
  };
  const attest = ["attest", "--predicate", setting.predicate, "--type", "slsaprovenance1"];
  const token = async (): Promise<string[]> => ["--identity-token", await setting.token()];
  return [
    {
      name: `images, ${name}: an image without signatures, one that is not there`,
      async go() {
        await isReady();
        const image = await imageOf("unsigned");
        await ends(10, ["verify", ...who, ...trust, image]);
        await ends(11, ["verify", ...who, ...trust, image.replace(/@.*/, ":nowhere")]);
        await ends(3, ["verify", ...who, ...trust, "localhost:9/app:v1"]);
      },
    },
    {
      name: `images, ${name}: signed and attested by cosign 2.6 with an identity, verified by lacre`,
      async go() {
        const image = await imageOf("old");
        const stamp = ["--timestamp-server-url", `${setting.url}/api/v1/timestamp`];
        await succeed(old, ["sign", ...services, ...stamp, ...(await token()), "-a", "env=prod", image], options);
        await succeed(old, [...attest, ...services, ...(await token()), image], options);
        await verified(image, ["-a", "env=prod"], false);
        await attested(image, false);
      },
    },
    {
      name: `images, ${name}: signed and attested by cosign 2.6 with a key (entry type intoto), verified by lacre`,
      async go() {
        const image = await imageOf("old-key");
        await succeed(old, ["sign", ...key, "--rekor-url", setting.url, image], options);
        await succeed(old, [...attest, ...key, "--rekor-url", setting.url, "--rekor-entry-type", "intoto", image], options);
        await verified(image, [], true);
        await attested(image, true);
      },
    },
    {
      name: `images, ${name}: signed and attested by cosign 3.1 with an identity, verified by lacre`,
      async go() {
        const image = await imageOf("new");
        await succeed(current, ["sign", ...config, ...(await token()), "-a", "env=prod", image], options);
        await succeed(current, [...attest, ...config, ...(await token()), image], options);
        await verified(image, ["-a", "env=prod"], false);
        await attested(image, false);
      },
    },
    {
      name: `images, ${name}: Rego and CUE policies, by the programs here and inside cosign, and CEL`,
      async go() {
        const image = await imageOf("policies");
        await succeed(current, [...attest, ...config, ...(await token()), image], options);
        part("go", "cuelang.org/go/cmd/cue@v0.17.1");
        const programs = part("go", "github.com/open-policy-agent/opa@v1.22.2");
        const withPrograms = { ...options, env: { ...env, PATH: `${programs}:${process.env["PATH"] ?? ""}` } };
        const builder = "https://example.com/builder";
        for (const [wanted, status] of [
          [builder, 0],
          ["https://example.com/other", 1],
        ] as const) {
          const rego = `package signature\ndefault allow = false\nallow { input.predicate.runDetails.builder.id == "${wanted}" }\n`;
          writeFileSync(join(home, "p.rego"), rego);
          writeFileSync(join(home, "p.cue"), `predicate: runDetails: builder: id: "${wanted}"\n`);
          for (const policy of ["p.rego", "p.cue"]) {
            const args = ["verify-attestation", "--type", "slsaprovenance1", "--policy", policy, ...who, ...trust, image];
            const ours = await run(process.execPath, [LACRE, ...args], withPrograms);
            const theirs = await run(current, args, options);
            if (ours.status !== status || theirs.status !== status)
              throw new Error(
                `${policy} for ${wanted}: ${ours.status} here, ${theirs.status} there\n${ours.stderr}\n${theirs.stderr}`,
              );
          }
          const condition = `predicate.runDetails.builder.id == "${wanted}"`;
          await ends(status === 0 ? 0 : 12, [
            "verify-attestation",
            "--type",
            "slsaprovenance1",
            "--condition",
            condition,
            ...who,
            ...trust,
            image,
          ]);
        }
      },
    },
    {
      name: `images, ${name}: a list signed recursively by cosign 3.1 with a key, verified by lacre`,
      async go() {
        const host = await prepare();
        const children = [];
        for (const architecture of ["amd64", "arm64"])
          children.push({
            ...(await push(host, "app", undefined, `${name} ${architecture}`)),
            platform: { os: "linux", architecture },
          });
        const { digest } = await putManifest(host, "app", "list", INDEX, {
          schemaVersion: 2,
          mediaType: INDEX,
          manifests: children,
        });
        images.set("list", digest);
        await succeed(current, ["sign", "-r", ...key, ...config, `${host}/app@${digest}`], options);
        for (const one of [digest, ...children.map((child) => child.digest)]) await verified(`${host}/app@${one}`, [], true);
      },
    },
    {
      name: `images, ${name}: copied by lacre, verified by cosign`,
      async go() {
        const host = await prepare();
        for (const [tag, signer] of [
          ["old", who],
          ["old-key", ["--key", "cosign.pub"]],
          ["new", who],
          ["list", ["--key", "cosign.pub"]],
        ] as const) {
          await holds(["copy", await imageOf(tag), `${host}/mirror:${tag}`]);
          await succeed(current, ["verify", ...signer, ...trust, `${host}/mirror:${tag}`], options);
          await holds(["verify", ...signer, ...trust, `${host}/mirror:${tag}`]);
          if (tag !== "list")
            await succeed(
              current,
              ["verify-attestation", "--type", "slsaprovenance1", ...signer, ...trust, `${host}/mirror:${tag}`],
              options,
            );
        }
      },
    },
    {
      name: `images, ${name}: saved by cosign and by lacre, each verified by the other from the folder`,
      async go() {
        const host = await prepare();
        for (const tag of ["old", "new"]) {
          const image = await imageOf(tag);
          await succeed(current, ["save", image, "--dir", `theirs-${tag}`], options);
          await holds(["verify", ...who, ...trust, "--offline", `oci-layout:theirs-${tag}`]);
          await holds(["save", image, "--dir", `ours-${tag}`]);
          await succeed(current, ["verify", ...who, ...trust, "--local-image", `ours-${tag}`], options);
          await holds(["load", `${host}/loaded:${tag}`, "--dir", `theirs-${tag}`]);
          await succeed(current, ["verify", ...who, ...trust, `${host}/loaded:${tag}`], options);
        }
        // What cosign loads of its own with bundles in it is refused by docker-registry: contents are pushed after the manifest.
        await succeed(current, ["load", `${host}/theirs:old`, "--dir", "ours-old"], options);
        await holds(["verify", ...who, ...trust, `${host}/theirs:old`]);
        const list = await imageOf("list");
        await holds(["save", list, "--dir", "ours-list"]);
        await holds(["verify", "--key", "cosign.pub", ...trust, "--offline", "oci-layout:ours-list"]);
      },
    },
    {
      name: `images, ${name}: tree, triangulate and download say what cosign says`,
      async go() {
        for (const tag of ["old", "new"]) {
          const image = await imageOf(tag);
          for (const verb of [["tree"], ["triangulate"]]) {
            const [ours, theirs] = [await holds([...verb, image]), (await succeed(current, [...verb, image], options)).stdout];
            // cosign prints the places in the order of a map: another one each time.
            const sorted = (text: string): string => text.split("\n").toSorted().join("\n");
            if (sorted(ours) !== sorted(theirs)) throw new Error(`${verb.join(" ")} differs:\n${ours}\n${theirs}`);
          }
        }
        const image = await imageOf("old");
        const [ours, theirs] = [
          await holds(["download", "attestation", image]),
          (await succeed(current, ["download", "attestation", image], options)).stdout,
        ];
        if (ours !== theirs) throw new Error(`download attestation differs:\n${ours}\n${theirs}`);
      },
    },
    {
      name: `images, ${name}: cleaned by lacre, unsigned for both`,
      async go() {
        const host = await prepare();
        for (const tag of ["old", "new"]) {
          await holds(["clean", "-f", `${host}/mirror:${tag}`]);
          await ends(10, ["verify", ...who, ...trust, `${host}/mirror:${tag}`]);
          const theirs = await run(current, ["verify", ...who, ...trust, `${host}/mirror:${tag}`], options);
          if (theirs.status !== 10) throw new Error(`cosign ends with ${theirs.status}:\n${theirs.stderr}`);
        }
      },
    },
  ];
}

/** Images on both kinds of registry. */
export function imageVerificationJourneys(setting: Setting, work: string): Journey[] {
  return [
    ...journeysOn(setting, work, "docker-registry", () => startDebianRegistry(work)),
    ...journeysOn(setting, work, "referrers", startReferrersRegistry),
  ];
}
