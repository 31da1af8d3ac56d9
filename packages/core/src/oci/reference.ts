// SPDX-License-Identifier: Apache-2.0
/**
 * Image references: `[registry/]repository[:tag][@digest]`, by the grammar of distribution and with the defaults that
 * cosign has from go-containerregistry.
 *
 *     registry    host[:port] or an IPv6 address in brackets. The first part of a name is a registry when it holds a dot
 *                 or a colon, or is "localhost"; else the name is one of index.docker.io, which "docker.io" means too.
 *     repository  parts of [a-z0-9], joined inside by one "." or "_", by "__", or by any number of "-"; parts are joined
 *                 by "/"; at most 255 characters. A single part at index.docker.io is one of "library/".
 *     tag         [A-Za-z0-9_][A-Za-z0-9_.-]{0,127}
 *     digest      sha256: and 64 digits, or sha512: and 128, in lower case
 *
 * A digest wins: a tag beside it names nothing. Without both, the tag is "latest".
 */
import { LacreError } from "../errors.ts";

/** A repository at a registry. */
export interface Repository {
  /** Host and, where given, port: what credentials are chosen by. */
  readonly registry: string;
  readonly repository: string;
}

/** What names an image: exactly one of `tag` and `digest` decides. */
export interface Reference extends Repository {
  /** Set unless only a digest was given. Beside a digest it decides nothing. */
  readonly tag?: string;
  /** As "sha256:" and hexadecimal. */
  readonly digest?: string;
}

// Present on every platform we run on; declared here because the library has neither DOM nor Node types.
declare const URL: new (url: string) => { readonly host: string };

const DOCKER_HUB = "index.docker.io";
const MAX_NAME = 255;
const LABEL = "[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?";
const REGISTRY = new RegExp(`^(?:${LABEL}(?:\\.${LABEL})*|\\[[0-9a-fA-F:]{2,45}\\])(?::[0-9]{1,5})?$`);
const REPOSITORY = /^[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*$/;
const TAG = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/;
const DIGEST = /^(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$/;

function invalid(message: string, found: string): LacreError {
  return new LacreError("REFERENCE_INVALID", message, { found: found.slice(0, 300) });
}

/** Whether text is a digest of a kind that is known: `sha256:` or `sha512:` and lower-case hexadecimal. */
export function isDigest(text: string): boolean {
  return DIGEST.test(text);
}

/** Whether text can be a tag. */
export function isTag(text: string): boolean {
  return TAG.test(text);
}

/** Reads a reference. Throws REFERENCE_INVALID. */
export function parseReference(text: string): Reference {
  const at = text.indexOf("@");
  const digest = at < 0 ? undefined : text.slice(at + 1);
  if (digest !== undefined && !DIGEST.test(digest))
    throw invalid("the digest of the image reference is not sha256: or sha512: and its lower-case digits", text);
  let name = at < 0 ? text : text.slice(0, at);
  const colon = name.lastIndexOf(":");
  let tag: string | undefined;
  // A colon before the last slash is a port's. In a name without a slash there is no registry: "host:80" has a tag.
  if (colon >= 0 && colon > name.lastIndexOf("/")) {
    tag = name.slice(colon + 1);
    if (!TAG.test(tag)) throw invalid("the tag of the image reference is not one", text);
    name = name.slice(0, colon);
  }
  const place = parseRepository(name, text);
  return {
    ...place,
    ...(tag === undefined ? (digest === undefined ? { tag: "latest" } : {}) : { tag }),
    ...(digest === undefined ? {} : { digest }),
  };
}

/** Reads a repository's name, without tag and digest. Throws REFERENCE_INVALID. */
export function parseRepository(name: string, whole: string = name): Repository {
  const slash = name.indexOf("/");
  const first = slash < 0 ? "" : name.slice(0, slash);
  const isHost = first === "localhost" || first.includes(".") || first.includes(":");
  const registry = !isHost || first === "docker.io" ? DOCKER_HUB : first;
  let repository = isHost ? name.slice(slash + 1) : name;
  if (registry === DOCKER_HUB && !repository.includes("/") && repository !== "") repository = `library/${repository}`;
  if (!REGISTRY.test(registry) || !isPlainHost(registry))
    throw invalid("the registry of the image reference is not a host", whole);
  if (repository.length > MAX_NAME || !REPOSITORY.test(repository))
    throw invalid("the repository of the image reference is not a lower-case path", whole);
  return { registry, repository };
}

/** Whether an address of this registry leads to it by this very name: "0x7f.1" would lead to 127.0.0.1. */
function isPlainHost(registry: string): boolean {
  try {
    const { host } = new URL(`https://${registry}/`);
    return host === registry.toLowerCase().replace(/:443$/, "");
  } catch {
    return false;
  }
}

/** The repository as text: `registry/repository`. */
export function formatRepository({ registry, repository }: Repository): string {
  return `${registry}/${repository}`;
}

/** The reference as text: the digest where there is one, else the tag. */
export function formatReference(reference: Reference): string {
  const { tag = "latest", digest } = reference;
  return `${formatRepository(reference)}${digest === undefined ? `:${tag}` : `@${digest}`}`;
}
