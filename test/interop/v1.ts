// SPDX-License-Identifier: Apache-2.0
// The v1 dialect beyond bundles: clients that talk to the ledger itself. cosign 2.6 in the forms that scripts of its day
// use, rekor-cli, gitsign. Each journey says whom it needs; one whose client cannot be had is reported absent.
import { createHash } from "node:crypto";
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { homeEnv, type Journey, LACRE, run, scratch, startInstance, freePort, succeed } from "../harness.ts";
import { cosignPath, part, type Setting, type Verifier } from "./clients/index.ts";
import { cosign26Path, lacreV1, v1Config } from "./clients/v1.ts";

const L2 = "L2: Go clients leave zeros out of bundles, sigstore-python wants them: the first entry of a log";

const pem = (label: string, base64: string): string =>
  `-----BEGIN ${label}-----\n${(base64.match(/.{1,64}/g) ?? []).join("\n")}\n-----END ${label}-----\n`;

/** Keys and certificates one by one, in environment variables, as clients without a trusted root take them. */
function separateKeys(setting: Setting, work: string): Record<string, string> {
  const root = JSON.parse(readFileSync(join(setting.trust, "trusted_root.json"), "utf8"));
  const write = (name: string, content: string): string => {
    writeFileSync(join(work, name), content);
    return join(work, name);
  };
  const chain = (authority: { certChain: { certificates: { rawBytes: string }[] } }): string =>
    authority.certChain.certificates.map(({ rawBytes }) => pem("CERTIFICATE", rawBytes)).join("");
  return {
    SIGSTORE_REKOR_PUBLIC_KEY: write("rekor.pub", pem("PUBLIC KEY", root.tlogs.at(-1).publicKey.rawBytes)),
    SIGSTORE_CT_LOG_PUBLIC_KEY_FILE: write("ctfe.pub", pem("PUBLIC KEY", root.ctlogs[0].publicKey.rawBytes)),
    SIGSTORE_ROOT_FILE: write("fulcio.pem", chain(root.certificateAuthorities[0])),
    GITSIGN_TIMESTAMP_CERT_CHAIN: write("tsa.pem", chain(root.timestampAuthorities[0])),
  };
}

async function refuses(command: string, args: readonly string[], env: Record<string, string>, why: string): Promise<void> {
  if ((await run(command, args, { env })).status === 0) throw new Error(`${why}: the check proves nothing`);
}

