// SPDX-License-Identifier: Apache-2.0
/**
 * The images that Kubernetes manifests run: `image` of containers, init containers and ephemeral containers, at any depth
 * (so that templates of every workload kind, lists and custom resources built alike are seen), and image volumes.
 */
import { parseAllDocuments } from "yaml";
import { CliError } from "../errors.ts";
import { plain } from "../terminal.ts";

const CONTAINERS: ReadonlySet<string> = new Set(["containers", "initContainers", "ephemeralContainers"]);
const MAX_BYTES = 16 << 20;
const MAX_DEPTH = 64;

/** The images in a file of one or several documents, without repetitions. Throws USAGE for what is not YAML. */
export function listManifestImages(text: string, name: string): readonly string[] {
  if (text.length > MAX_BYTES) throw new CliError("USAGE", `${plain(name)} is larger than 16 MiB`);
  const images = new Set<string>();
  for (const document of parseAllDocuments(text, { uniqueKeys: true })) {
    const [problem] = document.errors;
    if (problem !== undefined)
      throw new CliError("USAGE", `${plain(name)} is not YAML: ${plain(problem.message.split("\n")[0]!)}`);
    let value: unknown;
    try {
      value = document.toJS({ maxAliasCount: 100 });
    } catch (cause) {
      throw new CliError("USAGE", `${plain(name)} cannot be read: ${plain((cause as Error).message)}`, { cause });
    }
    walk(value, images, name, 0);
  }
  return [...images];
}

function walk(value: unknown, images: Set<string>, name: string, depth: number): void {
  if (depth > MAX_DEPTH) throw new CliError("USAGE", `${plain(name)} is nested too deeply`);
  if (Array.isArray(value)) for (const item of value) walk(item, images, name, depth + 1);
  else if (typeof value === "object" && value !== null) {
    for (const [key, member] of Object.entries(value)) {
      if (Array.isArray(member) && (CONTAINERS.has(key) || key === "volumes"))
        for (const item of member) take(item, key, images, name);
      walk(member, images, name, depth + 1);
    }
  }
}

function take(item: unknown, key: string, images: Set<string>, name: string): void {
  if (typeof item !== "object" || item === null) return;
  const { image } = item as { readonly image?: unknown };
  if (key === "volumes") {
    const reference = (image as { readonly reference?: unknown } | null | undefined)?.reference;
    if (typeof reference === "string" && reference !== "") images.add(reference);
  } else if (typeof image === "string" && image !== "") images.add(image);
  else
    throw new CliError("USAGE", `a container in ${plain(name)} has no image`, {
      hint: "What fills it in later cannot be verified here.",
    });
}
