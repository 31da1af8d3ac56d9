// SPDX-License-Identifier: Apache-2.0
/**
 * npm run lines -- [WORD…]: the command lines of `cosign-lines.ts`, as scripts have them, with cosign and with lacre behind the
 * name. Both must end with the same status, or with those that docs/cosign.md gives a reason for. With words only the lines
 * that contain one of them are judged; all are run, as later ones need earlier ones. `--show` prints what each tool said.
 */
import { createHash, generateKeyPairSync } from "node:crypto";
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { freePort, homeEnv, LACRE, ROOT, run, scratch, startInstance, succeed, type Outcome } from "../harness.ts";
import { cosignPath } from "./clients/index.ts";
import { LINES, type Line } from "./cosign-lines.ts";
import { push, putManifest, startDebianRegistry } from "./image-verification.ts";

const words = process.argv.slice(2).filter((word) => !word.startsWith("-"));
const isShown = process.argv.includes("--show");
const work = scratch("lines");
const home = join(work.path, "home");
mkdirSync(home);
const server = await startInstance({ dir: join(work.path, "installation"), port: await freePort(), home });
const trust = join(server.dir, "trust");
const identity = "release@example.com";
const issuer = `${server.url}/oidc`;

const registry = await startDebianRegistry(work.path);
const INDEX = "application/vnd.oci.image.index.v1+json";

/** A folder, a home and a repository of its own for one tool, and how to run a line there. */
async function settle(tool: "cosign" | "lacre"): Promise<(line: string) => Promise<Outcome>> {
  const folder = join(work.path, tool);
  const bin = join(folder, "bin");
  mkdirSync(bin, { recursive: true });
  if (tool === "cosign") symlinkSync(cosignPath(), join(bin, "cosign"));
  else writeFileSync(join(bin, "cosign"), `#!/bin/sh\nexec "${process.execPath}" "${LACRE}" "$@"\n`, { mode: 0o755 });
  const file = (name: string, content: string): void => writeFileSync(join(folder, name), content);
  file("app.txt", "an artifact\n");
  file("other.txt", "another artifact\n");
  file(
    "predicate.json",
    JSON.stringify({
      buildDefinition: { buildType: "https://example.com/build", externalParameters: {} },
      runDetails: { builder: { id: "https://example.com/builder" } },
    }),
  );
  file(
    "sbom.spdx.json",
    JSON.stringify({ spdxVersion: "SPDX-2.3", SPDXID: "SPDXRef-DOCUMENT", name: "app", dataLicense: "CC0-1.0" }),
  );
  const digest = createHash("sha256")
    .update(readFileSync(join(folder, "app.txt")))
    .digest("hex");
  file(
    "statement.json",
    JSON.stringify({
      _type: "https://in-toto.io/Statement/v1",
      subject: [{ name: "app.txt", digest: { sha256: digest } }],
      predicateType: "https://example.com/predicate",
      predicate: {},
    }),
  );
  const certificates = ["ca-issuing.pem", "ca-root.pem"].map((name) => readFileSync(join(server.dir, "certs", name), "utf8"));
  file("ca.pem", certificates.join(""));
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  file("plain.pem", privateKey.export({ type: "pkcs8", format: "pem" }) as string);
  const repository = `lines/${tool}`;
  const images = [];
  for (const tag of ["1", "2", "3"]) images.push(await push(registry.host, `${repository}/app`, tag, `${tool} ${tag}`));
  const platform = { architecture: "amd64", os: "linux" };
  const child = await push(registry.host, `${repository}/index`, "amd64", `${tool} amd64`);
  const manifests = [{ ...child, platform }];
  await putManifest(registry.host, `${repository}/index`, "1", INDEX, { schemaVersion: 2, mediaType: INDEX, manifests });
  const where = `${registry.host}/${repository}`;
  file("Dockerfile", `FROM ${where}/app:1\nRUN true\n`);
  file(
    "pod.yaml",
    `apiVersion: v1\nkind: Pod\nmetadata: {name: app}\nspec:\n  containers:\n    - name: app\n      image: ${where}/app:1\n`,
  );
  const env: Record<string, string> = {
    ...homeEnv(join(folder, "home")),
    PATH: `${bin}:${process.env["PATH"]}`,
    COSIGN_PASSWORD: "wax and seal",
    SIGN: `--signing-config ${trust}/signing_config.v0.2.json --trusted-root ${trust}/trusted_root.json`,
    TRUST: `--trusted-root ${trust}/trusted_root.json`,
    WHO: `--certificate-identity ${identity} --certificate-oidc-issuer ${issuer}`,
    ID: identity,
    ISSUER: issuer,
    URL: server.url,
    TRUSTDIR: trust,
    REG: where,
    DIGEST: images[0]!.digest,
  };
  delete env["COSIGN_YES"];
  return async (line) => {
    if (line.includes("token") || line.includes("TOKEN")) {
      const { stdout } = await succeed(process.execPath, [LACRE, "token", "--email", identity], {
        env: { ...homeEnv(home), LACRE_DIR: server.dir },
      });
      env["TOKEN"] = stdout.trim();
      writeFileSync(join(folder, "token"), env["TOKEN"]);
    }
    return run("sh", ["-c", line], { cwd: folder, env });
  };
}

const theirs = await settle("cosign");
const ours = await settle("lacre");
/** The reasons that docs/cosign.md gives, by number. */
const reasons = new Set(
  [...readFileSync(join(ROOT, "docs", "cosign.md"), "utf8").matchAll(/^\| (D\d+) \|/gm)].map(([, id]) => id!),
);
let passed = 0;
let failed = 0;

function judge({ status, differs }: Line, cosign: number, lacre: number): string | undefined {
  if (status !== undefined && cosign !== status) return `cosign ended with ${cosign}, not ${status}`;
  if (differs === undefined) return lacre === cosign ? undefined : `cosign ended with ${cosign}, lacre with ${lacre}`;
  if (!reasons.has(differs.why)) return `docs/cosign.md has no reason ${differs.why}`;
  if (lacre !== differs.status) return `cosign ended with ${cosign}, lacre with ${lacre}, not ${differs.status}`;
  return lacre === cosign ? `both ended with ${cosign}: there is no difference` : undefined;
}

for (const line of LINES) {
  const [cosign, lacre] = [await theirs(line.line), await ours(line.line)];
  if (words.length > 0 && !words.some((word) => line.line.includes(word))) continue;
  const problem = judge(line, cosign.status, lacre.status);
  const known = line.differs === undefined ? "" : ` (lacre ${lacre.status}: ${line.differs.why})`;
  if (problem === undefined) passed++;
  else failed++;
  console.log(problem === undefined ? `ok     ${cosign.status} ${line.line}${known}` : `FAILED ${line.line}\n       ${problem}`);
  if (problem === undefined && !isShown) continue;
  for (const [name, { stdout, stderr }] of [
    ["cosign", cosign],
    ["lacre", lacre],
  ] as const)
    for (const said of `${stdout}\n${stderr}`
      .trim()
      .split("\n")
      .slice(0, isShown ? 40 : 8))
      console.log(`       ${name.padEnd(6)} ${said.slice(0, 400).replaceAll(/eyJ[\w.-]+/g, "<token>")}`);
}
await server.stop();
work.remove();
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