/** cosign 2.6 without bundles of the new format, offline and online. */
export function cosign26Journeys(setting: Setting, work: string, artifact: string): Journey[] {
  const command = cosign26Path();
  const services = ["--fulcio-url", setting.url, "--rekor-url", setting.url];
  const policy = ["--certificate-identity", setting.identity, "--certificate-oidc-issuer", setting.issuer];
  const path = (name: string): string => join(work, `cosign26-${name}`);
  const changed = path("changed");
  const bytes = readFileSync(artifact);
  bytes[0]! ^= 1;
  writeFileSync(changed, bytes);
  const env = (): Record<string, string> => ({ ...homeEnv(setting.home), ...separateKeys(setting, work), COSIGN_PASSWORD: "" });
  const attest = (type: string): Journey => ({
    name: `cosign 2.6 attests with entry type ${type}, and verifies offline and online`,
    async go() {
      const [bundle, signature, certificate] = ["bundle", "sig", "pem"].map((name) => path(`${type}.${name}`)) as [
        string,
        string,
        string,
      ];
      const statement = ["--predicate", setting.predicate, "--type", "slsaprovenance1"];
      const outputs = ["--bundle", bundle, "--output-signature", signature, "--output-certificate", certificate];
      await succeed(
        command,
        [
          "attest-blob",
          "--yes",
          ...services,
          "--rekor-entry-type",
          type,
          ...statement,
          "--identity-token",
          await setting.token(),
          ...outputs,
          artifact,
        ],
        { env: env() },
      );
      const verify = ["verify-blob-attestation", "--type", "slsaprovenance1", ...policy, "--signature", signature];
      await succeed(command, [...verify, "--offline", "--bundle", bundle, artifact], { env: env() });
      await succeed(command, [...verify, "--rekor-url", setting.url, "--certificate", certificate, artifact], { env: env() });
      await refuses(
        command,
        [...verify, "--rekor-url", setting.url, "--certificate", certificate, changed],
        env(),
        "cosign accepted another artifact",
      );
    },
  });
  return [
    {
      name: "cosign 2.6 signs with the old bundle and detached files, and verifies offline and online",
      async go() {
        const outputs = [
          "--bundle",
          path("old.json"),
          "--output-signature",
          path("old.sig"),
          "--output-certificate",
          path("old.pem"),
        ];
        await succeed(
          command,
          ["sign-blob", "--yes", ...services, "--identity-token", await setting.token(), ...outputs, artifact],
          { env: env() },
        );
        await succeed(command, ["verify-blob", "--offline", "--bundle", path("old.json"), ...policy, artifact], { env: env() });
        const online = [
          "verify-blob",
          "--rekor-url",
          setting.url,
          "--signature",
          path("old.sig"),
          "--certificate",
          path("old.pem"),
          ...policy,
        ];
        await succeed(command, [...online, artifact], { env: env() });
        await refuses(command, [...online, changed], env(), "cosign accepted another artifact");
      },
    },
    attest("dsse"),
    attest("intoto"),
    {
      name: "cosign 2.6 signs the same twice with a key: the second time it takes the first entry",
      async go() {
        await succeed("openssl", ["genrsa", "-out", path("rsa.pem"), "2048"]);
        await succeed(command, ["import-key-pair", "--key", path("rsa.pem"), "--output-key-prefix", path("own")], { env: env() });
        const sign = async (name: string): Promise<string> => {
          const outcome = await succeed(
            command,
            ["sign-blob", "--yes", "--key", path("own.key"), "--rekor-url", setting.url, "--bundle", path(name), artifact],
            { env: env() },
          );
          return /index: (\d+)/.exec(outcome.stdout + outcome.stderr)?.[1] ?? "none";
        };
        const [first, second] = [await sign("key1.json"), await sign("key2.json")];
        if (first !== second || first === "none") throw new Error(`indices ${first} and ${second}`);
        await succeed(
          command,
          ["verify-blob", "--key", path("own.pub"), "--rekor-url", setting.url, "--bundle", path("key2.json"), artifact],
          { env: env() },
        );
      },
    },
    {
      name: "cosign 2.6 initializes from our TUF mirror, then signs and verifies with its keys",
      async go() {
        const fresh = homeEnv(path("home"));
        await succeed(command, ["initialize", "--mirror", `${setting.url}/tuf/`, "--root", join(setting.trust, "root.json")], {
          env: fresh,
        });
        await succeed(
          command,
          ["sign-blob", "--yes", ...services, "--identity-token", await setting.token(), "--bundle", path("tuf.json"), artifact],
          { env: fresh },
        );
        await succeed(command, ["verify-blob", "--bundle", path("tuf.json"), ...policy, artifact], { env: fresh });
        await refuses(
          command,
          [
            "verify-blob",
            "--bundle",
            path("tuf.json"),
            "--certificate-identity",
            "other@example.com",
            "--certificate-oidc-issuer",
            setting.issuer,
            artifact,
          ],
          fresh,
          "cosign accepted another identity",
        );
      },
    },
  ];
}

