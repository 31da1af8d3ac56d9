// SPDX-License-Identifier: Apache-2.0
// Keys of one's own, where people keep them: files as cosign encrypts them, a token (SoftHSM), AWS KMS (moto), Vault's transit
// engine. What signs here verifies with cosign, and what cosign signs with the same key verifies here.
import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { homeEnv, type Journey, LACRE, ROOT, run, succeed } from "../harness.ts";
import { cosignPath, part, type Setting } from "./clients/index.ts";
import { cosign26Path } from "./clients/v1.ts";

const PASSWORD = "correct horse";
const PIN = "1234";
/** cosign 3.1 verifies with SHA-256 whatever the curve is, and so refuses its own signatures with such keys. */
const COSIGN_CURVES = "L5: cosign 3.1 does not verify P-384 and P-521 keys, its own signatures included";
const isKnownToCosign = (name: string): boolean => !/384|521/.test(name);
const MODULE = "/usr/lib/softhsm/libsofthsm2.so";

type Env = Record<string, string>;

/** Both tools by the same command line, against one installation. */
function createTools(setting: Setting, work: string, artifact: string) {
  const base: Env = { ...homeEnv(setting.home), COSIGN_PASSWORD: PASSWORD };
  const cosign = cosignPath();
  const root = ["--trusted-root", join(setting.trust, "trusted_root.json")];
  const config = ["--signing-config", join(setting.trust, "signing_config.v0.2.json"), ...root];
  const changed = join(work, "keys-changed");
  const bytes = readFileSync(artifact);
  bytes[0]! ^= 1;
  writeFileSync(changed, bytes);
  const say = (tool: "lacre" | "cosign", args: readonly string[], env: Env = {}, cwd = work) =>
    tool === "lacre"
      ? succeed(process.execPath, [LACRE, ...args], { env: { ...base, ...env }, cwd })
      : succeed(cosign, args, { env: { ...base, ...env }, cwd });
  const sign = (tool: "lacre" | "cosign", key: string, bundle: string, env: Env = {}) =>
    say(tool, ["sign-blob", "--yes", "--key", key, ...config, "--bundle", bundle, artifact], env);
  const attest = (tool: "lacre" | "cosign", key: string, bundle: string, env: Env = {}) =>
    say(
      tool,
      [
        "attest-blob",
        "--yes",
        "--key",
        key,
        ...config,
        "--predicate",
        setting.predicate,
        "--type",
        "slsaprovenance1",
        "--bundle",
        bundle,
        artifact,
      ],
      env,
    );
  const verify = async (tool: "lacre" | "cosign", key: string, bundle: string, env: Env = {}): Promise<void> => {
    const args = ["verify-blob", "--key", key, ...root, "--bundle", bundle];
    await say(tool, [...args, artifact], env);
    const command = tool === "lacre" ? process.execPath : cosign;
    const wrong = await run(command, [...(tool === "lacre" ? [LACRE] : []), ...args, changed], {
      env: { ...base, ...env },
      cwd: work,
    });
    if (wrong.status === 0) throw new Error(`${tool} accepted a changed artifact: the check proves nothing`);
  };
  const verifyStatement = (tool: "lacre" | "cosign", key: string, bundle: string, env: Env = {}) =>
    say(tool, ["verify-blob-attestation", "--key", key, "--type", "slsaprovenance1", ...root, "--bundle", bundle, artifact], env);
  return { say, sign, attest, verify, verifyStatement };
}

