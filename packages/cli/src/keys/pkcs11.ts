// SPDX-License-Identifier: Apache-2.0
/**
 * `pkcs11:…`: keys in a token, by way of its PKCS#11 module.
 *
 * The module is `module-path` of the URI, or COSIGN_PKCS11_MODULE_PATH. The PIN is `pin-value` or `pin-source` of the URI,
 * COSIGN_PKCS11_PIN, or asked for; it is tried once. Everything the URI says of the key must match, and one key only may be
 * left. The public half is read from the token: the public key object of the same name and id, else a certificate, else (for
 * RSA) the private object's own numbers; and every signature is checked with it.
 */
import { resolve } from "node:path";
import { text } from "@lacre/core/bytes";
import { der } from "@lacre/core/codec";
import { type Algorithm, encodeSpki, importPublicKey, type KeyType, type PublicKey } from "@lacre/core/crypto";
import { LacreError } from "@lacre/core/errors";
import { decodeCertificate } from "@lacre/core/x509";
import { algorithmForNewKey } from "../algorithms.ts";
import type { Context } from "../context.ts";
import { CliError } from "../errors.ts";
import { plain } from "../terminal.ts";
import { readNamed } from "../named.ts";
import { ModuleClient, TokenRefusal } from "./pkcs11/client.ts";
import { type Attribute, CK, type TokenFacts } from "./pkcs11/module.ts";
import { formatTokenUri, parseTokenUri, showTokenUri, type TokenUri } from "./pkcs11/uri.ts";
import type { KeyProvider } from "./provider.ts";
import { chooseAlgorithm, createRemoteSigner, encodeEcdsa } from "./signature.ts";

/** A URI as a usage error, with what may be shown of it. */
function readUri(reference: string): TokenUri {
  try {
    return parseTokenUri(reference);
  } catch (error) {
    if (!(error instanceof LacreError)) throw error;
    throw new CliError("USAGE", `${error.message}${error.found === undefined ? "" : ` (${error.found})`}`, {
      hint: "pkcs11:token=NAME;object=LABEL?module-path=/path/to/module.so",
    });
  }
}

function findModule(context: Context, uri: Pick<TokenUri, "modulePath">): string {
  const path = uri.modulePath ?? context.env["COSIGN_PKCS11_MODULE_PATH"];
  if (path === undefined || path === "") {
    throw new CliError("USAGE", "no PKCS#11 module is named", {
      hint: "Add ?module-path=/path/to/module.so to the URI, or set COSIGN_PKCS11_MODULE_PATH.",
    });
  }
  return resolve(context.cwd, path);
}

/** A session with the one token that a URI names. */
interface Session {
  readonly client: ModuleClient;
  readonly token: TokenFacts;
  readonly id: bigint;
  /** Logs in, once; does nothing where the token asks for no PIN. Returns the PIN; null where it was typed at the token. */
  readonly login: () => Promise<string | null>;
}

/** How a module is opened; a test opens its own. */
export type OpenModule = (context: Context, path: string) => Promise<ModuleClient>;

const openModule: OpenModule = (context, path) => ModuleClient.open(context, path);

async function openSession(
  context: Context,
  reference: string,
  isWritable: boolean,
  open: OpenModule,
): Promise<Session & { readonly uri: TokenUri }> {
  const uri = readUri(reference);
  const client = await open(context, findModule(context, uri));
  const tokens = (await client.ask("tokens")).filter(
    (one) =>
      (uri.token === undefined || uri.token === one.label) &&
      (uri.manufacturer === undefined || uri.manufacturer === one.manufacturer) &&
      (uri.model === undefined || uri.model === one.model) &&
      (uri.serial === undefined || uri.serial === one.serial) &&
      (uri.slotId === undefined || uri.slotId === one.slotId),
  );
  const [token] = tokens;
  if (token === undefined || tokens.length > 1) {
    throw new CliError(
      "KEY_UNREACHABLE",
      token === undefined ? `no token is ${showTokenUri(reference)}` : `several tokens are ${showTokenUri(reference)}`,
      { hint: "lacre pkcs11-tool list-tokens shows those that are there." },
    );
  }
  const id = await client.ask("openSession", token.slotId, isWritable);
  let pin: Promise<string | null> | undefined;
  const login = async (): Promise<string | null> => {
    if (token.hasPinPad) {
      context.terminal.say(`Type the PIN of ${plain(token.label)} at the token`);
      await client.ask("login", id, CK.CKU_USER, undefined);
      return null;
    }
    const given = token.needsLogin ? await readPin(context, uri, token) : "";
    if (token.needsLogin) await client.ask("login", id, CK.CKU_USER, given);
    return given;
  };
  return { client, token, id, uri, login: () => (pin ??= login()) };
}