/** rekor-cli: upload, get, verify, search, loginfo. It keeps the state of the log and proves each time that it grew. */
export function rekorCliJourneys(setting: Setting, work: string, artifact: string): Journey[] {
  const command = join(part("unpack", "sid", "rekor"), "usr", "bin", "rekor-cli");
  const path = (name: string): string => join(work, `rekor-cli-${name}`);
  const env = homeEnv(path("home"));
  mkdirSync(env.HOME!, { recursive: true });
  const cli = async (...args: readonly string[]): Promise<string> => {
    const { stdout, stderr } = await succeed(command, [...args, "--rekor_server", setting.url], { env });
    return stdout + stderr;
  };
  const digest = createHash("sha256").update(readFileSync(artifact)).digest("hex");
  const signed = ["--signature", path("sig"), "--public-key", path("pub"), "--pki-format", "x509"];
  const uuidOf = (said: string): string => {
    const [uuid] = /[0-9a-f]{80}/.exec(said) ?? [];
    if (uuid === undefined) throw new Error(`no UUID in: ${said}`);
    return uuid;
  };
  const want = (said: string, ...patterns: readonly RegExp[]): void => {
    for (const pattern of patterns) if (!pattern.test(said)) throw new Error(`${pattern} is not in:\n${said}`);
  };
  let uuid = "";
  return [
    {
      name: "rekor-cli uploads a rekord and a hashedrekord, and is told of one that exists",
      async go() {
        await succeed("openssl", ["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", path("key")]);
        await succeed("openssl", ["ec", "-in", path("key"), "-pubout", "-out", path("pub")]);
        await succeed("openssl", ["dgst", "-sha256", "-sign", path("key"), "-out", path("sig"), artifact]);
        const hashed = await cli("upload", "--type", "hashedrekord", "--artifact-hash", digest, ...signed);
        uuid = uuidOf(hashed);
        want(await cli("upload", "--artifact", artifact, ...signed), /Created entry at index/);
        want(await cli("upload", "--artifact", artifact, ...signed), /Entry already exists/);
      },
    },
    {
      name: "rekor-cli gets entries by UUID, by leaf hash and by index",
      async go() {
        const said = await cli("get", "--uuid", uuid);
        want(said, new RegExp(uuid), new RegExp(digest));
        want(await cli("get", "--uuid", uuid.slice(16)), new RegExp(uuid));
        const [, index] = /Index: (\d+)/.exec(said) ?? [];
        want(await cli("get", "--log-index", index ?? ""), new RegExp(uuid));
      },
    },
    {
      name: "rekor-cli verifies inclusion of both kinds",
      async go() {
        want(await cli("verify", "--artifact", artifact, ...signed), /Computed Root Hash|Current Root Hash/);
        want(await cli("verify", "--type", "hashedrekord", "--artifact-hash", digest, ...signed), new RegExp(uuid.slice(16)));
      },
    },
    {
      name: "rekor-cli searches by digest, address and key",
      async go() {
        want(await cli("search", "--sha", digest), new RegExp(uuid));
        want(await cli("search", "--public-key", path("pub"), "--pki-format", "x509"), new RegExp(uuid));
        await lacreV1().sign(setting, "blob", artifact, path("mine.json"));
        want(await cli("search", "--email", setting.identity), /[0-9a-f]{80}/);
        want(await cli("search", "--email", setting.identity, "--sha", digest, "--operator", "and"), /[0-9a-f]{80}/);
        want(await cli("search", "--sha", "0".repeat(64)).catch(String), /no matching entries/i);
      },
    },
    {
      name: "rekor-cli sees the log grow and proves it",
      async go() {
        want(await cli("loginfo"), /Verification Successful/);
        for (let i = 0; i < 3; i++) await lacreV1().sign(setting, "blob", artifact, path("more.json"));
        const said = await cli("loginfo");
        want(said, /Verification Successful/);
        if (/unable to prove consistency/.test(said)) throw new Error("the earlier state was not kept");
      },
    },
  ];
}

/** gitsign: commits signed with certificates, and entries found online or carried along. */
export function gitsignJourneys(setting: Setting, work: string): Journey[] {
  const command = join(part("unpack", "sid", "gitsign"), "usr", "bin", "gitsign");
  const repository = join(work, "gitsign");
  const home = join(work, "gitsign-home");
  const env = (more: Record<string, string> = {}): Record<string, string> => ({
    ...homeEnv(home),
    ...separateKeys(setting, work),
    GITSIGN_FULCIO_URL: setting.url,
    GITSIGN_REKOR_URL: setting.url,
    GITSIGN_OIDC_ISSUER: setting.issuer,
    ...more,
  });
  const git = (args: readonly string[], more: Record<string, string> = {}) =>
    succeed("git", ["-C", repository, ...args], { env: env(more) });
  const verify = ["verify", "--certificate-oidc-issuer", setting.issuer, "--certificate-identity"];
  const verifyHere = async (verb: string, name: string, more: readonly string[]): Promise<void> => {
    const flags = [
      "--trusted-root",
      join(setting.trust, "trusted_root.json"),
      "--certificate-oidc-issuer",
      setting.issuer,
      ...more,
    ];
    const verifyBy = (identity: string) =>
      run(process.execPath, [LACRE, verb, name, ...flags, "--certificate-identity", identity], { cwd: repository });
    const { status, stdout, stderr } = await verifyBy(setting.identity);
    if (status !== 0) throw new Error(`lacre ${verb} ended with ${status}: ${stdout}${stderr}`);
    if ((await verifyBy("other@example.com")).status !== 1) throw new Error("another identity is not refused");
  };
  const commitAndVerify = async (more: Record<string, string>): Promise<void> => {
    await git(["commit", "--allow-empty", "--quiet", "-m", "a change"], { ...more, SIGSTORE_ID_TOKEN: await setting.token() });
    const outcome = await succeed(command, [...verify, setting.identity, "HEAD"], { cwd: repository, env: env(more) });
    if (!/Good signature/.test(outcome.stdout + outcome.stderr)) throw new Error(outcome.stdout + outcome.stderr);
    const wrong = await run(command, [...verify, "other@example.com", "HEAD"], { cwd: repository, env: env(more) });
    if (wrong.status === 0) throw new Error("gitsign accepted another identity: the check proves nothing");
    await verifyHere(
      "verify-commit",
      "HEAD",
      more["GITSIGN_REKOR_MODE"] === "offline" ? ["--offline"] : ["--rekor-url", setting.url],
    );
  };
  return [
    {
      name: "gitsign signs a commit and verifies it online",
      async go() {
        mkdirSync(home, { recursive: true });
        mkdirSync(repository, { recursive: true });
        await git(["init", "--quiet"]);
        const settings = [
          ["user.name", "A"],
          ["user.email", setting.identity],
          ["gpg.format", "x509"],
          ["gpg.x509.program", command],
          ["commit.gpgsign", "true"],
        ];
        for (const [name, value] of settings) await git(["config", name!, value!]);
        await succeed(command, ["initialize", "--mirror", `${setting.url}/tuf`, "--root", join(setting.trust, "root.json")], {
          env: homeEnv(home),
        });
        await commitAndVerify({});
        await git(["verify-commit", "HEAD"]);
      },
    },
    {
      name: "gitsign signs a commit that carries its entry, and verifies it offline",
      go: () => commitAndVerify({ GITSIGN_REKOR_MODE: "offline" }),
    },
    {
      name: "gitsign signs a tag that carries its entry, and lacre verifies it offline",
      async go() {
        await git(["tag", "-s", "v1", "-m", "a release"], {
          GITSIGN_REKOR_MODE: "offline",
          SIGSTORE_ID_TOKEN: await setting.token(),
        });
        await verifyHere("verify-tag", "v1", ["--offline"]);
      },
    },
    {
      // L3: within the same second it refuses its own commit, so the clock is made to wait.
      name: "gitsign signs a commit with a timestamp that is two seconds younger than the certificate",
      async go() {
        const slow = await startSlowClock(`${setting.url}/api/v1/timestamp`);
        try {
          await commitAndVerify({ GITSIGN_TIMESTAMP_SERVER_URL: slow.url });
        } finally {
          slow.stop();
        }
      },
    },
  ];
}