/** Files: made by either, used by the other. */
export function keyFileJourneys(setting: Setting, work: string, artifact: string): Journey[] {
  const folder = join(work, "key-files");
  mkdirSync(folder);
  const { say, sign, attest, verify, verifyStatement } = createTools(setting, folder, artifact);
  const generated = (maker: "lacre" | "cosign"): Journey => ({
    name: `an encrypted key made by ${maker} signs and verifies with both tools`,
    async go() {
      await say(maker, ["generate-key-pair", "--output-key-prefix", `by-${maker}`], {}, folder);
      for (const signer of ["lacre", "cosign"] as const) {
        const bundle = join(folder, `${maker}-${signer}.json`);
        await sign(signer, `by-${maker}.key`, bundle);
        for (const verifier of ["lacre", "cosign"] as const) await verify(verifier, `by-${maker}.pub`, bundle);
        await attest(signer, `by-${maker}.key`, bundle);
        for (const verifier of ["lacre", "cosign"] as const) await verifyStatement(verifier, `by-${maker}.pub`, bundle);
      }
      const printed = await say(maker === "lacre" ? "cosign" : "lacre", ["public-key", "--key", `by-${maker}.key`], {}, folder);
      if (printed.stdout.trim() !== readFileSync(join(folder, `by-${maker}.pub`), "utf8").trim())
        throw new Error("the public halves differ");
    },
  });
  const imported: Journey = {
    name: "keys of OpenSSL imported by either sign and verify with both tools",
    async go() {
      const keys = {
        p384: ["EC", "ec_paramgen_curve:P-384"],
        p521: ["EC", "ec_paramgen_curve:P-521"],
        rsa: ["RSA", "rsa_keygen_bits:3072"],
      };
      for (const [name, [algorithm, option]] of Object.entries(keys)) {
        await succeed("openssl", ["genpkey", "-algorithm", algorithm!, "-pkeyopt", option!, "-out", `${name}.pem`], {
          cwd: folder,
        });
        for (const maker of ["lacre", "cosign"] as const) {
          await say(maker, ["import-key-pair", "--key", `${name}.pem`, "-o", `${name}-${maker}`], {}, folder);
          const other = maker === "lacre" ? "cosign" : "lacre";
          const bundle = join(folder, `${name}-${maker}.json`);
          await sign(other, `${name}-${maker}.key`, bundle);
          await verify("lacre", `${name}-${maker}.pub`, bundle);
          if (isKnownToCosign(name)) await verify("cosign", `${name}-${maker}.pub`, bundle);
        }
      }
    },
  };
  const curves: Journey = {
    name: "cosign verifies its own signature with a P-384 key",
    expectedFailure: COSIGN_CURVES,
    go: () => verify("cosign", "p384-cosign.pub", join(folder, "p384-lacre.json")),
  };
  return [generated("cosign"), generated("lacre"), imported, curves];
}

const ALGORITHMS = [
  "ecdsa-sha2-256-nistp256",
  "ecdsa-sha2-384-nistp384",
  "ecdsa-sha2-512-nistp521",
  "rsa-sign-pkcs1-3072-sha256",
];

async function verifyByOpenssl(folder: string, name: string, bundle: string, artifact: string): Promise<void> {
  const { messageSignature } = JSON.parse(readFileSync(bundle, "utf8")) as { messageSignature: { signature: string } };
  writeFileSync(join(folder, "signature"), Buffer.from(messageSignature.signature, "base64"));
  const hash = name.includes("384") ? "sha384" : name.includes("521") ? "sha512" : "sha256";
  await succeed("openssl", ["dgst", `-${hash}`, "-verify", `${name}.pub`, "-signature", "signature", artifact], { cwd: folder });
}

/** Certificates for keys of other types than P-256. */
export function certificateJourneys(setting: Setting, work: string, artifact: string): Journey[] {
  const folder = join(work, "algorithms");
  mkdirSync(folder);
  const { say } = createTools(setting, folder, artifact);
  const root = ["--trusted-root", join(setting.trust, "trusted_root.json")];
  const config = ["--signing-config", join(setting.trust, "signing_config.v0.2.json"), ...root];
  const policy = ["--certificate-identity", setting.identity, "--certificate-oidc-issuer", setting.issuer];
  return ALGORITHMS.slice(1).map((name) => ({
    name: `certificates for ${name}: both sign, both verify`,
    async go() {
      for (const signer of ["lacre", "cosign"] as const) {
        const bundle = join(folder, `${name}-${signer}.json`);
        const token = ["--identity-token", await setting.token()];
        await say(signer, ["sign-blob", "--yes", ...config, ...token, "--signing-algorithm", name, "--bundle", bundle, artifact]);
        for (const verifier of ["lacre", "cosign"] as const)
          await say(verifier, ["verify-blob", ...root, ...policy, "--bundle", bundle, artifact]);
      }
    },
  }));
}

