// SPDX-License-Identifier: Apache-2.0
// Bundles as an installation of ours makes them today: both dialects of the ledger, message and statement, certificate
// and key, and a bare one without a log. Made in a folder, by the command's own verbs; the installation has ended when
// they are handed out.
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { up } from "@lacre/services";
import { runLine } from "../packages/cli/src/run.ts";
import { createWorld } from "./cli/world.ts";
import { createRegistry, HOST, putImage } from "./cli/registry.ts";
import { homeEnv } from "./harness.ts";

export interface FreshBundle {
  /** File name in the folder. */
  readonly file: string;
  readonly log: "v1" | "v2" | "none";
  readonly content: "message" | "statement";
  readonly signer: "certificate" | "key";
}

export interface Fresh {
  /**
   * Holds `app`, `other`, `k.pub`, the bundles, `layout` (an image with two signatures and a statement), and
   * `policy.yaml`, learnt from two of the bundles.
   */
  readonly folder: string;
  /** The installation's data directory. */
  readonly dir: string;
  readonly trustedRoot: string;
  readonly identity: string;
  readonly issuer: string;
  readonly predicateType: string;
  readonly bundles: readonly FreshBundle[];
}

/** Makes them below `work`, with a home of its own there. */
export async function makeFresh(work: string): Promise<Fresh> {
  const folder = join(work, "work");
  const dir = join(work, "one");
  mkdirSync(folder);
  Object.assign(process.env, homeEnv(join(work, "home")));
  const server = await up({ dir, listen: { host: "localhost", port: 0 }, stateDir: join(work, "state") });
  const registry = createRegistry();
  const lacre = async (...args: string[]): Promise<string> => {
    const world = createWorld({
      cwd: folder,
      fetch: (url, init) => (new URL(url).host === HOST ? registry.fetch(url, init) : fetch(url, init)),
    });
    const status = await runLine(args, world.context);
    if (status !== 0) throw new Error(`lacre ${args[0]} ended with ${status}: ${world.stderr()}`);
    return world.stdout().trim();
  };
  try {
    const identity = "you@example.com";
    const predicateType = "https://example.com/p";
    const trustedRoot = join(dir, "trust", "trusted_root.json");
    writeFileSync(join(folder, "app"), "the artifact\n");
    writeFileSync(join(folder, "other"), "another artifact\n");
    writeFileSync(join(folder, "predicate.json"), '{"builder":"fresh"}');
    const quiet = { cwd: folder, stdio: "ignore" } as const;
    execFileSync("openssl", ["ecparam", "-genkey", "-name", "prime256v1", "-noout", "-out", "k.pem"], quiet);
    execFileSync("openssl", ["ec", "-in", "k.pem", "-pubout", "-out", "k.pub"], quiet);
    const config = JSON.parse(readFileSync(join(dir, "trust", "signing_config.v0.2.json"), "utf8"));
    const attest = ["attest-blob", "--predicate", "predicate.json", "--type", predicateType];
    const bundles: FreshBundle[] = [];
    for (const log of ["v1", "v2"] as const) {
      const ledgers = config.rekorTlogUrls.filter(
        ({ majorApiVersion }: { majorApiVersion: number }) => `v${majorApiVersion}` === log,
      );
      writeFileSync(join(folder, `${log}.config`), JSON.stringify({ ...config, rekorTlogUrls: ledgers }));
      const services = ["--signing-config", `${log}.config`, "--trusted-root", trustedRoot];
      // The log's first entry has an empty proof, which leaves little to damage.
      await lacre("sign-blob", "other", "--bundle", `first.${log}`, "--key", "k.pem", ...services);
      for (const content of ["message", "statement"] as const) {
        for (const signer of ["certificate", "key"] as const) {
          const token = signer === "key" ? "" : await lacre("token", "--email", identity, "--dir", dir);
          const who = signer === "key" ? ["--key", "k.pem"] : ["--identity-token", token];
          const file = `${log}.${content}.${signer}`;
          await lacre(...(content === "message" ? ["sign-blob"] : attest), "app", "--bundle", file, ...services, ...who);
          bundles.push({ file, log, content, signer });
        }
      }
    }
    await lacre("sign-blob", "app", "--bundle", "none.message.key", "--key", "k.pem", "--tlog-upload=false");
    bundles.push({ file: "none.message.key", log: "none", content: "message", signer: "key" });
    // An image with a signature by certificate and one by key, and a statement; saved, so that no registry is needed.
    const { digest } = putImage(registry, "app", "v1", "the image");
    const image = `${HOST}/app@${digest}`;
    const token = await lacre("token", "--email", identity, "--dir", dir);
    const services = ["--signing-config", "v2.config", "--trusted-root", trustedRoot];
    await lacre("sign", image, ...services, "--identity-token", token);
    await lacre("sign", image, ...services, "--key", "k.pem");
    await lacre(
      "attest",
      image,
      "--predicate",
      "predicate.json",
      "--type",
      predicateType,
      ...services,
      "--identity-token",
      token,
    );
    await lacre("save", `${HOST}/app:v1`, "--dir", "layout");
    const learnt = ["--bundle", "v2.message.certificate", "--bundle", "v2.statement.certificate", "--trusted-root", trustedRoot];
    writeFileSync(join(folder, "policy.yaml"), `${await lacre("policy", "learn", "./app", ...learnt)}\n`);
    // So that what is remembered for this user can be verified with.
    await lacre("initialize", "--mirror", `${server.url}/tuf/`, "--root", join(dir, "trust", "root.json"));
    return { folder, dir, trustedRoot, identity, issuer: `${server.url}/oidc`, predicateType, bundles };
  } finally {
    await server.close();
  }
}