/** The clock behind a door that opens after two seconds. */
async function startSlowClock(target: string): Promise<{ readonly url: string; stop(): void }> {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      void (async () => {
        await new Promise((resolve) => setTimeout(resolve, 2100));
        const answer = await fetch(target, {
          method: "POST",
          headers: { "content-type": request.headers["content-type"] ?? "" },
          body: Buffer.concat(chunks),
        });
        const body = Buffer.from(await answer.arrayBuffer());
        response
          .writeHead(answer.status, { "content-type": answer.headers.get("content-type") ?? "", "content-length": body.length })
          .end(body);
      })();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}/`, stop: () => void server.close() };
}

/** A log whose very first entry is a Go client's, and what the others say of it. */
export function firstEntryJourneys(setting: Setting, artifact: string, verifiers: readonly Verifier[]): Journey[] {
  return verifiers
    .filter(({ name }) => name.startsWith("sigstore-python 4") || name === "lacre" || name.startsWith("sigstore-js"))
    .map((verifier) => ({
      name: `${verifier.name} verifies the first entry of a log, signed by cosign 3.1`,
      ...(verifier.name.startsWith("sigstore-python") ? { expectedFailure: L2 } : {}),
      async go() {
        const work = scratch("first");
        const home = join(work.path, "home");
        mkdirSync(home);
        copyFileSync(setting.predicate, join(work.path, "predicate.json"));
        const server = await startInstance({ dir: join(work.path, "installation"), port: await freePort(), home });
        try {
          const own: Setting = {
            ...setting,
            url: server.url,
            trust: join(server.dir, "trust"),
            home,
            issuer: `${server.url}/oidc`,
            token: async () =>
              (
                await succeed(process.execPath, [LACRE, "token", "--email", setting.identity], {
                  env: { ...homeEnv(home), LACRE_DIR: server.dir },
                })
              ).stdout.trim(),
          };
          const bundle = join(work.path, "first.sigstore.json");
          const trust = ["--trusted-root", join(own.trust, "trusted_root.json"), "--signing-config", v1Config(own)];
          await succeed(
            cosignPath(),
            ["sign-blob", "--yes", ...trust, "--identity-token", await own.token(), "--bundle", bundle, artifact],
            { env: homeEnv(home) },
          );
          await verifier.verify(own, "blob", artifact, bundle);
        } finally {
          await server.stop();
          work.remove();
        }
      },
    }));
}
