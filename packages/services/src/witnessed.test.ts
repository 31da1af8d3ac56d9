// SPDX-License-Identifier: Apache-2.0
/** Two installations over real connections: one seals, the other is its witness. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { parseCheckpoint } from "@lacre/core/bundle";
import { createLedgerClient, hashedRekordRequest, type Fetch } from "@lacre/core/client";
import { defaultAlgorithm, generateKey, sha256, signMessage } from "@lacre/core/crypto";
import { checkQuorum, parseWitnessPolicy } from "@lacre/core/trust";
import { ServiceError, up, type Running, type UpOptions } from "./serve.ts";

const scratch = mkdtempSync(join(tmpdir(), "lacre-witnessed-"));
after(() => rmSync(scratch, { recursive: true, force: true }));
const open: Running[] = [];
after(() => Promise.allSettled(open.map((one) => one.close())));

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

const policyOf = (name: string, log = "ledger"): string => readFileSync(join(scratch, name, "trust", `${log}.policy`), "utf8");
const vkeyOf = (policy: string): string => policy.split(" ")[1]!;
const key = generateKey("P-256");
function request(text: string): object {
  const algorithm = defaultAlgorithm(key.publicKey);
  const content = Buffer.from(text);
  return hashedRekordRequest(sha256(content), signMessage(algorithm, key, content), {
    kind: "publicKey",
    der: key.publicKey.spki,
    keyDetails: algorithm.keyDetails,
  });
}
interface Health {
  readonly status: string;
  readonly witness?: { readonly vkeys: string[]; readonly logs: { size: number }[]; readonly contradictions: number };
  readonly ledger?: {
    readonly status: string;
    readonly reason?: string;
    readonly witnesses: { readonly witnesses: { name: string; status: string; reason?: string }[] };
  };
}
const healthOf = async ({ url }: Running): Promise<Health> => (await (await fetch(`${url}/healthz`)).json()) as Health;

test("an installation's logs are witnessed by another installation; without it nothing is published", async () => {
  // Who we are, before anybody watches.
  await (await start("sealing", { only: new Set(["ledger", "ct"]) })).close();
  const identity = policyOf("sealing");
  assert.equal(parseWitnessPolicy(Buffer.from(identity)).quorum, undefined);

  const logs = ["ledger", "ct"].map((log) => ({ vkey: vkeyOf(policyOf("sealing", log)) }));
  const witness = await start("watching", { only: new Set(["witness"]), settings: { witness: { name: "w.example", logs } } });
  const { vkeys } = (await healthOf(witness)).witness!;
  assert.equal(vkeys.length, 2);
  assert.equal(statSync(join(scratch, "watching", "keys", "witness-ml-dsa-44.pem")).mode & 0o777, 0o600);

  const policy = `witness here ${vkeys[0]!} ${witness.url}\nquorum here\n`;
  const later = `witness quantum ${vkeys[1]!} ${witness.url}/\nquorum quantum\n`;
  const settings = { witnesses: { ledger: policy, ct: later, intervalSeconds: 0.05, timeoutSeconds: 1 } };
  const sealing = await start("sealing", { only: new Set(["ledger", "ct"]), settings });
  const client = createLedgerClient({ url: sealing.url, fetch: globalThis.fetch as unknown as Fetch, retries: 0 });
  const entry = await client.addEntry(request("one"));
  // Anybody with the policy file in the trust folder can check what the bundle carries.
  const { votes } = checkQuorum(
    parseWitnessPolicy(Buffer.from(policyOf("sealing"))),
    parseCheckpoint(entry.inclusionProof!.checkpoint),
  );
  assert.deepEqual(
    votes.map(({ witness: by }) => by.name),
    ["here"],
  );
  const ct = await (await fetch(`${sealing.url}/ct/checkpoint`)).text();
  assert.equal(checkQuorum(parseWitnessPolicy(Buffer.from(policyOf("sealing", "ct"))), parseCheckpoint(ct)).votes.length, 1);
  // The v1 dialect stays as its clients know it: one signature.
  const v1 = (await (await fetch(`${sealing.url}/api/v1/log`)).json()) as { signedTreeHead: string };
  assert.equal(parseCheckpoint(v1.signedTreeHead).note.signatures.length, 1);

  const metrics = await (await fetch(`${sealing.url}/metrics`)).text();
  for (const line of [
    /^lacre_witness_quorum\{log="ledger"\} 1$/m,
    /^lacre_witness_cosigned_timestamp_seconds\{log="ct",witness="quantum"\} 1\d{9}$/m,
  ])
    assert.match(metrics, line);
  const { url } = witness;
  const shown = await (await fetch(`${sealing.url}/api/v2/checkpoint`)).text();
  await witness.close();
  // Signed once: asked for again, it is the same entry.
  const two = request("two");
  const refused = await fetch(`${sealing.url}/api/v2/log/entries`, { method: "POST", body: JSON.stringify(two) });
  assert.deepEqual([refused.status, refused.headers.get("retry-after")], [503, "2"]);
  assert.equal(await (await fetch(`${sealing.url}/api/v2/checkpoint`)).text(), shown);
  const health = await healthOf(sealing);
  assert.deepEqual([health.status, health.ledger!.status], ["NOT_SERVING", "unwitnessed"]);
  assert.match(health.ledger!.reason!, /here: .*ECONNREFUSED/);
  assert.match(health.ledger!.witnesses.witnesses[0]!.reason!, /ECONNREFUSED/);

  // Started again without its witness it shows what it had published, and no more.
  await sealing.close();
  const restarted = await start("sealing", {
    only: new Set(["ledger", "ct"]),
    settings,
    listen: { host: "127.0.0.1", port: Number(new URL(sealing.url).port) },
  });
  assert.equal(await (await fetch(`${restarted.url}/api/v2/checkpoint`)).text(), shown);
  await start("watching", {
    only: new Set(["witness"]),
    settings: { witness: { name: "w.example", logs } },
    listen: { host: "127.0.0.1", port: Number(new URL(url).port) },
  });
  let again;
  for (let tries = 0; again === undefined && tries < 50; tries++) again = await client.addEntry(two).catch(() => undefined);
  assert.equal(again!.logIndex, 1n);
  assert.equal((await healthOf(restarted)).status, "SERVING");
  await restarted.close();
});

test("a witness that is asked for without logs, and a policy that cannot be read, are refused by name", async () => {
  const refuses = (work: Promise<unknown>, saying: RegExp) =>
    assert.rejects(
      work,
      (error) => error instanceof ServiceError && error.code === "CONFIG_INVALID" && saying.test(error.message),
    );
  await refuses(start("nobody", { only: new Set(["witness"]) }), /witness\.logs/);
  await refuses(
    start("nobody", { only: new Set(["ledger"]), settings: { witnesses: { ledger: "absent.policy" } } }),
    /witnesses\.ledger/,
  );
  await refuses(
    start("nobody", { only: new Set(["witness"]), settings: { witness: { logs: [{ vkey: "nonsense" }] } } }),
    /witness\.logs/,
  );
});
