// SPDX-License-Identifier: Apache-2.0
/** An installation that watches over itself, and a fork of it that nobody is to fall for. */
import assert from "node:assert/strict";
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { parseVerifierKey } from "@lacre/core/bundle";
import { toHex } from "@lacre/core/bytes";
import {
  createAuthorityClient,
  createLedgerClient,
  createWitnessClient,
  hashedRekordRequest,
  type Fetch,
} from "@lacre/core/client";
import { defaultAlgorithm, generateKey, sha256, signMessage } from "@lacre/core/crypto";
import { fetchTiles } from "@lacre/core/log";
import { encodeName, prepareRequest, signUnsigned } from "@lacre/core/x509";
import { importIdentityKey, mintDevelopmentToken } from "./idp/index.ts";
import { readKey } from "./installation/index.ts";
import { createMonitor, LEDGER_ENTRIES, openMonitorStore } from "./monitor/index.ts";
import { ServiceError, up, type Running, type UpOptions } from "./serve.ts";

const scratch = mkdtempSync(join(tmpdir(), "lacre-monitored-"));
after(() => rmSync(scratch, { recursive: true, force: true }));
const open: Running[] = [];
after(() => Promise.allSettled(open.map((one) => one.close())));
const fetch_ = globalThis.fetch as unknown as Fetch;

async function start(name: string, o: Partial<UpOptions> & { settings?: object } = {}): Promise<Running> {
  const { settings = {}, ...rest } = o;
  const config = join(scratch, `${name}.json`);
  writeFileSync(config, JSON.stringify(settings));
  const running = await up({
    dir: join(scratch, name),
    listen: { host: "127.0.0.1", port: 0 },
    stateDir: join(scratch, "state"),
    config,
    ...rest,
  });
  open.push(running);
  return running;
}