async function readPin(context: Context, uri: TokenUri, token: TokenFacts): Promise<string> {
  if (uri.pinValue !== undefined) {
    context.terminal.warn("every user of this machine can read a PIN in an argument; COSIGN_PKCS11_PIN or pin-source keeps it");
    return uri.pinValue;
  }
  if (uri.pinFile !== undefined) return text(await readNamed(context, uri.pinFile)).replace(/\r?\n$/, "");
  const named = context.env["COSIGN_PKCS11_PIN"];
  if (named !== undefined && named !== "") return named;
  const asked = await context.terminal.askSecret(`PIN of the token ${plain(token.label)}`);
  if (asked !== undefined) return asked;
  throw new CliError("PASSWORD_MISSING", `the token ${token.label} asks for a PIN, and none was given`, {
    hint: "Set COSIGN_PKCS11_PIN, or add pin-source=file:/path to the URI.",
  });
}

/** What tells objects of one key from others. */
function selectors(uri: TokenUri): Attribute[] {
  const found: Attribute[] = [];
  if (uri.object !== undefined) found.push([CK.CKA_LABEL, Buffer.from(uri.object)]);
  if (uri.id !== undefined) found.push([CK.CKA_ID, uri.id]);
  return found;
}

function needSelectors(uri: TokenUri): void {
  if (uri.object !== undefined || uri.id !== undefined) return;
  throw new CliError("USAGE", "the PKCS#11 URI names no key", { hint: "Add object=LABEL or id=%01 to it." });
}

async function readPublic(session: Session, wanted: readonly Attribute[]): Promise<PublicKey | undefined> {
  const { client, id } = session;
  const found = new Map<string, PublicKey>();
  for (const object of await client.ask("find", id, [[CK.CKA_CLASS, CK.CKO_PUBLIC_KEY], ...wanted])) {
    const key = await decodePublic(session, object);
    if (key !== undefined) found.set(Buffer.from(key.spki).toString("hex"), key);
  }
  if (found.size === 0) {
    for (const object of await client.ask("find", id, [[CK.CKA_CLASS, CK.CKO_CERTIFICATE], ...wanted])) {
      const certificate = await client.ask("attribute", id, object, CK.CKA_VALUE);
      if (certificate === undefined) continue;
      const { publicKey } = decodeCertificate(certificate);
      found.set(Buffer.from(publicKey.spki).toString("hex"), publicKey);
    }
  }
  if (found.size > 1)
    throw new CliError("KEY_UNREACHABLE", "several public keys of the token match", { hint: "Add id=%… to the URI." });
  return [...found.values()][0];
}

const CURVES: Readonly<Record<string, KeyType>> = {
  "06082a8648ce3d030107": "P-256",
  "06052b81040022": "P-384",
  "06052b81040023": "P-521",
  "06032b6570": "Ed25519",
  "130c656477617264733235353139": "Ed25519",
};

/** The key in an object's attributes; undefined for types that are not in the registry. */
async function decodePublic({ client, id }: Session, object: bigint): Promise<PublicKey | undefined> {
  const read = (type: number): Promise<Uint8Array | undefined> => client.ask("attribute", id, object, type);
  const modulus = await read(CK.CKA_MODULUS);
  const exponent = await read(CK.CKA_PUBLIC_EXPONENT);
  if (modulus !== undefined && exponent !== undefined && modulus.length > 0) {
    const number = (octets: Uint8Array): bigint => BigInt(`0x${Buffer.from(octets).toString("hex") || "0"}`);
    return importPublicKey(encodeSpki("RSA", der.sequence(der.integer(number(modulus)), der.integer(number(exponent)))));
  }
  const curve = await read(CK.CKA_EC_PARAMS);
  const point = await read(CK.CKA_EC_POINT);
  const type = curve === undefined ? undefined : CURVES[Buffer.from(curve).toString("hex")];
  if (type === undefined || point === undefined) return undefined;
  // It should be in a DER OCTET STRING (section 2.3.3); some modules leave the wrapping away, and then its length tells.
  const isBare = point.length === POINT_OCTETS[type];
  return importPublicKey(encodeSpki(type, isBare ? point : der.readOctets(der.decodeDer(point, der.TAG.octetString))));
}

