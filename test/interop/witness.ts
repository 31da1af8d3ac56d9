// SPDX-License-Identifier: Apache-2.0
// Witnesses and logs of other makes: a Go witness cosigns our log, our witness cosigns a Go log, and Go's own libraries
// judge what ours signed.
import { spawn } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createVerifierKey, formatVerifierKey, parseCheckpoint, parseVerifierKey } from "@lacre/core/bundle";
import { createLedgerClient, type Fetch, hashedRekordRequest } from "@lacre/core/client";
import { defaultAlgorithm, generateKey, sha256, signMessage } from "@lacre/core/crypto";
import { checkQuorum, parseWitnessPolicy } from "@lacre/core/trust";
import { freePort, type Instance, type Journey, startInstance, succeed } from "../harness.ts";
import { part } from "./clients/index.ts";

const WITNESS = "github.com/transparency-dev/witness/cmd/omniwitness@v0.0.0-20260720115447-2e1c6971d19e";
const PROGRAM = join(import.meta.dirname, "clients", "go", "witnessing");

interface Process {
  readonly url: string;
  stop(): Promise<void>;
}

/** Waits until something answers, whatever it says. */
async function answers(url: string, said: () => string): Promise<void> {
  for (let tries = 0; tries < 300; tries++) {
    if (
      await fetch(url).then(
        () => true,
        () => false,
      )
    )
      return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`nothing answers at ${url}:\n${said()}`);
}