const key = generateKey("P-256");
const algorithm = defaultAlgorithm(key.publicKey);
function log({ url }: Running, text: string, certificate?: Uint8Array) {
  const content = Buffer.from(text);
  const verifier = {
    kind: certificate === undefined ? ("publicKey" as const) : ("certificate" as const),
    der: certificate ?? key.publicKey.spki,
    keyDetails: algorithm.keyDetails,
  };
  return createLedgerClient({ url, fetch: fetch_, retries: 0 }).addEntry(
    hashedRekordRequest(sha256(content), signMessage(algorithm, key, content), verifier),
  );
}
async function until<T>(look: () => Promise<T | undefined> | T | undefined): Promise<T> {
  for (let tries = 0; tries < 400; tries++) {
    const found = await look();
    if (found !== undefined) return found;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error("waited in vain");
}
interface Health {
  readonly monitor: {
    readonly status: string;
    readonly matches: number;
    readonly heartbeatMs?: number;
    readonly logs: { origin: string; status: string; size: number }[];
  };
  readonly witness: { contradictions: number; vkeys: string[] };
}
const healthOf = async ({ url }: Running): Promise<Health> => (await (await fetch(`${url}/healthz`)).json()) as Health;

test("somebody signs as you: the installation's own monitor finds it in ledger and certificate log, and tells it", async () => {
  const rules = {
    rules: [
      { name: "me", identity: "ada@example.com", issuer: { pattern: "/oidc$" } },
      { name: "my artifact", digest: `sha256:${toHex(sha256(Buffer.from("mine")))}` },
    ],
    sinks: { file: "told.jsonl" },
  };
  const dir = join(scratch, "watched");
  await (await start("watched")).close();
  writeFileSync(join(dir, "rules.json"), JSON.stringify(rules));
  const running = await start("watched", { settings: { monitor: { rules: "rules.json", intervalSeconds: 0.05 } } });
  const csr = signUnsigned(prepareRequest({ publicKey: key.publicKey, algorithm, subject: encodeName({}) }), key);
  const token = mintDevelopmentToken({
    issuer: `${running.url}/oidc`,
    key: importIdentityKey(readKey(dir, "idp").pkcs8),
    email: "ada@example.com",
    audience: "sigstore",
    now: Date.now,
  });
  const [certificate] = await createAuthorityClient({ url: running.url, fetch: fetch_ }).signingCertificate({ token, csr });
  await log(running, "anything", certificate);
  await log(running, "mine");
  const file = join(dir, "told.jsonl");
  const lines = await until(() => {
    const found = existsSync(file)
      ? readFileSync(file, "utf8")
          .trimEnd()
          .split("\n")
          .map((line) => JSON.parse(line) as { rule: string; origin: string; index: number; id: string })
      : [];
    return found.length >= 3 ? found : undefined;
  });
  const { facts } = running.installation;
  assert.deepEqual(
    lines.map(({ rule, origin, index }) => `${rule} ${origin} ${index}`).toSorted(),
    [`me ${facts.ct.origin} 0`, `me ${facts.ledger.origin} 0`, `my artifact ${facts.ledger.origin} 1`].toSorted(),
  );
  assert.equal(new Set(lines.map(({ id }) => id)).size, 3);
  const { monitor } = await healthOf(running);
  assert.deepEqual(
    [monitor.status, monitor.matches, monitor.logs.map(({ status, size }) => `${status} ${size}`)],
    ["watching", 3, ["current 2", "current 1", "current 0"]],
  );
  assert.ok(existsSync(join(dir, "monitor", "heartbeat.json")));
  const metrics = await (await fetch(`${running.url}/metrics`)).text();
  for (const line of [
    /^log_index_verification_total [1-9]/m,
    /^lacre_monitor_heartbeat_timestamp_seconds 1\d{9}/m,
    /^lacre_monitor_alarm\{log="ledger\.[^"]+"\} 0$/m,
    /^lacre_monitor_matches 3$/m,
  ])
    assert.match(metrics, line);
  await running.close();
  // A restart tells nothing again.
  const again = await start("watched", { settings: { monitor: { rules: "rules.json", intervalSeconds: 0.05 } } });
  await until(async () => ((await healthOf(again)).monitor.logs.every(({ status }) => status === "current") ? true : undefined));
  assert.equal(readFileSync(file, "utf8").trimEnd().split("\n").length, 3);
  await again.close();
});

test("rules that cannot be read stop the start, by name; a monitor can be switched off", async () => {
  const refuses = (rules: string, saying: RegExp) =>
    assert.rejects(
      start("quiet", { only: new Set(["ledger"]), settings: { monitor: { rules } } }),
      (error) => error instanceof ServiceError && error.code === "CONFIG_INVALID" && saying.test(error.message),
    );
  await refuses("absent.json", /monitor\.rules/);
  writeFileSync(join(scratch, "quiet", "bad.json"), JSON.stringify({ rules: [{ name: "all" }] }));
  await refuses("bad.json", /no condition/);
  const off = await start("quiet", { only: new Set(["ledger"]), settings: { monitor: { enabled: false } } });
  assert.equal((await healthOf(off)).monitor, undefined);
  assert.ok(!existsSync(join(scratch, "quiet", "monitor", "heartbeat.json")));
  await off.close();
});

test("a split view of one log, two directories with one key: the witness refuses it and the monitor raises the alarm within one interval", async () => {
  const only = new Set(["ledger"] as const);
  await (await start("honest", { only })).close();
  const [, vkey] = readFileSync(join(scratch, "honest", "trust", "ledger.policy"), "utf8").split(" ");
  const witness = await start("witness", { only: new Set(["witness"]), settings: { witness: { logs: [{ vkey: vkey! }] } } });
  const policy = `witness w ${(await healthOf(witness)).witness.vkeys[0]!} ${witness.url}\nquorum w\n`;
  const witnessed = { witnesses: { ledger: policy, intervalSeconds: 0.02, timeoutSeconds: 2 } };
  const before = await start("honest", { only, settings: witnessed });
  await log(before, "common 1");
  await log(before, "common 2");
  await before.close();
  // The operator forks the log: what one half of the world sees, the other does not.
  cpSync(join(scratch, "honest"), join(scratch, "forked"), { recursive: true });
  const honest = await start("honest", { only, settings: witnessed });
  await log(honest, "honest 3");
  const stateDir = join(scratch, "elsewhere");
  const refusal = await start("forked", { only, stateDir, settings: witnessed }).then(
    () => undefined,
    (error: unknown) => error as ServiceError,
  );
  // Asked before it signs anything, the witness gives the fork away.
  assert.deepEqual([refusal?.code, /witness w has seen 3:/.test(refusal?.detail ?? "")], ["LOG_FORKED", true]);
  const forked = await start("forked", { only, stateDir });
  await log(forked, "forked 3");
  await log(forked, "forked 4");

  // The witness is shown the fork as a log would show it.
  const client = createWitnessClient({ url: witness.url, fetch: fetch_, retries: 0 });
  const note = await (await fetch(`${forked.url}/api/v2/checkpoint`)).text();
  await assert.rejects(
    client.addCheckpoint({ oldSize: 3n, proof: [sha256(Buffer.from("no")), sha256(Buffer.from("proof"))], note }),
  );
  assert.equal((await healthOf(witness)).witness.contradictions, 1);

  // The monitor saw the honest log; then it is led to the fork.
  let behind = honest;
  const views: { by: string; latest(): Promise<string | undefined> }[] = [];
  const { origin } = honest.installation.facts.ledger;
  const watch = (views: readonly { by: string; latest(): Promise<string | undefined> }[]) =>
    createMonitor({
      logs: [
        {
          origin,
          key: parseVerifierKey(vkey!),
          entries: LEDGER_ENTRIES,
          views,
          source: (path) => fetchTiles({ url: `${behind.url}/api/v2`, fetch: fetch_, retries: 0 })(path),
        },
      ],
      rules: [],
      sinks: [],
      store: openMonitorStore(":memory:", "m"),
      intervalMs: 50,
      now: Date.now,
    });
  const monitor = watch(views);
  monitor.start();
  await until(() => (monitor.status().logs[0]!.size === 3 ? true : undefined));
  behind = forked;
  const { rounds } = monitor.status();
  await until(() => (monitor.status().status === "alarm" ? true : undefined));
  assert.ok(monitor.status().rounds - rounds <= 2, "the alarm took more than one interval");
  assert.equal(monitor.status().logs[0]!.alarm!.kind, "inconsistent");
  // Led back, it does not forget.
  behind = honest;
  await monitor.round();
  assert.equal(monitor.status().status, "alarm");
  await monitor.close();

  // One who was led to the fork from the beginning compares with what the witness was shown.
  behind = forked;
  const fooled = watch([{ by: "witness w", latest: () => client.latest(origin) }]);
  assert.deepEqual(
    (await fooled.round()).map(({ status }) => status),
    ["alarm"],
  );
  assert.equal(fooled.status().logs[0]!.alarm!.kind, "witness");
  await fooled.close();
  await Promise.all([honest.close(), forked.close(), witness.close()]);
});
