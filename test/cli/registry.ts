// SPDX-License-Identifier: Apache-2.0
/** A registry in memory, answered by a function: with the referrers API or without, and with faults that a test asks for. */
import { createHash } from "node:crypto";
import type { Fetch } from "@lacre/core/client";

export const HOST = "registry.test";

export interface Registry {
  readonly fetch: Fetch;
  /** By repository, then by tag or digest. */
  readonly manifests: Map<string, Map<string, { readonly bytes: Uint8Array; readonly type: string }>>;
  readonly blobs: Map<string, Uint8Array>;
  /** Asked before each answer: what it returns is the answer. */
  fault: ((method: string, path: string) => Response | undefined) | undefined;
  /** Every request: method and path. */
  readonly asked: string[];
}

export const digestOf = (bytes: Uint8Array): string => `sha256:${createHash("sha256").update(bytes).digest("hex")}`;

const INDEX = "application/vnd.oci.image.index.v1+json";
const MANIFEST = "application/vnd.oci.image.manifest.v1+json";

export function createRegistry({ hasReferrers = true }: { readonly hasReferrers?: boolean } = {}): Registry {
  const manifests: Registry["manifests"] = new Map();
  const blobs = new Map<string, Uint8Array>();
  const registry: Registry = { fetch: answer, manifests, blobs, fault: undefined, asked: [] };
  let uploads = 0;

  async function answer(url: string, init: Parameters<Fetch>[1] = {}): Promise<Response> {
    const { host, pathname, searchParams } = new URL(url);
    if (host !== HOST) throw new TypeError(`fetch failed: nobody at ${host}`);
    const method = init.method ?? "GET";
    registry.asked.push(`${method} ${pathname}`);
    const faulty = registry.fault?.(method, pathname);
    if (faulty !== undefined) return faulty;
    if (pathname === "/v2/") return new Response("{}");
    const [, repository, kind, name = ""] = /^\/v2\/(.+?)\/(manifests|blobs|referrers|tags)\/(.*)$/.exec(pathname) ?? [];
    if (repository === undefined) return missing();
    const held = manifests.get(repository) ?? new Map<string, { readonly bytes: Uint8Array; readonly type: string }>();
    manifests.set(repository, held);
    const body = await bodyOf(init.body);
    if (kind === "tags")
      return Response.json({ name: repository, tags: [...held.keys()].filter((key) => !key.startsWith("sha256:")) });
    if (kind === "referrers") {
      if (!hasReferrers) return missing();
      const found = [...held]
        .filter(([key]) => key.startsWith("sha256:"))
        .flatMap(([digest, { bytes, type }]) => {
          const manifest = JSON.parse(new TextDecoder().decode(bytes));
          return manifest.subject?.digest === name
            ? [
                {
                  mediaType: type,
                  digest,
                  size: bytes.length,
                  artifactType: manifest.artifactType,
                  annotations: manifest.annotations,
                },
              ]
            : [];
        });
      return new Response(JSON.stringify({ schemaVersion: 2, mediaType: INDEX, manifests: found }), {
        headers: { "content-type": INDEX },
      });
    }
    if (kind === "manifests") {
      if (method === "PUT") {
        const digest = digestOf(body);
        const type = new Headers(init.headers as Record<string, string>).get("content-type") ?? MANIFEST;
        held.set(digest, { bytes: body, type });
        if (!name.startsWith("sha256:")) held.set(name, { bytes: body, type });
        const subject = JSON.parse(new TextDecoder().decode(body)).subject?.digest;
        const headers = {
          "docker-content-digest": digest,
          ...(hasReferrers && subject !== undefined ? { "oci-subject": subject } : {}),
        };
        return new Response(null, { status: 201, headers });
      }
      const found = held.get(name);
      if (found === undefined) return missing();
      if (method === "DELETE") {
        const digest = digestOf(found.bytes);
        for (const [key, { bytes }] of held) if (digestOf(bytes) === digest) held.delete(key);
        return new Response(null, { status: 202 });
      }
      return new Response(method === "HEAD" ? null : (found.bytes as Uint8Array<ArrayBuffer>), {
        headers: { "content-type": found.type, "docker-content-digest": digestOf(found.bytes) },
      });
    }
    if (method === "POST")
      return new Response(null, { status: 202, headers: { location: `/v2/${repository}/blobs/uploads/${++uploads}` } });
    if (method === "PUT") {
      const digest = searchParams.get("digest")!;
      if (digestOf(body) !== digest) return new Response("{}", { status: 400 });
      blobs.set(digest, body);
      return new Response(null, { status: 201 });
    }
    const blob = blobs.get(name);
    return blob === undefined ? missing() : new Response(method === "HEAD" ? null : (blob as Uint8Array<ArrayBuffer>));
  }

  return registry;
}

function missing(): Response {
  return Response.json({ errors: [{ code: "MANIFEST_UNKNOWN", message: "not here" }] }, { status: 404 });
}

async function bodyOf(body: unknown): Promise<Uint8Array> {
  if (body === undefined || body === null) return new Uint8Array();
  if (body instanceof Uint8Array) return body;
  const parts: Uint8Array[] = [];
  for await (const part of body as AsyncIterable<Uint8Array>) parts.push(part);
  return Buffer.concat(parts);
}

/** Puts content in; returns its descriptor. */
export function putBlob(
  registry: Registry,
  mediaType: string,
  bytes: Uint8Array,
): { mediaType: string; digest: string; size: number } {
  const digest = digestOf(bytes);
  registry.blobs.set(digest, bytes);
  return { mediaType, digest, size: bytes.length };
}

/** Puts a manifest in, under its digest and a tag. */
export function putManifest(
  registry: Registry,
  repository: string,
  manifest: Readonly<Record<string, unknown>>,
  tag?: string,
): { mediaType: string; digest: string; size: number } {
  const type = (manifest["mediaType"] as string | undefined) ?? MANIFEST;
  const bytes = new TextEncoder().encode(JSON.stringify(manifest));
  const held = registry.manifests.get(repository) ?? new Map<string, { readonly bytes: Uint8Array; readonly type: string }>();
  registry.manifests.set(repository, held);
  held.set(digestOf(bytes), { bytes, type });
  if (tag !== undefined) held.set(tag, { bytes, type });
  return { mediaType: type, digest: digestOf(bytes), size: bytes.length };
}

/** An image of one layer. */
export function putImage(
  registry: Registry,
  repository: string,
  tag: string | undefined,
  content: string,
): { mediaType: string; digest: string; size: number } {
  const layer = new TextEncoder().encode(`layer of ${content}`);
  const config = new TextEncoder().encode(
    JSON.stringify({ architecture: "amd64", os: "linux", rootfs: { type: "layers", diff_ids: [digestOf(layer)] } }),
  );
  return putManifest(
    registry,
    repository,
    {
      schemaVersion: 2,
      mediaType: MANIFEST,
      config: putBlob(registry, "application/vnd.oci.image.config.v1+json", config),
      layers: [putBlob(registry, "application/vnd.oci.image.layer.v1.tar", layer)],
    },
    tag,
  );
}
