// SPDX-License-Identifier: Apache-2.0
/**
 * How verbs speak to registries: cosign's flags, the user's credentials, certificates, and where signatures are kept.
 *
 * `COSIGN_REPOSITORY` names the repository of all signatures and attestations; otherwise they lie beside the image.
 */
import {
  createRegistry,
  MAX_ATTACHMENT_BYTES,
  parseReference,
  parseRepository,
  type Reference,
  type Registry,
  type RegistryCredential,
  type Repository,
} from "@lacre/core/oci";
import type { Context } from "./context.ts";
import { CliError } from "./errors.ts";
import { fileCredentials } from "./registry/credentials.ts";
import type { RegistryFlags } from "./registry/flags.ts";
import { plain } from "./terminal.ts";
import { readNamed } from "./trust.ts";

export { REGISTRY_FLAGS, type RegistryFlags, STORAGE_FLAGS } from "./registry/flags.ts";

/** Reads an image reference. Throws USAGE. */
export function parseImage(name: string): Reference {
  try {
    return parseReference(name.startsWith("oci://") ? name.slice("oci://".length) : name);
  } catch (cause) {
    throw new CliError("USAGE", `${plain(name).slice(0, 200)} is no image reference: ${(cause as Error).message}`, {
      hint: "Write it as registry/repository:tag or registry/repository@sha256:DIGEST.",
      cause,
    });
  }
}

/** The repository that keeps an image's signatures. Throws USAGE for a COSIGN_REPOSITORY that is none. */
export function storagePlace(context: Context, image: Repository): Repository {
  const named = context.env["COSIGN_REPOSITORY"] ?? "";
  if (named === "") return { registry: image.registry, repository: image.repository };
  try {
    return parseRepository(named);
  } catch (cause) {
    throw new CliError("USAGE", `COSIGN_REPOSITORY is no repository: ${plain(named).slice(0, 200)}`, { cause });
  }
}

/** Octets of one attachment that are read at most: COSIGN_MAX_ATTACHMENT_SIZE, as 128MiB, 2GB or a number. Throws USAGE. */
export function attachmentLimit(context: Context): number {
  const given = (context.env["COSIGN_MAX_ATTACHMENT_SIZE"] ?? "").trim();
  if (given === "") return MAX_ATTACHMENT_BYTES;
  const match = /^(\d{1,15})(?:\s*([kmgt])?(i)?b?)?$/i.exec(given);
  const power = match === null ? 0 : ["", "k", "m", "g", "t"].indexOf((match[2] ?? "").toLowerCase());
  const octets = match === null ? Number.NaN : Number(match[1]) * (match[3] === undefined ? 1000 : 1024) ** power;
  if (Number.isSafeInteger(octets)) return octets;
  throw new CliError("USAGE", `COSIGN_MAX_ATTACHMENT_SIZE is no size: ${plain(given).slice(0, 60)}`, {
    hint: "Write it like 128MiB.",
  });
}

/**
 * A client for the registries that the command line names: `places` are all of them. Throws USAGE and UNSUPPORTED_FLAG
 * for flags that contradict one another, FILE_UNREADABLE.
 */
export async function openRegistry(context: Context, flags: RegistryFlags, places: readonly Repository[]): Promise<Registry> {
  if (flags.k8sKeychain === true) {
    throw new CliError("UNSUPPORTED_FLAG", "--k8s-keychain cannot be honoured", {
      hint: "Install the cloud's credential helper (docker-credential-ecr-login, -gcr, -acr-env) and name it in credHelpers of Docker's config.json.",
    });
  }
  const given = credentialOf(flags);
  const files = fileCredentials(context);
  const named = [...new Set(places.map(({ registry }) => registry))];
  if (given !== undefined && named.length > 1) {
    throw new CliError("USAGE", `one set of credentials, and several registries: ${plain(named.join(", "))}`, {
      hint: "Sign in to each with lacre login; flags are for one registry alone.",
    });
  }
  const fetch = await openFetch(context, flags);
  return createRegistry({
    fetch,
    credentials: (registry) => (given !== undefined && named.includes(registry) ? Promise.resolve(given) : files(registry)),
    allowHttp: flags.allowHttpRegistry === true || flags.allowInsecureRegistry === true,
    now: context.now,
  });
}

function credentialOf(flags: RegistryFlags): RegistryCredential | undefined {
  const { registryUsername: username = "", registryPassword: password = "", registryToken: token = "" } = flags;
  if (token !== "" && (username !== "" || password !== ""))
    throw new CliError("USAGE", "--registry-token and --registry-username exclude each other");
  if ((username === "") !== (password === ""))
    throw new CliError("USAGE", "--registry-username and --registry-password go together");
  if (token !== "") return { kind: "bearer", token };
  return username === "" ? undefined : { kind: "basic", username, password };
}

async function openFetch(context: Context, flags: RegistryFlags): Promise<Context["fetch"]> {
  const { registryCacert, registryClientCert, registryClientKey, registryServerName, allowInsecureRegistry } = flags;
  if ((registryClientCert === undefined) !== (registryClientKey === undefined))
    throw new CliError("USAGE", "--registry-client-cert and --registry-client-key go together");
  const isPlain =
    [registryCacert, registryClientCert, registryServerName].every((one) => one === undefined) && allowInsecureRegistry !== true;
  if (isPlain) return context.fetch;
  if (allowInsecureRegistry === true)
    context.terminal.warn("--allow-insecure-registry: it is not checked which registry answers");
  const read = async (path: string | undefined): Promise<string | undefined> =>
    path === undefined ? undefined : Buffer.from(await readNamed(context, path)).toString("utf8");
  const { createTlsFetch } = await import("./transport.ts");
  const fetch = createTlsFetch({
    ca: await read(registryCacert),
    certificate: await read(registryClientCert),
    key: await read(registryClientKey),
    serverName: registryServerName,
    isUnchecked: allowInsecureRegistry,
  });
  return context.dress?.(fetch) ?? fetch;
}
