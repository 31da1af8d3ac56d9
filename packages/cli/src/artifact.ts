// SPDX-License-Identifier: Apache-2.0
/**
 * What an ARTIFACT on the command line means, and its digests.
 *
 * - `./x`, `../x`, `/x`, `file:x`: a file. `-`: standard input.
 * - `oci://r`, `r@sha256:…`, a name with a registry's host or with a tag: an image. `oci-layout:DIR`, `oci-archive:FILE`
 *   and `docker-archive:FILE`: one in a file.
 * - `sha256:` (sha384, sha512) and hexadecimal: a digest, unless a file of that name exists.
 * - A bare name is a file only with `--bundle` and if it exists, else an image. Where it could be both: exit 2, with the
 *   two spellings that are not ambiguous.
 *
 * Files are hashed as they are read and never held.
 */
import { createReadStream, existsSync, statSync } from "node:fs";
import { isAbsolute, resolve } from "node:path";
import { createHasher, DIGEST_LENGTH, type HashName } from "@lacre/core/crypto";
import { fromHex } from "@lacre/core/bytes";
import type { Context } from "./context.ts";
import { CliError, fileError } from "./errors.ts";
import { readUpTo } from "./small-file.ts";
import { claimStdin } from "./stdin.ts";

export type Artifact =
  | { readonly kind: "file"; readonly name: string; readonly path: string }
  | { readonly kind: "stdin"; readonly name: "-" }
  | { readonly kind: "digest"; readonly name: string; readonly algorithm: HashName; readonly value: Uint8Array }
  | { readonly kind: "image"; readonly name: string; readonly reference: string };

const DIGEST = /^(sha256|sha384|sha512):([0-9a-fA-F]+)$/;

/** A registry's host in front of a path: has a dot or a port, or is localhost. */
function hasRegistry(name: string): boolean {
  const slash = name.indexOf("/");
  if (slash <= 0) return false;
  const host = name.slice(0, slash);
  return host === "localhost" || host.includes(".") || /:\d+$/.test(host);
}

/** Reads an ARTIFACT. `hasBundle`: whether `--bundle` is given. Throws AMBIGUOUS_ARTIFACT, USAGE. */
export function parseArtifact(name: string, { cwd, hasBundle }: { readonly cwd: string; readonly hasBundle: boolean }): Artifact {
  if (name === "") throw new CliError("USAGE", "the artifact has no name");
  if (name === "-") return { kind: "stdin", name };
  if (name.startsWith("file:")) return { kind: "file", name, path: resolve(cwd, name.slice("file:".length)) };
  if (/^(oci-layout|oci-archive|docker-archive):/.test(name)) return { kind: "image", name, reference: name };
  if (name.startsWith("oci://")) return { kind: "image", name, reference: name.slice("oci://".length) };
  if (isAbsolute(name) || /^\.\.?(\/|$)/.test(name)) return { kind: "file", name, path: resolve(cwd, name) };
  const isFile = existsSync(resolve(cwd, name));
  const digest = parseDigest(name);
  if (digest !== undefined && !isFile) return digest;
  const isImage = /@sha\d+:[0-9a-f]+$/i.test(name) || hasRegistry(name) || /^[^/]+(\/[^/]+)*:[\w][\w.-]{0,127}$/.test(name);
  if (isImage) {
    if (isFile && hasBundle) {
      throw new CliError("AMBIGUOUS_ARTIFACT", `${name} may be a file or an image`, {
        hint: `Write ./${name} for the file, oci://${name} for the image.`,
      });
    }
    return { kind: "image", name, reference: name };
  }
  if (hasBundle && isFile) return { kind: "file", name, path: resolve(cwd, name) };
  if (isFile)
    throw new CliError("AMBIGUOUS_ARTIFACT", `${name} may be a file or an image`, {
      hint: `Write ./${name} for the file, oci://${name} for the image.`,
    });
  if (hasBundle) throw new CliError("FILE_UNREADABLE", `cannot read ${name}: there is no such file`);
  return { kind: "image", name, reference: name };
}

/** An operand of the `*-blob` commands: always a file, standard input or a digest. */
export function parseBlob(name: string, cwd: string): Artifact {
  if (name === "-") return { kind: "stdin", name };
  const path = resolve(cwd, name);
  if (!existsSync(path)) {
    const digest = parseDigest(name);
    if (digest !== undefined) return digest;
    if (name.startsWith("file:")) return { kind: "file", name, path: resolve(cwd, name.slice("file:".length)) };
  }
  return { kind: "file", name, path };
}

/** A digest as text, or undefined for what is no digest. Throws USAGE for one of the wrong length. */
export function parseDigest(name: string): (Artifact & { kind: "digest" }) | undefined {
  const match = DIGEST.exec(name);
  if (match === null) return undefined;
  const algorithm = match[1] as HashName;
  const digits = match[2]!;
  if (digits.length !== DIGEST_LENGTH[algorithm] * 2) {
    throw new CliError(
      "USAGE",
      `${algorithm} digests have ${DIGEST_LENGTH[algorithm] * 2} hexadecimal digits, not ${digits.length}`,
    );
  }
  return { kind: "digest", name, algorithm, value: fromHex(digits) };
}

const CHUNK = 1 << 20;

/** The octets of a file or of standard input, with progress. Throws FILE_UNREADABLE, NOT_IMPLEMENTED for images. */
export async function* readArtifact(context: Context, artifact: Artifact): AsyncGenerator<Uint8Array> {
  if (artifact.kind === "image") {
    throw new CliError("NOT_IMPLEMENTED", `${artifact.name} is read as an image, and images are not built yet`, {
      hint: `Write ./${artifact.name} if you mean a file.`,
    });
  }
  if (artifact.kind === "digest")
    throw new CliError("USAGE", "a digest has no content to read", { hint: "Signing needs the file itself." });
  let total = 0;
  let source: AsyncIterable<Uint8Array> = artifact.kind === "stdin" ? claimStdin(context, "the artifact") : context.stdin;
  if (artifact.kind === "file") {
    try {
      const facts = statSync(artifact.path);
      if (facts.isDirectory()) throw Object.assign(new Error("it is a folder"), { code: "EISDIR" });
      total = facts.size;
      // A pipe can be read once: only a file that says its size is tried in one piece.
      const whole = facts.isFile() && total <= CHUNK ? readUpTo(artifact.path, CHUNK) : undefined;
      if (whole !== undefined) return yield whole;
    } catch (cause) {
      throw fileError("FILE_UNREADABLE", artifact.name, cause);
    }
    source = createReadStream(artifact.path, { highWaterMark: CHUNK });
  }
  const progress = context.terminal.progress(artifact.name, total);
  try {
    for await (const chunk of source) {
      progress.advance(chunk.length);
      yield chunk;
    }
  } catch (cause) {
    if (typeof (cause as NodeJS.ErrnoException).code === "string") throw fileError("FILE_UNREADABLE", artifact.name, cause);
    throw cause;
  } finally {
    progress.end();
  }
}

/** The digests of an artifact, made in one pass. */
export async function hashArtifact(
  context: Context,
  artifact: Artifact,
  algorithms: readonly HashName[],
): Promise<ReadonlyMap<HashName, Uint8Array>> {
  if (artifact.kind === "digest") return new Map([[artifact.algorithm, artifact.value]]);
  const hashers = algorithms.map((algorithm) => [algorithm, createHasher(algorithm)] as const);
  for await (const chunk of readArtifact(context, artifact)) {
    for (const [, hasher] of hashers) hasher.update(chunk);
  }
  return new Map(hashers.map(([algorithm, hasher]) => [algorithm, hasher.digest()]));
}
