// SPDX-License-Identifier: Apache-2.0
/**
 * `hashivault://KEY`: keys of the transit engine of Vault and OpenBao (their HTTP API, version 1).
 *
 * Where: VAULT_ADDR or BAO_ADDR; who: VAULT_TOKEN, BAO_TOKEN, or the file `.vault-token` of the home folder; the engine:
 * TRANSIT_SECRET_ENGINE_PATH, else `transit`. VAULT_NAMESPACE, VAULT_CACERT, VAULT_CLIENT_CERT and VAULT_CLIENT_KEY (or with
 * BAO_) as their own client reads them. Only digests are sent, save for Ed25519, which signs the message itself.
 *
 * A key has versions. The newest is used, or `hashivault://KEY?version=N`; the version whose public half was read is the one
 * that must have signed, whatever is rotated in between.
 */
import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { fromBase64, toBase64 } from "@lacre/core/bytes";
import { JsonObject, parsePem } from "@lacre/core/codec";
import { type Algorithm, encodeSpki, type HashName, importPublicKey, type PublicKey } from "@lacre/core/crypto";
import { LacreError } from "@lacre/core/errors";
import { algorithmForNewKey } from "../algorithms.ts";
import type { Context } from "../context.ts";
import { CliError } from "../errors.ts";
import { readNamed } from "../named.ts";
import type { KeyProvider } from "./provider.ts";
import { askService, refusal, type ServiceAnswer, type Tls } from "./service.ts";
import { chooseAlgorithm, createRemoteSigner } from "./signature.ts";

const SERVICE = "Vault";
const HASHES: Readonly<Record<HashName, string>> = { sha256: "sha2-256", sha384: "sha2-384", sha512: "sha2-512" };
const TYPES: Readonly<Record<string, string>> = {
  "P-256": "ecdsa-p256",
  "P-384": "ecdsa-p384",
  "P-521": "ecdsa-p521",
  Ed25519: "ed25519",
};

interface Vault {
  readonly ask: (method: "GET" | "POST", path: string, body?: object) => Promise<ServiceAnswer>;
  readonly name: string;
  /** The version asked for; undefined: the newest. */
  readonly version: number | undefined;
}

