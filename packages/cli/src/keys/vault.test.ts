// SPDX-License-Identifier: Apache-2.0
// A stand-in written from the API's documentation; the interop run asks Vault's own transit engine the same.
import assert from "node:assert/strict";
import { generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { checkSignature } from "@lacre/core/crypto";
import { createWorld } from "../../../../test/cli/world.ts";
import { CliError } from "../errors.ts";
import { generateKeyAt, openSigner, readPublicKey } from "../keys.ts";

const TOKEN = "hvs.s3cret";
const message = Buffer.from("what is signed");

interface Stored {
  readonly type: string;
  readonly versions: { readonly publicKey: KeyObject; readonly privateKey: KeyObject }[];
}

// oxlint-disable-next-line no-explicit-any -- bodies of the API
type Loose = any;

interface Stand {
  readonly env: Record<string, string>;
  readonly keys: Map<string, Stored>;
  readonly requests: { readonly path: string; readonly headers: Loose; readonly body: Loose }[];
  bend: ((answer: Loose) => void) | undefined;
}

async function stand(t: TestContext): Promise<Stand> {
  const keys = new Map<string, Stored>();
  const requests: Stand["requests"] = [];
  const home = mkdtempSync(join(tmpdir(), "lacre-vault-"));
  const server = createServer((request, response) => void serve(request, response));
  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    const body = parts.length === 0 ? undefined : (JSON.parse(Buffer.concat(parts).toString()) as Loose);
    requests.push({ path: request.url!, headers: request.headers, body });
    const send = (status: number, answer?: Loose): void => {
      result.bend?.(answer);
      response.writeHead(status, { "content-type": "application/json" }).end(answer === undefined ? "" : JSON.stringify(answer));
    };
    if (request.headers["x-vault-token"] !== TOKEN) return send(403, { errors: ["permission denied"] });
    const [, engine, what, name] = /^\/v1\/(.+)\/(keys|sign)\/([^/]+)$/.exec(request.url!) ?? [];
    if (engine !== "transit" && engine !== "team/seals") return send(404, { errors: ["no handler for route"] });
    const stored = keys.get(name!);
    if (what === "keys" && request.method === "POST") {
      if (stored === undefined) keys.set(name!, make(body.type as string));
      return send(204);
    }
    if (stored === undefined) return send(404, { errors: [] });
    if (what === "keys") {
      const shown = stored.versions.map(({ publicKey }, i) => [
        String(i + 1),
        {
          public_key:
            stored.type === "ed25519"
              ? publicKey.export({ format: "der", type: "spki" }).subarray(12).toString("base64")
              : publicKey.export({ format: "pem", type: "spki" }).toString().trim(),
        },
      ]);
      return send(200, { data: { type: stored.type, latest_version: stored.versions.length, keys: Object.fromEntries(shown) } });
    }
    const pair = stored.versions[(body.key_version as number) - 1];
    if (pair === undefined) return send(400, { errors: ["cannot sign with that version"] });
    // Digests are checked against the message that the tests sign: the stand-in signs the message itself.
    const signature = sign(
      stored.type === "ed25519" ? null : body.hash_algorithm === "sha2-384" ? "sha384" : "sha256",
      message,
      pair.privateKey,
    );
    return send(200, { data: { signature: `vault:v${body.key_version}:${signature.toString("base64")}` } });
  }
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    server.close();
    rmSync(home, { recursive: true });
  });
  const result: Stand = {
    env: { VAULT_ADDR: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, VAULT_TOKEN: TOKEN, HOME: home },
    keys,
    requests,
    bend: undefined,
  };
  return result;
}

function make(type: string): Stored {
  const pair = (): Stored["versions"][number] => {
    if (type === "ed25519") return generateKeyPairSync("ed25519");
    if (type.startsWith("rsa")) return generateKeyPairSync("rsa", { modulusLength: Number(type.slice(4)) });
    return generateKeyPairSync("ec", { namedCurve: `P-${type.slice(-3)}` });
  };
  return { type, versions: [pair()] };
}

async function refusedWith(code: string, work: Promise<unknown>): Promise<CliError> {
  try {
    await work;
  } catch (error) {
    assert.ok(error instanceof CliError && error.code === code, String(error));
    return error;
  }
  assert.fail(`not refused: ${code}`);
}

test("keys of Vault sign: the digest goes there, and for Ed25519 the message", async (t) => {
  const vault = await stand(t);
  for (const type of ["ecdsa-p256", "ecdsa-p384", "rsa-3072", "ed25519"]) {
    vault.keys.set("k", make(type));
    const { context } = createWorld({ env: vault.env });
    const signer = await openSigner(context, "hashivault://k");
    const signature = await signer.sign({ message });
    checkSignature(signer.algorithm, await readPublicKey(context, "hashivault://k"), { message }, signature);
    const { body } = vault.requests.find(({ path }) => path.endsWith("/sign/k"))!;
    vault.requests.length = 0;
    assert.equal(body.input === message.toString("base64"), type === "ed25519");
    assert.equal(body.prehashed, type === "ed25519" ? undefined : true);
  }
});