const POINT_OCTETS: Readonly<Partial<Record<KeyType, number>>> = { "P-256": 65, "P-384": 97, "P-521": 133, Ed25519: 32 };

/** Tokens and their keys, as `pkcs11-tool` lists them. */
export async function listTokens(context: Context, modulePath: string | undefined): Promise<readonly TokenFacts[]> {
  const client = await openModule(context, findModule(context, { modulePath }));
  try {
    return await client.ask("tokens");
  } finally {
    client.close();
  }
}

/** URIs of the private keys of a token. */
export async function listKeys(
  context: Context,
  reference: string,
): Promise<readonly { readonly object: string; readonly uri: string }[]> {
  const session = await openSession(context, reference, false, openModule);
  const { client, id, token } = session;
  try {
    await session.login();
    const found = [];
    for (const object of await client.ask("find", id, [[CK.CKA_CLASS, CK.CKO_PRIVATE_KEY]])) {
      const label = Buffer.from((await client.ask("attribute", id, object, CK.CKA_LABEL)) ?? []).toString("utf8");
      const keyId = await client.ask("attribute", id, object, CK.CKA_ID);
      const uri = formatTokenUri({
        token: token.label,
        ...(label === "" ? {} : { object: label }),
        ...(keyId === undefined || keyId.length === 0 ? {} : { id: keyId }),
      });
      found.push({ object: label, uri });
    }
    return found;
  } finally {
    client.close();
  }
}

// DigestInfo of the hashes (RFC 8017 section 9.2, note 1): CKM_RSA_PKCS pads, and no more.
const DIGEST_INFO: Readonly<Record<string, string>> = {
  sha256: "3031300d060960864801650304020105000420",
  sha384: "3041300d060960864801650304020205000430",
  sha512: "3051300d060960864801650304020305000440",
};

function canSign({ family }: Algorithm): boolean {
  return family === "ecdsa" || family === "rsa-pkcs1" || family === "ed25519";
}

