// SPDX-License-Identifier: Apache-2.0
/**
 * Keys of one's own, by `--key`:
 *
 *     FILE                        PEM, also encrypted        env://NAME        the same in an environment variable
 *     https://HOST/PATH           a public key               k8s://NS/NAME     a secret of the cluster
 *     hashivault://KEY            Vault or OpenBao           awskms://…        AWS
 *     pkcs11:…                    a token (RFC 7512)
 *
 * A kind's file is loaded when its kind is asked for. What cosign knows beside these is refused by name, never taken for a
 * file.
 */
import type { Algorithm, PublicKey } from "@lacre/core/crypto";
import type { Signer } from "@lacre/core/sign";
import type { Context } from "./context.ts";
import { CliError } from "./errors.ts";
import type { KeyProvider } from "./keys/provider.ts";

interface Kind {
  readonly load: () => Promise<KeyProvider>;
  /** Whether it opens connections. */
  readonly isRemote: boolean;
}

const KINDS: Readonly<Record<string, Kind>> = {
  env: { load: async () => (await import("./keys/texts.ts")).environmentKeys, isRemote: false },
  https: { load: async () => (await import("./keys/texts.ts")).webKeys, isRemote: true },
  k8s: { load: async () => (await import("./keys/kubernetes.ts")).clusterKeys, isRemote: true },
  hashivault: { load: async () => (await import("./keys/vault.ts")).vaultKeys, isRemote: true },
  awskms: { load: async () => (await import("./keys/aws.ts")).awsKeys, isRemote: true },
  pkcs11: { load: async () => (await import("./keys/pkcs11.ts")).tokenKeys, isRemote: false },
  http: { load: async () => (await import("./keys/texts.ts")).webKeys, isRemote: true },
};

const FILE: Kind = { load: async () => (await import("./keys/texts.ts")).fileKeys, isRemote: false };

const EXPORTED = "Put the key into a file, env://NAME, k8s://, hashivault://, awskms:// or pkcs11:.";

/** Kinds of cosign's that are not built, and the way round. */
const REFUSED: Readonly<Record<string, string>> = {
  gcpkms: `Google's key service is not spoken here. ${EXPORTED}`,
  azurekms: `Azure's key service is not spoken here. ${EXPORTED}`,
  gitlab: "Give the project's variable as env://COSIGN_PRIVATE_KEY, with COSIGN_PASSWORD beside it.",
  github: "Give the secret as env://COSIGN_PRIVATE_KEY, with COSIGN_PASSWORD beside it.",
};

function findKind(reference: string): Kind {
  // Only PKCS#11 URIs begin without slashes.
  const scheme = /^(pkcs11):|^([a-z][a-z0-9+.-]+):(\/\/|[a-z])/i
    .exec(reference)
    ?.slice(1, 3)
    .find((name) => name !== undefined)
    ?.toLowerCase();
  if (scheme === undefined) return FILE;
  if (Object.hasOwn(KINDS, scheme)) return KINDS[scheme]!;
  const hint = Object.hasOwn(REFUSED, scheme) ? REFUSED[scheme]! : "Write ./NAME if it is a file. Plug-in programs are not run.";
  throw new CliError("UNSUPPORTED_FLAG", `${scheme}: is no kind of key that is known here`, { hint });
}

export interface KeyOptions {
  /** The algorithm asked for; else what the key is made for. */
  readonly algorithm?: Algorithm | undefined;
  readonly offline?: boolean | undefined;
}

async function openProvider(reference: string, isOffline: boolean): Promise<KeyProvider> {
  if (reference === "") throw new CliError("USAGE", "--key is empty");
  const kind = findKind(reference);
  if (isOffline && kind.isRemote)
    throw new CliError("OFFLINE", "the key is elsewhere, and --offline forbids to ask for it", {
      hint: "lacre public-key --key … --outfile FILE keeps the public key as a file.",
    });
  return kind.load();
}

/** The key to verify with. Throws USAGE, FILE_UNREADABLE, KEY_INVALID, OFFLINE, and what the key's keeper says. */
export async function readPublicKey(context: Context, reference: string, options: KeyOptions = {}): Promise<PublicKey> {
  return (await openProvider(reference, options.offline === true)).readPublicKey(context, reference);
}

/** The public half of any key that can be named, to print it. Throws as `openSigner`. */
export async function derivePublicKey(context: Context, reference: string): Promise<PublicKey> {
  const provider = await openProvider(reference, false);
  return (provider.derivePublicKey ?? provider.readPublicKey)(context, reference);
}

/** What signs with the key that `--key` names. Throws as `readPublicKey`, and KEY_LOCKED, PASSWORD_MISSING. */
export async function openSigner(context: Context, reference: string, options: KeyOptions = {}): Promise<Signer> {
  return (await openProvider(reference, options.offline === true)).openSigner(context, reference, options.algorithm);
}

/** Throws UNSUPPORTED_FLAG for a reference of a kind that is not known here. */
export function checkKind(reference: string): void {
  findKind(reference);
}

/** Makes a key where the reference says. Throws UNSUPPORTED_FLAG where keys are not made. */
export async function generateKeyAt(context: Context, reference: string, algorithm: Algorithm | undefined): Promise<PublicKey> {
  const provider = await openProvider(reference, false);
  if (provider.generate === undefined)
    throw new CliError("UNSUPPORTED_FLAG", `no key is made at ${reference.split(":")[0]}:`, {
      hint: "Make it with the tools of the place, or without --kms as a file.",
    });
  return provider.generate(context, reference, algorithm);
}