async function openVault(context: Context, reference: string): Promise<Vault> {
  const match = /^hashivault:\/\/([A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?)(?:\?version=([1-9]\d{0,8}))?$/.exec(reference);
  if (match === null) throw new CliError("USAGE", "a key of Vault is hashivault://KEY, or hashivault://KEY?version=N");
  const find = (name: string): string | undefined => {
    for (const prefix of ["VAULT_", "BAO_"]) {
      const value = context.env[prefix + name];
      if (value !== undefined && value !== "") return value;
    }
    return undefined;
  };
  const address = find("ADDR");
  if (address === undefined)
    throw new CliError("USAGE", "it is not known where Vault is", { hint: "Set VAULT_ADDR (or BAO_ADDR)." });
  if (/^(1|t|true)$/i.test(find("SKIP_VERIFY") ?? ""))
    throw new CliError("UNSUPPORTED_FLAG", "VAULT_SKIP_VERIFY cannot be honoured", {
      hint: "Name Vault's authority with VAULT_CACERT.",
    });
  const token = find("TOKEN") ?? (await readTokenFile(context));
  if (token === undefined)
    throw new CliError("TOKEN_MISSING", "there is no token for Vault", {
      hint: "Set VAULT_TOKEN (or BAO_TOKEN), or run vault login.",
    });
  const file = async (name: string): Promise<string | undefined> => {
    const path = find(name);
    return path === undefined ? undefined : Buffer.from(await readNamed(context, path)).toString("utf8");
  };
  const tls: Tls = {
    ca: await file("CACERT"),
    cert: await file("CLIENT_CERT"),
    key: await file("CLIENT_KEY"),
    servername: find("TLS_SERVER_NAME"),
  };
  const namespace = find("NAMESPACE");
  const headers = {
    "x-vault-token": token,
    "x-vault-request": "true",
    ...(namespace === undefined ? {} : { "x-vault-namespace": namespace }),
  };
  const engine = (context.env["TRANSIT_SECRET_ENGINE_PATH"] ?? "transit").replaceAll(/^\/+|\/+$/g, "");
  const base = `${address.replace(/\/+$/, "")}/v1/${engine.split("/").map(encodeURIComponent).join("/")}`;
  return {
    ask: (method, path, body) => askService({ service: SERVICE, method, url: `${base}/${path}`, headers, body, tls }),
    name: match[1]!,
    version: match[2] === undefined ? undefined : Number(match[2]),
  };
}

async function readTokenFile(context: Context): Promise<string | undefined> {
  const text = await readFile(join(context.env["HOME"] ?? homedir(), ".vault-token"), "utf8").catch(() => "");
  return text.trim() === "" ? undefined : text.trim();
}

function refused(answer: ServiceAnswer): CliError {
  const errors = answer.body?.get("errors");
  const words = Array.isArray(errors) ? errors.filter((one) => typeof one === "string").join("; ") : undefined;
  const hint =
    answer.status === 403 ? "The token may not do this: its policy must allow read on keys and update on sign." : undefined;
  return refusal(SERVICE, answer, words, hint);
}

interface VersionedKey {
  readonly publicKey: PublicKey;
  readonly version: number;
}

/** The public half of the version that is meant; undefined where there is no such key. */
async function findKey({ ask, name, version }: Vault): Promise<VersionedKey | undefined> {
  const answer = await ask("GET", `keys/${name}`);
  if (answer.status === 404) return undefined;
  if (answer.status !== 200 || answer.body === undefined) throw refused(answer);
  try {
    const data = answer.body.object("data");
    const latest = data.get("latest_version");
    const chosen = version ?? (typeof latest === "number" && Number.isSafeInteger(latest) ? latest : 0);
    const one = data.object("keys").get(String(chosen));
    if (one === undefined || typeof one === "number")
      throw new CliError("KEY_UNREACHABLE", `Vault shows no public half of version ${chosen} of ${name}`, {
        hint: "The key must be one for signing: ecdsa-p256, rsa-3072, ed25519.",
      });
    const text = new JsonObject(one, "keys").string("public_key");
    const publicKey =
      data.string("type") === "ed25519"
        ? importPublicKey(encodeSpki("Ed25519", fromBase64(text)))
        : importPublicKey(parsePem(text.endsWith("\n") ? text : `${text}\n`, "PUBLIC KEY"));
    return { publicKey, version: chosen };
  } catch (cause) {
    if (!(cause instanceof LacreError)) throw cause;
    throw new CliError("KEY_UNREACHABLE", `Vault's answer on ${name} cannot be read: ${cause.message}`, { cause });
  }
}

async function needKey(vault: Vault): Promise<VersionedKey> {
  const found = await findKey(vault);
  if (found !== undefined) return found;
  throw new CliError("KEY_UNREACHABLE", `Vault has no key ${vault.name}`, {
    hint: "Check the name, and TRANSIT_SECRET_ENGINE_PATH.",
  });
}

function canSign({ family }: Algorithm): boolean {
  return family === "ecdsa" || family === "rsa-pkcs1" || family === "ed25519";
}

/** The key is in Vault. */
export const vaultKeys: KeyProvider = {
  async openSigner(context, reference, asked) {
    const vault = await openVault(context, reference);
    const { publicKey, version } = await needKey(vault);
    const algorithm = chooseAlgorithm(publicKey, asked, canSign);
    return createRemoteSigner(publicKey, algorithm, async (input) => {
      const body =
        "digest" in input
          ? { input: toBase64(input.digest), prehashed: true, hash_algorithm: HASHES[algorithm.hash] }
          : { input: toBase64(input.message) };
      const answer = await vault.ask("POST", `sign/${vault.name}`, {
        ...body,
        key_version: version,
        ...(algorithm.family === "rsa-pkcs1" ? { signature_algorithm: "pkcs1v15" } : {}),
        ...(algorithm.family === "ecdsa" ? { marshaling_algorithm: "asn1" } : {}),
      });
      if (answer.status !== 200 || answer.body === undefined) throw refused(answer);
      return readSignature(answer.body, version);
    });
  },

  async readPublicKey(context, reference) {
    return (await needKey(await openVault(context, reference))).publicKey;
  },

  async generate(context, reference, asked) {
    const algorithm = asked ?? algorithmForNewKey(undefined);
    const type = algorithm.keyType === "RSA" ? `rsa-${algorithm.rsaBits}` : TYPES[algorithm.keyType];
    if (type === undefined || !canSign(algorithm))
      throw new CliError("UNSUPPORTED_FLAG", `Vault is not asked for ${algorithm.keyDetails} keys here`);
    const vault = await openVault(context, reference);
    if (vault.version !== undefined) throw new CliError("USAGE", "a new key has no version yet");
    // Vault answers a second creation as if it had made the key.
    if ((await findKey(vault)) !== undefined)
      throw new CliError("FILE_EXISTS", `Vault has a key ${vault.name} already`, {
        hint: "Choose another name, or rotate the key in Vault.",
      });
    const answer = await vault.ask("POST", `keys/${vault.name}`, { type });
    if (answer.status !== 200 && answer.status !== 204) throw refused(answer);
    return (await needKey(vault)).publicKey;
  },
};

/** `vault:v3:<base64>`: of the version that was asked. */
function readSignature(body: JsonObject, version: number): Uint8Array {
  try {
    const [, found, base64] = /^[a-z]+:v(\d+):([A-Za-z0-9+/=]+)$/.exec(body.object("data").string("signature")) ?? [];
    if (found === String(version) && base64 !== undefined) return fromBase64(base64);
  } catch (error) {
    if (!(error instanceof LacreError)) throw error;
  }
  throw new CliError("KEY_UNREACHABLE", `Vault returned no signature of version ${version} of the key`);
}
