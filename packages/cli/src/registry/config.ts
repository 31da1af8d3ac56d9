// SPDX-License-Identifier: Apache-2.0
/**
 * Docker's `config.json`, as far as it says who we are to registries; podman's `auth.json` has the same form.
 *
 *     {"auths": {"registry.example.com:5000": {"auth": base64 of "user:password"}
 *                                         or {"identitytoken": …} or {"registrytoken": …}},
 *      "credHelpers": {"registry.example.com:5000": "NAME"},
 *      "credsStore": "NAME"}
 *
 * A registry is found by its exact name, port included, never by a part of it. Keys of older files are URLs
 * ("https://registry.example.com/v1/"): the host in them counts. Keys with a path below the host, which podman knows,
 * are for a part of a registry alone and are passed over.
 */
import { text } from "@lacre/core/bytes";
import { JsonObject, type Json, parseJson } from "@lacre/core/codec";
import { LacreError } from "@lacre/core/errors";
import type { RegistryCredential } from "@lacre/core/oci";

/** Who we are to which registry. */
export interface DockerConfig {
  /** By the registry's name. */
  readonly auths: ReadonlyMap<string, RegistryCredential>;
  /** Programs by the registry's name. */
  readonly helpers: ReadonlyMap<string, string>;
  /** The program for all other registries. */
  readonly store: string | undefined;
}

/** The name under which references and files know Docker Hub, and the key that Docker uses for it. */
export const DOCKER_HUB = "index.docker.io";
export const DOCKER_HUB_KEY = "https://index.docker.io/v1/";

const MAX_BYTES = 4 << 20;
const HELPER = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

/** Reads the file. Throws BAD_JSON, BAD_UTF8, TOO_LARGE. */
export function decodeDockerConfig(bytes: Uint8Array): DockerConfig {
  const config = new JsonObject(parseJson(bytes, { maxBytes: MAX_BYTES, maxDepth: 32 }), "config");
  const auths = new Map<string, RegistryCredential>();
  const entries = config.optionalObject("auths");
  for (const key of entries?.keys() ?? []) {
    const registry = registryOfKey(key);
    const entry = entries!.optionalObject(key);
    if (registry === undefined || entry === undefined) continue;
    const credential = decodeAuth(entry);
    // A key that is the name itself counts more than an old address of the same host.
    if (credential !== undefined && (!auths.has(registry) || key === registry)) auths.set(registry, credential);
  }
  const helpers = new Map<string, string>();
  const named = config.optionalObject("credHelpers");
  for (const key of named?.keys() ?? []) {
    const registry = registryOfKey(key);
    const helper = named!.optionalString(key);
    if (registry !== undefined && helper !== undefined && helper !== "") helpers.set(registry, checkHelper(helper));
  }
  const store = config.optionalString("credsStore");
  return { auths, helpers, store: store === undefined || store === "" ? undefined : checkHelper(store) };
}

/** The registry of a key; undefined for a key that is for a part of one. */
export function registryOfKey(key: string): string | undefined {
  const match = /^(?:https?:\/\/)?([^/@\s]+)(?:\/(?:v[12]\/?)?)?$/.exec(key);
  if (match === null) return undefined;
  return match[1] === "docker.io" || match[1] === "registry-1.docker.io" ? DOCKER_HUB : match[1];
}

function checkHelper(name: string): string {
  if (HELPER.test(name)) return name;
  throw new LacreError("BAD_JSON", "a credential helper's name is not that of a program", { found: name.slice(0, 60) });
}

function decodeAuth(entry: JsonObject): RegistryCredential | undefined {
  const registryToken = entry.optionalString("registrytoken");
  if (registryToken !== undefined && registryToken !== "") return { kind: "bearer", token: registryToken };
  const identityToken = entry.optionalString("identitytoken");
  if (identityToken !== undefined && identityToken !== "") return { kind: "identity", token: identityToken };
  const username = entry.optionalString("username") ?? "";
  const password = entry.optionalString("password") ?? "";
  if (username !== "" && password !== "") return { kind: "basic", username, password };
  const auth = entry.optionalString("auth") ?? "";
  if (auth === "") return undefined;
  const pair = decodePair(entry, auth);
  const colon = pair.indexOf(":");
  if (colon <= 0) throw new LacreError("BAD_JSON", `${entry.where}.auth does not hold a user and a password`);
  return { kind: "basic", username: pair.slice(0, colon), password: pair.slice(colon + 1) };
}

function decodePair(entry: JsonObject, auth: string): string {
  try {
    // Padding is left out by some writers; older ones end the password with zeros.
    return text(Buffer.from(auth, "base64")).replace(/\0+$/, "");
  } catch {
    // The text itself is a secret and stays out of the message.
    throw new LacreError("BAD_JSON", `${entry.where}.auth is not base64 of a text`);
  }
}

/** The text of the file with a registry's credential put in, or (undefined) taken out; all else stays as it is. */
export function changeDockerConfig(
  before: Uint8Array | undefined,
  registry: string,
  credential: { readonly username: string; readonly password: string } | undefined,
): string {
  const config = before === undefined ? {} : parseJson(before, { maxBytes: MAX_BYTES, maxDepth: 32 });
  if (typeof config !== "object" || config === null || Array.isArray(config))
    throw new LacreError("BAD_JSON", "config is not an object", { expected: "object" });
  const members = config as { readonly [key: string]: Json };
  const old = members["auths"] ?? {};
  if (typeof old !== "object" || Array.isArray(old)) throw new LacreError("BAD_JSON", "config.auths is not an object");
  const auths = Object.fromEntries(
    Object.entries(old as { [key: string]: Json }).filter(([key]) => registryOfKey(key) !== registry),
  );
  if (credential !== undefined) {
    const pair = Buffer.from(`${credential.username}:${credential.password}`).toString("base64");
    auths[registry === DOCKER_HUB ? DOCKER_HUB_KEY : registry] = { auth: pair };
  }
  return `${JSON.stringify({ ...members, auths }, null, "\t")}\n`;
}
