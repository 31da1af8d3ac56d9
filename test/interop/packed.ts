// SPDX-License-Identifier: Apache-2.0
// npm run packed: the three packages as published. They are built and packed, installed from their tarballs into an empty
// folder, and used from there: an installation runs, seals and verifies, in one process each, without the clone.
import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  freePort,
  homeEnv,
  type Instance,
  type Journey,
  ROOT,
  run,
  scratch,
  startInstance,
  succeed,
  travel,
} from "../harness.ts";

const only = process.argv.slice(2);
const work = scratch("packed");
const home = join(work.path, "home");
const folder = join(work.path, "folder");
const tarballs = join(work.path, "tarballs");
const lacre = join(folder, "node_modules", ".bin", "lacre");
const env = homeEnv(home);
let server: Instance | undefined;

function fail(message: string): never {
  throw new Error(message);
}

/** Runs the installed command, as a person in the folder would. */
async function use(...args: string[]): Promise<string> {
  return (await succeed(lacre, args, { cwd: folder, env })).stdout;
}

const journeys: readonly Journey[] = [
  {
    name: "the packages build, pack and are small",
    async go() {
      const args = ["--conditions=source", join(ROOT, "scripts", "packages.ts"), "--keep", tarballs];
      console.log((await succeed(process.execPath, args, { timeoutMs: 300_000 })).stdout.trimEnd().replaceAll(/^/gm, "       "));
    },
  },
  {
    name: "they install from their tarballs into an empty folder",
    async go() {
      await succeed("mkdir", ["-p", folder, home]);
      writeFileSync(join(folder, "package.json"), JSON.stringify({ private: true, type: "module" }));
      const { version } = JSON.parse(readFileSync(join(ROOT, "packages", "cli", "package.json"), "utf8")) as { version: string };
      const files = ["lacre-core", "lacre-services", "lacre"].map((name) => join(tarballs, `${name}-${version}.tgz`));
      // The registry is the one this machine is configured for.
      const npm = ["install", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", ...files];
      await succeed("npm", npm, { cwd: folder, timeoutMs: 300_000 });
      if ((await use("--version")) !== `lacre ${version}\n`) fail("another version is installed");
    },
  },
  {
    name: "every verb explains itself",
    async go() {
      const verbs = [...(await use("--help")).matchAll(/^ {2}(?!lacre)([a-z][a-z-]+) {2,}\S/gm)].map((match) => match[1]!);
      if (verbs.length < 10) fail(`the help lists ${verbs.length} verbs`);
      for (const verb of verbs) if (!(await use(verb, "--help")).includes(`lacre ${verb}`)) fail(`${verb} has no help`);
    },
  },
  {
    name: "an installation runs in one process",
    async go() {
      const port = await freePort();
      server = await startInstance({ dir: join(work.path, "installation"), port, home, command: [lacre] });
      const { pid } = server.process;
      const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim();
      if (children !== "") fail(`the command started processes of its own: ${children}`);
    },
  },
  {
    name: "what is sealed there verifies, and another file is refused",
    async go() {
      const token = await use("token", "--email", "you@example.com");
      writeFileSync(join(folder, "token"), token);
      writeFileSync(join(folder, "artifact"), "what was built\n");
      writeFileSync(join(folder, "other"), "what was not\n");
      await use("sign", "./artifact", "--identity-token", "token", "--bundle", "artifact.sigstore.json");
      const who = ["--certificate-identity", "you@example.com", "--certificate-oidc-issuer", `${server!.url}/oidc`];
      await use("verify", "./artifact", "--bundle", "artifact.sigstore.json", ...who);
      await use("verify-blob", "artifact", "--bundle", "artifact.sigstore.json", ...who, "--offline");
      const refused = await run(lacre, ["verify", "./other", "--bundle", "artifact.sigstore.json", ...who], { cwd: folder, env });
      if (refused.status !== 1) fail(`another file ended with ${refused.status}:\n${refused.stderr}`);
      const missing = await run(lacre, ["verify", "./artifact", "--bundle", "nothing", ...who], { cwd: folder, env });
      if (missing.status !== 3) fail(`a missing seal ended with ${missing.status}:\n${missing.stderr}`);
    },
  },
  {
    name: "a folder of many files is verified by threads, which find their program",
    async go() {
      const many = join(folder, "many");
      await succeed("mkdir", [many]);
      for (let number = 0; number < 520; number++) {
        copyFileSync(join(folder, "artifact"), join(many, `file${number}`));
        copyFileSync(join(folder, "artifact.sigstore.json"), join(many, `file${number}.sigstore.json`));
      }
      const who = ["--certificate-identity", "you@example.com", "--certificate-oidc-issuer", `${server!.url}/oidc`];
      const told = await use("verify", "./many", ...who, "--offline", "--output", "json");
      const verified = told.match(/"outcome":"verified"/g)?.length;
      if (verified !== 520) fail(`${verified} of 520 are verified`);
    },
  },
  {
    name: "errors of the services keep their codes",
    async go() {
      writeFileSync(join(folder, "lacre.json"), JSON.stringify({ nonsense: true }));
      const checked = await run(lacre, ["up", "--check", "--config", "lacre.json"], { cwd: folder, env });
      if (checked.status !== 2 || !checked.stderr.includes("[CONFIG_INVALID]")) fail(`${checked.status}: ${checked.stderr}`);
      const monitored = await run(lacre, ["monitor", `${server!.url}/api/v2`, "--once", "--store", join(work.path, "monitor")], {
        cwd: folder,
        env,
      });
      if (monitored.status !== 0) fail(`the monitor ended with ${monitored.status}:\n${monitored.stderr}`);
    },
  },
  {
    name: "a program of the library verifies the same, also as a page would",
    async go() {
      const program = (door: string): string => `
        import { openAsBlob, readFileSync } from "node:fs";
        import { createVerifier${door === "browser" ? ", decodeTrustedRoot, readArtifact" : ""} } from "@lacre/core/${door}";
        ${door === "browser" ? "" : 'import { decodeTrustedRoot } from "@lacre/core/trust"; import { sha256 } from "@lacre/core/crypto";'}
        const bundle = readFileSync("artifact.sigstore.json");
        const verifier = createVerifier({ trustedRoot: decodeTrustedRoot(readFileSync(process.argv[2])) });
        const artifact = ${
          door === "browser"
            ? 'await readArtifact(await openAsBlob("artifact"), bundle)'
            : '{ digests: new Map([["sha256", sha256(readFileSync("artifact"))]]) }'
        };
        const policy = { identities: [{ identity: { exact: "you@example.com" }, issuer: { exact: process.argv[3] } }] };
        console.log(JSON.stringify(verifier.verify({ bundle, artifact, policy, nowMs: Number(process.argv[4]) })));`;
      const verdicts: string[] = [];
      for (const door of ["verify", "browser"]) {
        writeFileSync(join(folder, `${door}.js`), program(door));
        const root = join(work.path, "installation", "trust", "trusted_root.json");
        const args = [
          join(folder, `${door}.js`),
          root,
          `${server!.url}/oidc`,
          String(Date.now() - (Date.now() % 3_600_000) + 3_600_000),
        ];
        verdicts.push((await succeed(process.execPath, args, { cwd: folder, env })).stdout);
      }
      if ((JSON.parse(verdicts[0]!) as { outcome: string }).outcome !== "verified") fail(verdicts[0]!);
      if (verdicts[0] !== verdicts[1]) fail(`the page's verdict is another:\n${verdicts.join("\n")}`);
    },
  },
];

const { passed, failed } = await travel(journeys, only);
await server?.stop();
work.remove();
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed > 0 ? 1 : 0);