/** A token of SoftHSM2, filled by OpenSC's tool and by us. */
export function tokenJourneys(setting: Setting, work: string, artifact: string): Journey[] {
  part("debian", "softhsm2", "opensc");
  const folder = join(work, "token");
  mkdirSync(join(folder, "tokens"), { recursive: true });
  writeFileSync(
    join(folder, "softhsm2.conf"),
    `directories.tokendir = ${join(folder, "tokens")}\nobjectstore.backend = file\nlog.level = ERROR\n`,
  );
  const { say, sign, attest, verify, verifyStatement } = createTools(setting, folder, artifact);
  const env: Env = { SOFTHSM2_CONF: join(folder, "softhsm2.conf"), COSIGN_PKCS11_PIN: PIN };
  const uri = (object: string): string => `pkcs11:token=lacre;object=${object}?module-path=${encodeURIComponent(MODULE)}`;
  const prepare: Journey = {
    name: "a token is set up, and its keys are listed as URIs",
    async go() {
      await succeed("softhsm2-util", ["--init-token", "--free", "--label", "lacre", "--pin", PIN, "--so-pin", "5678"], { env });
      await succeed(
        "pkcs11-tool",
        [
          "--module",
          MODULE,
          "--login",
          "--pin",
          PIN,
          "--token-label",
          "lacre",
          "--keypairgen",
          "--key-type",
          "EC:prime256v1",
          "--label",
          "opensc",
          "--id",
          "01",
        ],
        { env },
      );
      const tokens = await say("lacre", ["pkcs11-tool", "list-tokens", "--module-path", MODULE], env);
      if (!tokens.stdout.includes(": lacre (SoftHSM")) throw new Error(`tokens: ${tokens.stdout}`);
      const keys = await say("lacre", ["pkcs11-tool", "list-keys-uris", "--module-path", MODULE, "--token", "lacre"], env);
      if (!keys.stdout.includes("pkcs11:token=lacre;object=opensc;id=%01")) throw new Error(`keys: ${keys.stdout}`);
    },
  };
  const others = ["ecdsa-sha2-384-nistp384", "ecdsa-sha2-512-nistp521", "rsa-sign-pkcs1-3072-sha256"];
  const signs = (object: string, make: () => Promise<void>): Journey => ({
    name: `a key in SoftHSM signs, and ${isKnownToCosign(object) ? "cosign" : "openssl"} verifies: ${object}`,
    async go() {
      await make();
      const bundle = join(folder, `${object}.json`);
      await sign("lacre", uri(object), bundle, env);
      if (isKnownToCosign(object)) await verify("cosign", `${object}.pub`, bundle);
      else await verifyByOpenssl(folder, object, bundle, artifact);
      await verify("lacre", `${object}.pub`, bundle);
      await verify("lacre", uri(object), bundle, { SOFTHSM2_CONF: env["SOFTHSM2_CONF"]! });
      await attest("lacre", uri(object), bundle, env);
      await verifyStatement("lacre", `${object}.pub`, bundle);
      if (isKnownToCosign(object)) await verifyStatement("cosign", `${object}.pub`, bundle);
    },
  });
  const wrong: Journey = {
    name: "a wrong PIN is refused, and is in no output",
    async go() {
      const outcome = await run(
        process.execPath,
        [
          LACRE,
          "sign-blob",
          "--yes",
          "--key",
          uri("opensc"),
          "--tlog-upload=false",
          "--bundle",
          join(folder, "none.json"),
          artifact,
        ],
        {
          env: { ...homeEnv(setting.home), ...env, COSIGN_PKCS11_PIN: "987654" },
        },
      );
      if (outcome.status !== 3 || !outcome.stderr.includes("CKR_PIN_INCORRECT")) throw new Error(outcome.stderr);
      if (outcome.stderr.includes("987654")) throw new Error("the PIN is shown");
    },
  };
  return [
    prepare,
    signs(
      "opensc",
      async () => void (await say("lacre", ["public-key", "--key", uri("opensc"), "--outfile", join(folder, "opensc.pub")], env)),
    ),
    ...others.map((name) =>
      signs(
        name,
        async () =>
          void (await say(
            "lacre",
            ["generate-key-pair", "--kms", uri(name), "--signing-algorithm", name, "--output-key-prefix", name],
            env,
            folder,
          )),
      ),
    ),
    wrong,
  ];
}

/** A server of our own that ends with the journeys; prints one line when it is ready. */
async function start(command: string, args: readonly string[]): Promise<{ readonly line: string; readonly child: ChildProcess }> {
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "inherit"] });
  process.once("exit", () => child.kill());
  let said = "";
  for await (const chunk of child.stdout as AsyncIterable<Buffer>) {
    said += chunk.toString();
    if (said.includes("\n")) break;
  }
  if (!said.includes("\n")) throw new Error(`${command} did not start`);
  return { line: said.split("\n")[0]!, child };
}