/** Keys in tokens, by modules that `open` opens. */
export function createTokenKeys(open: OpenModule = openModule): KeyProvider {
  return {
    async openSigner(context, reference, asked) {
      needSelectors(readUri(reference));
      const session = await openSession(context, reference, false, open);
      const { client, id, uri } = session;
      const pin = await session.login();
      const keys = await client.ask("find", id, [[CK.CKA_CLASS, CK.CKO_PRIVATE_KEY], ...selectors(uri)]);
      const [key] = keys;
      if (key === undefined || keys.length > 1) {
        throw new CliError(
          "KEY_UNREACHABLE",
          key === undefined
            ? `the token has no private key ${showTokenUri(reference)}`
            : `the token has several keys ${showTokenUri(reference)}`,
          { hint: "lacre pkcs11-tool list-keys-uris shows those that are there." },
        );
      }
      // The public half is the one that goes by the private key's own id, where it has one.
      const keyId = await client.ask("attribute", id, key, CK.CKA_ID);
      const wanted: Attribute[] = keyId === undefined || keyId.length === 0 ? selectors(uri) : [[CK.CKA_ID, keyId]];
      const publicKey = (await readPublic(session, wanted)) ?? (await decodePublic(session, key));
      if (publicKey === undefined) {
        throw new CliError("KEY_UNREACHABLE", "the token shows no public half of the key", {
          hint: "Put the public key, or a certificate, into the token under the same id.",
        });
      }
      const algorithm = chooseAlgorithm(publicKey, asked, canSign);
      const asks = (await client.ask("attribute", id, key, CK.CKA_ALWAYS_AUTHENTICATE))?.[0] === 1;
      const contextPin = asks ? pin : undefined;
      return createRemoteSigner(publicKey, algorithm, async (input) => {
        const data = "digest" in input ? input.digest : input.message;
        switch (algorithm.family) {
          case "ecdsa":
            return encodeEcdsa(await client.ask("sign", id, key, CK.CKM_ECDSA, data, contextPin));
          case "rsa-pkcs1": {
            const info = Buffer.concat([Buffer.from(DIGEST_INFO[algorithm.hash]!, "hex"), data]);
            return client.ask("sign", id, key, CK.CKM_RSA_PKCS, info, contextPin);
          }
          default:
            return client.ask("sign", id, key, CK.CKM_EDDSA, data, contextPin);
        }
      });
    },

    async readPublicKey(context, reference) {
      needSelectors(readUri(reference));
      const session = await openSession(context, reference, false, open);
      try {
        const wanted = selectors(session.uri);
        let key = await readPublic(session, wanted);
        if (key === undefined && hasPin(context, session.uri)) {
          // Some tokens hide everything until somebody logs in.
          await session.login();
          key = await readPublic(session, wanted);
          for (const object of key === undefined
            ? await session.client.ask("find", session.id, [[CK.CKA_CLASS, CK.CKO_PRIVATE_KEY], ...wanted])
            : [])
            key ??= await decodePublic(session, object);
        }
        if (key !== undefined) return key;
        throw new CliError("KEY_UNREACHABLE", `the token has no public key ${showTokenUri(reference)}`, {
          hint: "With COSIGN_PKCS11_PIN set, private objects are looked at too.",
        });
      } finally {
        session.client.close();
      }
    },

    async generate(context, reference, asked) {
      const algorithm = asked ?? algorithmForNewKey(undefined);
      const shape = SHAPES[algorithm.keyType];
      if (shape === undefined || !canSign(algorithm))
        throw new CliError("UNSUPPORTED_FLAG", `tokens are not asked for ${algorithm.keyDetails} keys here`, {
          hint: "Use an EC, RSA or Ed25519 algorithm.",
        });
      needSelectors(readUri(reference));
      const session = await openSession(context, reference, true, open);
      const { client, id, uri } = session;
      try {
        await session.login();
        const named = selectors(uri);
        for (const kind of [CK.CKO_PRIVATE_KEY, CK.CKO_PUBLIC_KEY]) {
          if ((await client.ask("find", id, [[CK.CKA_CLASS, kind], ...named])).length > 0)
            throw new CliError("FILE_EXISTS", `the token has a key ${showTokenUri(reference)} already`, {
              hint: "Choose another object or id.",
            });
        }
        const [mechanism, curve] = shape;
        const size: Attribute[] =
          curve === undefined
            ? [
                [CK.CKA_MODULUS_BITS, algorithm.rsaBits],
                [CK.CKA_PUBLIC_EXPONENT, Uint8Array.of(1, 0, 1)],
              ]
            : [[CK.CKA_EC_PARAMS, Buffer.from(curve, "hex")]];
        await client.ask(
          "generatePair",
          id,
          mechanism,
          [[CK.CKA_TOKEN, true], [CK.CKA_VERIFY, true], ...size, ...named],
          [
            [CK.CKA_TOKEN, true],
            [CK.CKA_PRIVATE, true],
            [CK.CKA_SENSITIVE, true],
            [CK.CKA_EXTRACTABLE, false],
            [CK.CKA_SIGN, true],
            ...named,
          ],
        );
        const key = await readPublic(session, named);
        if (key === undefined) throw new CliError("KEY_UNREACHABLE", "the token does not show the key that it made");
        return key;
      } catch (error) {
        if (error instanceof TokenRefusal && error.returned === "CKR_MECHANISM_INVALID")
          throw new CliError("KEY_UNREACHABLE", `the token makes no ${algorithm.keyType} keys`, {
            hint: "Choose another --signing-algorithm.",
          });
        throw error;
      } finally {
        client.close();
      }
    },
  };
}

/** Keys in tokens, by their modules. */
export const tokenKeys: KeyProvider = createTokenKeys();

const SHAPES: Readonly<Partial<Record<KeyType, readonly [mechanism: number, curve: string | undefined]>>> = {
  "P-256": [CK.CKM_EC_KEY_PAIR_GEN, "06082a8648ce3d030107"],
  "P-384": [CK.CKM_EC_KEY_PAIR_GEN, "06052b81040022"],
  "P-521": [CK.CKM_EC_KEY_PAIR_GEN, "06052b81040023"],
  RSA: [CK.CKM_RSA_PKCS_KEY_PAIR_GEN, undefined],
  Ed25519: [CK.CKM_EC_EDWARDS_KEY_PAIR_GEN, "06032b6570"],
};

function hasPin(context: Context, uri: TokenUri): boolean {
  return (
    uri.pinValue !== undefined ||
    uri.pinFile !== undefined ||
    (context.env["COSIGN_PKCS11_PIN"] ?? "") !== "" ||
    context.terminal.isInteractive
  );
}
