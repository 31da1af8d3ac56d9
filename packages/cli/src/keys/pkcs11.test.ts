// SPDX-License-Identifier: Apache-2.0
// A stand-in for the module's process, with a token of a few keys; the interop run asks SoftHSM2 the same.
import assert from "node:assert/strict";
import { createPublicKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { der } from "@lacre/core/codec";
import { checkSignature, importPublicKey } from "@lacre/core/crypto";
import { LacreError } from "@lacre/core/errors";
import { createWorld } from "../../../../test/cli/world.ts";
import { algorithmByFlag } from "../algorithms.ts";
import { CliError } from "../errors.ts";
import { openSigner } from "../keys.ts";
import { createTokenKeys } from "./pkcs11.ts";
import { ModuleClient } from "./pkcs11/client.ts";
import { CK } from "./pkcs11/module.ts";

const folder = mkdtempSync(join(tmpdir(), "lacre-token-"));
after(() => rmSync(folder, { recursive: true }));
const message = Buffer.from("what is signed");

interface Thing {
  readonly attributes: Readonly<Record<number, Uint8Array>>;
  /** Of private objects: the key, in PEM. */
  readonly key?: string;
}

interface Stage {
  readonly things: readonly Thing[];
  readonly tokens?: readonly object[];
  /** The token shows nothing until somebody has logged in. */
  readonly isShy?: boolean;
}

const TOKEN = { slotId: "1", label: "lacre", manufacturer: "m", model: "x", serial: "7", needsLogin: true, hasPinPad: false };

/** The program of the stand-in: attributes in hexadecimal, and the platform's own signatures. */
const PROGRAM = `
import { createHash, createPrivateKey, sign, privateEncrypt } from "node:crypto";
const stage = STAGE;
let isOpen = false;
let fresh = 0;
const refuse = (call, returned) => ({ kind: "refused", call, returned });
const things = () => (stage.isShy && !isOpen ? [] : stage.things);
const answer = (name, p) => {
  if (name === "open") return undefined;
  if (name === "tokens") return stage.tokens.map((one) => ({ ...one, slotId: BigInt(one.slotId) }));
  if (name === "openSession") return 5n;
  if (name === "login") {
    if (p[2] !== "1234") throw refuse("C_Login", "CKR_PIN_INCORRECT");
    if (p[1] === 2) fresh++;
    isOpen = true;
    return undefined;
  }
  if (name === "find")
    return stage.things
      .map((thing, i) => [thing, BigInt(i)])
      .filter(([thing]) => things().includes(thing))
      .filter(([thing]) => p[1].every(([type, value]) => {
        const wanted = typeof value === "number" ? Buffer.from([value]).toString("hex") : Buffer.from(value).toString("hex");
        return thing.attributes[type] === wanted;
      }))
      .map(([, handle]) => handle);
  const thing = stage.things[Number(p[1])];
  if (name === "attribute") return thing.attributes[p[2]] === undefined ? undefined : Uint8Array.from(Buffer.from(thing.attributes[p[2]], "hex"));
  if (name === "sign") {
    if (!isOpen) throw refuse("C_Sign", "CKR_USER_NOT_LOGGED_IN");
    if (thing.attributes[0x202] === "01" && p[4] !== "1234") throw refuse("C_Sign", "CKR_USER_NOT_LOGGED_IN");
    const key = createPrivateKey(thing.key);
    if (p[2] === 1) return Uint8Array.from(privateEncrypt(key, p[3]));
    if (p[2] === 0x1057) return Uint8Array.from(sign(null, p[3], key));
    // The platform hashes by itself: the message is known here, and the digest is compared.
    const message = Buffer.from("what is signed");
    const hash = p[3].length === 32 ? "sha256" : "sha384";
    if (!createHash(hash).update(message).digest().equals(Buffer.from(p[3]))) throw refuse("C_Sign", "CKR_ARGUMENTS_BAD");
    return Uint8Array.from(sign(hash, message, { key, dsaEncoding: "ieee-p1363" }));
  }
  throw refuse(name, "CKR_FUNCTION_NOT_SUPPORTED");
};
process.on("disconnect", () => process.exit());
process.on("message", ({ name, parameters }) => {
  try {
    process.send({ kind: "answer", value: answer(name, parameters) });
  } catch (refusal) {
    process.send(refusal.kind === undefined ? refuse(name, String(refusal)) : refusal);
  }
});
`;

let count = 0;
function provider(stage: Stage): ReturnType<typeof createTokenKeys> {
  const hex = stage.things.map(({ attributes, ...rest }) => ({
    ...rest,
    attributes: Object.fromEntries(Object.entries(attributes).map(([type, value]) => [type, Buffer.from(value).toString("hex")])),
  }));
  const path = join(folder, `host-${++count}.mjs`);
  writeFileSync(path, PROGRAM.replace("STAGE", JSON.stringify({ tokens: [TOKEN], ...stage, things: hex })));
  return createTokenKeys((context, module) => ModuleClient.open(context, module, path));
}

const CURVES: Readonly<Record<string, string>> = {
  "P-256": "06082a8648ce3d030107",
  "P-384": "06052b81040022",
  Ed25519: "06032b6570",
};
const spkiOf = (key: KeyObject): Buffer => createPublicKey(key as never).export({ format: "der", type: "spki" });

/** The objects of one key: private, and public where it is wanted. */
function make(
  type: "P-256" | "P-384" | "Ed25519" | "RSA",
  label: string,
  id: number,
  more: { bare?: boolean; lone?: boolean; always?: boolean } = {},
) {
  const { privateKey } =
    type === "RSA"
      ? generateKeyPairSync("rsa", { modulusLength: 3072 })
      : type === "Ed25519"
        ? generateKeyPairSync("ed25519")
        : generateKeyPairSync("ec", { namedCurve: type });
  const spki = Uint8Array.from(spkiOf(privateKey));
  const { raw } = importPublicKey(spki);
  const named = { [CK.CKA_LABEL]: Buffer.from(label), [CK.CKA_ID]: Uint8Array.of(id) };
  const jwk = privateKey.export({ format: "jwk" });
  const numbers: Record<number, Uint8Array> =
    type === "RSA"
      ? { [CK.CKA_MODULUS]: Buffer.from(jwk.n!, "base64url"), [CK.CKA_PUBLIC_EXPONENT]: Buffer.from(jwk.e!, "base64url") }
      : { [CK.CKA_EC_PARAMS]: Buffer.from(CURVES[type]!, "hex"), [CK.CKA_EC_POINT]: more.bare === true ? raw : der.octets(raw) };
  const secret: Thing = {
    key: privateKey.export({ format: "pem", type: "pkcs8" }).toString(),
    attributes: {
      ...named,
      [CK.CKA_CLASS]: Uint8Array.of(CK.CKO_PRIVATE_KEY),
      ...(type === "RSA" ? numbers : {}),
      ...(more.always === true ? { [CK.CKA_ALWAYS_AUTHENTICATE]: Uint8Array.of(1) } : {}),
    },
  };
  const open: Thing = { attributes: { ...named, ...numbers, [CK.CKA_CLASS]: Uint8Array.of(CK.CKO_PUBLIC_KEY) } };
  return { things: more.lone === true ? [secret] : [secret, open], spki, secret, open };
}

const { context } = createWorld({ env: { ...process.env, COSIGN_PKCS11_PIN: "1234", COSIGN_PKCS11_MODULE_PATH: "/m.so" } });
const KEY = "pkcs11:token=lacre;object=k";

async function refusedWith(code: string, work: Promise<unknown>): Promise<CliError | LacreError> {
  try {
    await work;
  } catch (error) {
    assert.ok((error instanceof CliError || error instanceof LacreError) && error.code === code, String(error));
    return error;
  }
  assert.fail(`not refused: ${code}`);
}

test("keys of every type sign, with the point wrapped and bare, and ask for the PIN again where the key wants it", async () => {
  const cases = [
    make("P-256", "k", 1),
    make("P-256", "k", 1, { bare: true }),
    make("P-384", "k", 1),
    make("Ed25519", "k", 1),
    make("Ed25519", "k", 1, { bare: true }),
    make("RSA", "k", 1),
    make("RSA", "k", 1, { lone: true }),
    make("P-256", "k", 1, { always: true }),
  ];
  for (const { things, spki } of cases) {
    const keys = provider({ things });
    const signer = await keys.openSigner(context, KEY, undefined);
    assert.deepEqual([...signer.publicKey.spki], [...spki]);
    checkSignature(signer.algorithm, importPublicKey(spki), { message }, await signer.sign({ message }));
    assert.deepEqual([...(await keys.readPublicKey(context, KEY)).spki], [...spki]);
  }
});

test("the public half is the one of the private key's own id, and a false one is found out", async () => {
  const one = make("P-256", "k", 1);
  const other = make("P-256", "k", 2);
  const keys = provider({ things: [one.secret, other.open, one.open] });
  assert.deepEqual([...(await keys.openSigner(context, KEY, undefined)).publicKey.spki], [...one.spki]);
  const liar = { attributes: { ...other.open.attributes, [CK.CKA_ID]: Uint8Array.of(1) } };
  const signer = await provider({ things: [one.secret, liar] }).openSigner(context, KEY, undefined);
  await refusedWith("KEY_UNREACHABLE", signer.sign({ message }));
  assert.match((await refusedWith("KEY_UNREACHABLE", keys.readPublicKey(context, KEY))).message, /several public keys/);
  assert.deepEqual([...(await keys.readPublicKey(context, `${KEY};id=%02`)).spki], [...other.spki]);
});

test("no key, several keys, no token, several tokens: none is guessed", async () => {
  const one = make("P-256", "k", 1);
  const two = make("P-256", "k", 2);
  const both = provider({ things: [...one.things, ...two.things] });
  assert.match((await refusedWith("KEY_UNREACHABLE", both.openSigner(context, KEY, undefined))).message, /several keys/);
  assert.deepEqual([...(await both.openSigner(context, `${KEY};id=%01`, undefined)).publicKey.spki], [...one.spki]);
  assert.match(
    (await refusedWith("KEY_UNREACHABLE", both.openSigner(context, "pkcs11:token=lacre;object=z", undefined))).message,
    /no private key/,
  );
  assert.match(
    (await refusedWith("KEY_UNREACHABLE", both.readPublicKey(context, "pkcs11:token=lacre;object=z"))).message,
    /no public key/,
  );
  for (const named of ["token=z", "token=lacre;serial=8", "token=lacre;model=y", "token=lacre;manufacturer=n", "slot-id=2"])
    assert.match(
      (await refusedWith("KEY_UNREACHABLE", both.openSigner(context, `pkcs11:${named};object=k`, undefined))).message,
      /no token/,
    );
  const twins = provider({ things: one.things, tokens: [TOKEN, { ...TOKEN, slotId: "2", serial: "8" }] });
  assert.match((await refusedWith("KEY_UNREACHABLE", twins.openSigner(context, KEY, undefined))).message, /several tokens/);
  assert.equal((await twins.openSigner(context, "pkcs11:serial=8;object=k", undefined)).publicKey.type, "P-256");
  const lonely = provider({ things: make("P-256", "k", 1, { lone: true }).things });
  assert.match((await refusedWith("KEY_UNREACHABLE", lonely.openSigner(context, KEY, undefined))).message, /no public half/);
});

test("a key says which token, which object and which module", async () => {
  const keys = provider({ things: make("P-256", "k", 1).things });
  await refusedWith("USAGE", keys.openSigner(context, "pkcs11:token=lacre", undefined));
  await refusedWith("USAGE", keys.readPublicKey(context, "pkcs11:token=lacre"));
  await refusedWith("USAGE", keys.openSigner(context, "pkcs11:token=lacre;object=k;x-vendor=1", undefined));
  await refusedWith("USAGE", keys.openSigner(createWorld({ env: {} }).context, KEY, undefined));
  await refusedWith("USAGE", openSigner(createWorld({ env: {} }).context, KEY));
});

test("the PIN is asked for where it is needed, comes from a file too, and a wrong one is tried once", async () => {
  const { things, spki } = make("P-256", "k", 1);
  const bare = { COSIGN_PKCS11_MODULE_PATH: "/m.so" };
  const keys = provider({ things });
  const none = createWorld({ env: bare }).context;
  await refusedWith("PASSWORD_MISSING", keys.openSigner(none, KEY, undefined));
  assert.deepEqual([...(await keys.readPublicKey(none, KEY)).spki], [...spki], "public objects need no PIN");
  writeFileSync(join(folder, "pin"), "1234\n");
  await keys.openSigner(none, `${KEY}?pin-source=file:${join(folder, "pin")}`, undefined);
  const warned = createWorld({ env: bare });
  await keys.openSigner(warned.context, `${KEY}?pin-value=1234`, undefined);
  assert.match(warned.stderr(), /can read a PIN/);
  const wrong = await refusedWith("KEY_UNREACHABLE", keys.openSigner(none, `${KEY}?pin-value=9876`, undefined));
  assert.match(wrong.message, /CKR_PIN_INCORRECT/);
  assert.doesNotMatch(wrong.message + wrong.hint, /9876/);
  const shy = provider({ things, isShy: true });
  await refusedWith("KEY_UNREACHABLE", shy.readPublicKey(none, KEY));
  assert.deepEqual([...(await shy.readPublicKey(context, KEY)).spki], [...spki]);
});

test("an algorithm that the key does not fit, or the token cannot, is refused before anything is signed", async () => {
  const keys = provider({ things: make("P-256", "k", 1).things });
  await refusedWith("KEY_INVALID", keys.openSigner(context, KEY, algorithmByFlag("ecdsa-sha2-384-nistp384")));
  const edwards = provider({ things: make("Ed25519", "k", 1).things });
  await refusedWith("ALGORITHM_UNKNOWN", edwards.openSigner(context, KEY, algorithmByFlag("ed25519-ph")));
  await refusedWith("UNSUPPORTED_FLAG", keys.generate!(context, KEY, algorithmByFlag("ml-dsa-65")));
});

test("a key is not made over another", async () => {
  const { secret, open } = make("P-256", "k", 1);
  for (const thing of [secret, open])
    await refusedWith("FILE_EXISTS", provider({ things: [thing] }).generate!(context, KEY, undefined));
});