/** AWS KMS, by moto's server. */
export function awsJourneys(setting: Setting, work: string, artifact: string): Journey[] {
  const bin = part("python", "moto", "moto[server]==5.2.5");
  const folder = join(work, "aws");
  mkdirSync(folder);
  const { say, sign, verify } = createTools(setting, folder, artifact);
  return [
    {
      name: "keys of AWS KMS (moto) sign, and openssl and cosign verify",
      async go() {
        const { line, child } = await start(join(bin, "python"), [join(ROOT, "test/interop/clients/moto-kms.py")]);
        try {
          const env: Env = {
            AWS_ENDPOINT_URL: `http://127.0.0.1:${line}`,
            AWS_ACCESS_KEY_ID: "testing",
            AWS_SECRET_ACCESS_KEY: "testing",
            AWS_REGION: "us-east-1",
          };
          for (const name of ALGORITHMS) {
            const key = `awskms:///alias/${name}`;
            await say(
              "lacre",
              ["generate-key-pair", "--kms", key, "--signing-algorithm", name, "--output-key-prefix", name],
              env,
              folder,
            );
            const bundle = join(folder, `${name}.json`);
            await sign("lacre", key, bundle, env);
            await verify("lacre", `${name}.pub`, bundle);
            await verify("lacre", key, bundle, env);
            if (isKnownToCosign(name)) await verify("cosign", `${name}.pub`, bundle);
            await verifyByOpenssl(folder, name, bundle, artifact);
          }
          const taken = await run(
            process.execPath,
            [LACRE, "generate-key-pair", "--yes", "--kms", "awskms:///alias/ecdsa-sha2-256-nistp256"],
            {
              env: { ...homeEnv(setting.home), ...env },
              cwd: folder,
            },
          );
          if (taken.status !== 2) throw new Error("a key was made over another");
        } finally {
          child.kill();
        }
      },
    },
  ];
}

/** Vault's transit engine. */
export function vaultJourneys(setting: Setting, work: string, artifact: string): Journey[] {
  const bin = part("go", join(ROOT, "test/interop/clients/go/transit"));
  const folder = join(work, "vault");
  mkdirSync(folder);
  const { say, sign, verify } = createTools(setting, folder, artifact);
  return [
    {
      name: "keys of Vault's transit engine sign, and cosign verifies; cosign signs, and we verify",
      async go() {
        const { line, child } = await start(join(bin, "transit"), ["hvs.token"]);
        try {
          const env: Env = { VAULT_ADDR: line, VAULT_TOKEN: "hvs.token" };
          for (const name of [
            "ecdsa-sha2-256-nistp256",
            "ecdsa-sha2-384-nistp384",
            "ecdsa-sha2-512-nistp521",
            "rsa-sign-pkcs1-3072-sha256",
          ]) {
            const key = `hashivault://${name}`;
            await say(
              "lacre",
              ["generate-key-pair", "--kms", key, "--signing-algorithm", name, "--output-key-prefix", name],
              env,
              folder,
            );
            const bundle = join(folder, `${name}.json`);
            await sign("lacre", key, bundle, env);
            for (const named of [`${name}.pub`, key]) await verify("lacre", named, bundle, env);
            if (isKnownToCosign(name)) await verify("cosign", `${name}.pub`, bundle);
            await verifyByOpenssl(folder, name, bundle, artifact);
          }
          // Debian's cosign 3.1 is built without Vault.
          const release = "hashivault://ecdsa-sha2-256-nistp256";
          const bundle = join(folder, "cosign.json");
          const flags = ["--yes", "--key", release, "--tlog-upload=false", "--new-bundle-format", "--bundle", bundle];
          await succeed(cosign26Path(), ["sign-blob", ...flags, artifact], { env: { ...homeEnv(setting.home), ...env } });
          await say("lacre", ["verify-blob", "--key", release, "--insecure-ignore-tlog", "--bundle", bundle, artifact], env);
          const older = join(folder, "ecdsa-sha2-256-nistp256.json");
          const rotated = await fetch(`${line}/v1/transit/keys/ecdsa-sha2-256-nistp256/rotate`, {
            method: "POST",
            headers: { "x-vault-token": "hvs.token" },
            body: "{}",
          });
          if (!rotated.ok) throw new Error(`the key was not rotated: ${rotated.status}`);
          await verify("lacre", `${release}?version=1`, older, env);
          const newer = join(folder, "rotated.json");
          await sign("lacre", release, newer, env);
          await verify("lacre", release, newer, env);
          await say(
            "lacre",
            ["generate-key-pair", "--kms", "hashivault://ed", "--signing-algorithm", "ed25519", "--output-key-prefix", "ed"],
            env,
            folder,
          );
          const pure = join(folder, "ed.json");
          await say("lacre", ["sign-blob", "--key", "hashivault://ed", "--tlog-upload=false", "--bundle", pure, artifact], env);
          await say("lacre", ["verify-blob", "--key", "ed.pub", "--insecure-ignore-tlog", "--bundle", pure, artifact], env);
        } finally {
          child.kill();
        }
      },
    },
  ];
}
