// SPDX-License-Identifier: Apache-2.0
/** Keys that are texts: a file, `env://NAME`, and public ones at `https://`. */
import { text } from "@lacre/core/bytes";
import { readResource } from "@lacre/core/client";
import type { Context } from "../context.ts";
import { CliError } from "../errors.ts";
import { isLoopbackHost } from "../loopback.ts";
import { readNamed } from "../named.ts";
import { type KeyText, parsePublicKey, readPrivateKey } from "./pem.ts";
import type { KeyProvider } from "./provider.ts";

const MAX_KEY_BYTES = 1 << 20;

function decodeText(name: string, octets: Uint8Array): KeyText {
  try {
    if (octets.length <= MAX_KEY_BYTES) return { name, pem: text(octets) };
  } catch {
    // Falls through: the octets could be a key's, and stay here.
  }
  throw new CliError("FILE_UNREADABLE", `${name} is not a PEM file`);
}

function provide(read: (context: Context, reference: string) => Promise<KeyText>): KeyProvider {
  return {
    async openSigner(context, reference, algorithm) {
      const { createKeySigner } = await import("@lacre/core/sign");
      return createKeySigner(await readPrivateKey(context, await read(context, reference)), algorithm);
    },
    readPublicKey: async (context, reference) => parsePublicKey(await read(context, reference)),
    async derivePublicKey(context, reference) {
      const text = await read(context, reference);
      return text.pem.includes("PRIVATE KEY-----") ? (await readPrivateKey(context, text)).publicKey : parsePublicKey(text);
    },
  };
}

/** A file, by its path. */
export const fileKeys: KeyProvider = provide(readFileText);

async function readFileText(context: Context, path: string): Promise<KeyText> {
  return decodeText(path, await readNamed(context, path));
}

/** `env://NAME`: the text in an environment variable. */
export const environmentKeys: KeyProvider = provide(async (context, reference) => readVariable(context, reference));

function readVariable(context: Context, reference: string): KeyText {
  const name = reference.slice("env://".length);
  const value = context.env[name];
  if (value === undefined || value === "") throw new CliError("FILE_UNREADABLE", `the environment variable ${name} is not set`);
  return { name: `the environment variable ${name}`, pem: value };
}

/** The text of a key, from a file or `env://NAME`. */
export async function readKeyText(context: Context, reference: string): Promise<KeyText> {
  return reference.startsWith("env://") ? readVariable(context, reference) : readFileText(context, reference);
}

/** `https://…`: a public key that the user names by its address. Nothing else is fetched. */
export const webKeys: KeyProvider = {
  openSigner: async () => {
    throw new CliError("USAGE", "a private key is not fetched from the web", {
      hint: "Give a file, env://NAME or a key service.",
    });
  },
  async readPublicKey(context, reference) {
    const url = new URL(reference);
    if (url.username !== "" || url.password !== "")
      throw new CliError("USAGE", "the key's address holds a password", { hint: "Fetch the key yourself and give the file." });
    if (url.protocol === "http:" && !isLoopbackHost(url.hostname)) {
      throw new CliError("USAGE", "a public key over plain http could be anybody's", { hint: "Use https, or give a file." });
    }
    const octets = await readResource(
      { url: reference, fetch: context.fetch, maxBytes: MAX_KEY_BYTES, retries: 1 },
      "",
      "the key's server",
    );
    if (octets === undefined) throw new CliError("FILE_UNREADABLE", `there is no key at ${url.host}${url.pathname}`);
    return parsePublicKey(decodeText(reference, octets));
  },
};