test("the version that was shown is the one that signs, also when the key is rotated in between", async (t) => {
  const vault = await stand(t);
  vault.keys.set("k", make("ecdsa-p256"));
  const { context } = createWorld({ env: vault.env });
  const signer = await openSigner(context, "hashivault://k");
  vault.keys.get("k")!.versions.push(...make("ecdsa-p256").versions);
  await signer.sign({ message });
  const older = await readPublicKey(context, "hashivault://k?version=1");
  assert.deepEqual(older.spki, signer.publicKey.spki);
  assert.notDeepEqual((await readPublicKey(context, "hashivault://k")).spki, older.spki);
  vault.bend = (answer) => (answer.data.signature &&= answer.data.signature.replace("v1", "v2"));
  assert.match((await refusedWith("KEY_UNREACHABLE", signer.sign({ message }))).message, /version 1/);
});

test("another key's signature is found out", async (t) => {
  const vault = await stand(t);
  vault.keys.set("k", make("ecdsa-p256"));
  const signer = await openSigner(createWorld({ env: vault.env }).context, "hashivault://k");
  vault.keys.set("k", make("ecdsa-p256"));
  assert.match((await refusedWith("KEY_UNREACHABLE", signer.sign({ message }))).message, /not this key's/);
});

test("a key is made, never over another, and as BAO_ variables and another engine say", async (t) => {
  const vault = await stand(t);
  const { VAULT_ADDR, HOME } = vault.env as { VAULT_ADDR: string; HOME: string };
  const { context } = createWorld({
    env: { BAO_ADDR: VAULT_ADDR, BAO_TOKEN: TOKEN, BAO_NAMESPACE: "eu", HOME, TRANSIT_SECRET_ENGINE_PATH: "/team/seals" },
  });
  const made = await generateKeyAt(context, "hashivault://fresh", undefined);
  assert.equal(made.type, "P-256");
  assert.equal(vault.requests[0]!.path, "/v1/team/seals/keys/fresh");
  assert.equal(vault.requests[0]!.headers["x-vault-namespace"], "eu");
  await refusedWith("FILE_EXISTS", generateKeyAt(context, "hashivault://fresh", undefined));
});

test("the token is read from the file that vault login writes, and is in no error", async (t) => {
  const vault = await stand(t);
  const { VAULT_ADDR, HOME } = vault.env as { VAULT_ADDR: string; HOME: string };
  const context = (env: Record<string, string>) => createWorld({ env: { VAULT_ADDR, HOME, ...env } }).context;
  await refusedWith("TOKEN_MISSING", openSigner(context({}), "hashivault://k"));
  writeFileSync(join(HOME, ".vault-token"), `${TOKEN}\n`);
  const absent = await refusedWith("KEY_UNREACHABLE", openSigner(context({}), "hashivault://k"));
  assert.match(absent.message, /no key k/);
  const denied = await refusedWith("KEY_UNREACHABLE", openSigner(context({ VAULT_TOKEN: "hvs.wrong" }), "hashivault://k"));
  assert.match(denied.message, /403: permission denied/);
  assert.doesNotMatch(denied.message + denied.hint, /hvs/);
});

test("what cannot be right is refused before anything is asked", async (t) => {
  const vault = await stand(t);
  const { context } = createWorld({ env: vault.env });
  for (const reference of [
    "hashivault://",
    "hashivault://a/b",
    "hashivault://k?version=0",
    "hashivault://k?x=1",
    "hashivault://-k",
  ])
    await refusedWith("USAGE", openSigner(context, reference));
  await refusedWith("USAGE", openSigner(createWorld({ env: {} }).context, "hashivault://k"));
  await refusedWith(
    "UNSUPPORTED_FLAG",
    openSigner(createWorld({ env: { ...vault.env, VAULT_SKIP_VERIFY: "1" } }).context, "hashivault://k"),
  );
  await refusedWith("OFFLINE", readPublicKey(context, "hashivault://k", { offline: true }));
  assert.equal(vault.requests.length, 0);
  await refusedWith(
    "KEY_UNREACHABLE",
    openSigner(createWorld({ env: { ...vault.env, VAULT_ADDR: "http://127.0.0.1:1" } }).context, "hashivault://k"),
  );
});

test("answers that are none are refused", async (t) => {
  const vault = await stand(t);
  vault.keys.set("k", make("ecdsa-p256"));
  const { context } = createWorld({ env: vault.env });
  const bends: ((answer: Loose) => void)[] = [
    (answer) => delete answer.data,
    (answer) => (answer.data.keys = {}),
    (answer) => (answer.data.keys = { "1": 1_700_000_000 }),
    (answer) => (answer.data.latest_version = "x"),
    (answer) => (answer.data.keys["1"].public_key = "-----BEGIN"),
    (answer) => (answer.data.type = "ed25519"),
  ];
  for (const bend of bends) {
    vault.bend = bend;
    await refusedWith("KEY_UNREACHABLE", openSigner(context, "hashivault://k"));
  }
});