async function startOmniwitness(bin: string, folder: string, port: number): Promise<Process> {
  const args = [
    "--listen",
    `127.0.0.1:${port}`,
    "--metrics_listen",
    "",
    "--private_key_path",
    join(folder, "key"),
    "--additional_logs",
    join(folder, "logs.yaml"),
    "--db_file",
    join(folder, "witness.db"),
  ];
  const child = spawn(join(bin, "omniwitness"), args, { stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (chunk: Buffer) => (said = (said + chunk.toString()).slice(-4000)));
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const url = `http://127.0.0.1:${port}`;
  const stop = async (): Promise<void> => {
    child.kill("SIGKILL");
    await ended;
  };
  await answers(url, () => said).catch(async (error: unknown) => {
    await stop();
    throw error;
  });
  return { url, stop };
}

const key = generateKey("P-256");
const algorithm = defaultAlgorithm(key.publicKey);
let artifacts = 0;
async function log(url: string): Promise<string> {
  const content = Buffer.from(`artifact ${artifacts++}`);
  const request = hashedRekordRequest(sha256(content), signMessage(algorithm, key, content), {
    kind: "publicKey",
    der: key.publicKey.spki,
    keyDetails: algorithm.keyDetails,
  });
  return (await createLedgerClient({ url, fetch: globalThis.fetch as unknown as Fetch, retries: 0 }).addEntry(request))
    .inclusionProof!.checkpoint;
}

interface Health {
  readonly witness: {
    readonly vkeys: readonly string[];
    readonly logs: readonly { readonly origin: string; readonly size: number }[];
  };
}
const healthOf = async (url: string): Promise<Health> => (await (await fetch(`${url}/healthz`)).json()) as Health;
const vkeyOf = (dir: string, name: string): string => readFileSync(join(dir, "trust", `${name}.policy`), "utf8").split(" ")[1]!;

/** The journeys. Builds the Go parts first: throws where they cannot be had. */
export function witnessJourneys(work: string, home: string): Journey[] {
  const bin = part("go", PROGRAM, WITNESS);
  const go = async (...args: readonly string[]): Promise<string[]> =>
    (await succeed(join(bin, "witnessing"), args, { timeoutMs: 90_000 })).stdout.trim().split("\n");
  const folder = join(work, "witness");
  mkdirSync(folder, { recursive: true });
  const at = (name: string): string => join(folder, name);
  const write = (name: string, content: string): string => {
    writeFileSync(at(name), content);
    return at(name);
  };
  const start = async (name: string, args: readonly string[], config: object, port?: number): Promise<Instance> =>
    startInstance({
      dir: at(name),
      port: port ?? (await freePort()),
      home,
      args: [...args, "--config", write(`${name}.json`, JSON.stringify(config))],
    });
  const opens = async (checkpoint: string, logKey: string, ...witnesses: readonly string[]): Promise<void> => {
    const names = await go("verify", write("checkpoint", checkpoint), logKey, ...witnesses);
    if (names.length !== 1 + witnesses.length) throw new Error(`Go verifies ${names.join(", ")} only`);
  };

  return [
    {
      name: "a Go witness (omniwitness) cosigns our checkpoints, before and after it was gone; Go's notes verify them",
      async go() {
        await (await start("ours", ["--only", "ledger"], {})).stop();
        const logKey = vkeyOf(at("ours"), "ledger");
        const [secret, plain] = (await go("keygen", "go.witness.example")) as [string, string];
        write("key", secret);
        write(
          "logs.yaml",
          `Logs:\n  - Origin: ${parseVerifierKey(logKey).name}\n    PublicKey: ${logKey}\n    URL: http://127.0.0.1/\n`,
        );
        const { name, key: raw } = parseVerifierKey(plain);
        const witnessKey = formatVerifierKey(createVerifierKey(name, "ed25519-cosignature", raw));
        const port = await freePort();
        let witness = await startOmniwitness(bin, folder, port);
        try {
          write("policy", `witness go ${witnessKey} ${witness.url}\nquorum go\n`);
          const ours = await start("ours", ["--only", "ledger"], {
            witnesses: { ledger: at("policy"), intervalSeconds: 0.1, timeoutSeconds: 2 },
          });
          try {
            for (let count = 0; count < 3; count++) await opens(await log(ours.url), logKey, witnessKey);
            await witness.stop();
            const refused = await log(ours.url).then(
              () => "published",
              (error: Error) => error.message,
            );
            if (!/witnesses/.test(refused)) throw new Error(`without its witness the log says: ${refused}`);
            witness = await startOmniwitness(bin, folder, port);
            let checkpoint = "";
            for (let tries = 0; checkpoint === "" && tries < 40; tries++) checkpoint = await log(ours.url).catch(() => "");
            await opens(checkpoint, logKey, witnessKey);
            // What a reader of ours makes of it, with the policy that the installation gives out.
            checkQuorum(
              parseWitnessPolicy(readFileSync(join(at("ours"), "trust", "ledger.policy"))),
              parseCheckpoint(checkpoint),
            );
          } finally {
            await ours.stop();
          }
        } finally {
          await witness.stop();
        }
      },
    },
    {
      name: "our witness cosigns a log of another make (Tessera), with both kinds of keys; Go's notes verify it",
      async go() {
        const [secret, logKey] = (await go("keygen", "tessera.example/log")) as [string, string];
        const skey = write("tessera.key", secret);
        const ours = await start("watching", ["--only", "witness"], {
          witness: { name: "lacre.witness.example", logs: [{ vkey: logKey }] },
        });
        try {
          const { vkeys } = (await healthOf(ours.url)).witness;
          mkdirSync(at("tessera"), { recursive: true });
          let size = 0;
          for (const vkey of vkeys) {
            const policy = write("tessera.policy", `witness lacre ${vkey} ${ours.url}\nquorum lacre\n`);
            size += (await go("log", at("tessera"), skey, policy, "5")).length;
            await opens(readFileSync(at("tessera/published"), "utf8"), logKey, vkey);
          }
          const [watched] = (await healthOf(ours.url)).witness.logs;
          if (size !== 10 || watched?.size !== 10) throw new Error(`our witness has seen ${watched?.size} of ${size} entries`);
        } finally {
          await ours.stop();
        }
      },
    },
    {
      name: "our witness over our own ledger and certificate log: Go's notes verify log and cosignatures of both kinds",
      async go() {
        await (await start("sealing", ["--only", "ledger,ct"], {})).stop();
        const keys = { ledger: vkeyOf(at("sealing"), "ledger"), ct: vkeyOf(at("sealing"), "ct") };
        const witness = await start("observing", ["--only", "witness"], {
          witness: { logs: Object.values(keys).map((vkey) => ({ vkey })) },
        });
        try {
          const [classic, quantum] = (await healthOf(witness.url)).witness.vkeys as [string, string];
          // One witness under two keys: both have to sign.
          const policy = `witness classic ${classic} ${witness.url}\nwitness quantum ${quantum} ${witness.url}\ngroup both all classic quantum\nquorum both\n`;
          const sealing = await start("sealing", ["--only", "ledger,ct"], {
            witnesses: { ledger: policy, ct: policy, intervalSeconds: 0.1 },
          });
          try {
            await opens(await log(sealing.url), keys.ledger, classic, quantum);
            await opens(await (await fetch(`${sealing.url}/ct/checkpoint`)).text(), keys.ct, classic, quantum);
          } finally {
            await sealing.stop();
          }
        } finally {
          await witness.stop();
        }
      },
    },
  ];
}
