// SPDX-License-Identifier: Apache-2.0
/**
 * A registry in memory, held to the distribution specification 1.1: pull, push (POST and PUT), mounts, tags and referrers
 * in pages, deletion, entity tags; with the referrers API or without, open, with Basic, or with a token service. It speaks
 * to a `fetch` without any socket, or listens where a test wants one.
 *
 * What it holds stands open to tests, which change it, and every request is recorded.
 */
import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import type { Fetch, FetchAnswer } from "@lacre/core/client";

export interface Asked {
  readonly method: string;
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

export interface Answered {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | string;
}

interface Stored {
  readonly mediaType: string;
  readonly bytes: Buffer;
}

interface Repo {
  readonly blobs: Map<string, Buffer>;
  readonly manifests: Map<string, Stored>;
  /** Tag to digest. */
  readonly tags: Map<string, string>;
}

export interface RegistryTraits {
  /** Whether it has the referrers API. Default true. */
  readonly referrers?: boolean;
  /** Who may do anything: user and password. Default everybody. */
  readonly users?: Readonly<Record<string, string>>;
  /** Basic, or tokens from a service at another host. Default Basic. */
  readonly scheme?: "basic" | "bearer";
  /** Host of the registry. Default registry.example.com. */
  readonly host?: string;
  /** Whether it speaks https to `fetch`. Default true. */
  readonly isSecure?: boolean;
  /** Entries a page. Default all. */
  readonly pageSize?: number;
  /** Whether writes are conditional by If-Match. Default false, as most registries. */
  readonly conditional?: boolean;
  /** Answers in the registry's stead; undefined lets it go on. */
  readonly instead?: ((asked: Asked) => Answered | undefined | Promise<Answered | undefined>) | undefined;
}

const INDEX = "application/vnd.oci.image.index.v1+json";
const REALM_HOST = "tokens.example.com";

export function sha256(bytes: Uint8Array | string): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

export class TestRegistry {
  readonly host: string;
  readonly repos = new Map<string, Repo>();
  readonly asked: Asked[] = [];
  readonly #traits: RegistryTraits;
  /** Answers in the registry's stead; undefined lets it go on. Tests may set it at any time. */
  instead: RegistryTraits["instead"];
  readonly #tokens = new Map<string, string>();
  #uploads = 0;

  constructor(traits: RegistryTraits = {}) {
    this.#traits = traits;
    this.instead = traits.instead;
    this.host = traits.host ?? "registry.example.com";
  }

  repo(name: string): Repo {
    let repo = this.repos.get(name);
    if (repo === undefined) this.repos.set(name, (repo = { blobs: new Map(), manifests: new Map(), tags: new Map() }));
    return repo;
  }

  /** Puts content in; its digest. */
  putBlob(name: string, bytes: Uint8Array | string): string {
    const digest = sha256(bytes);
    this.repo(name).blobs.set(digest, Buffer.from(bytes as string));
    return digest;
  }

  /** Puts a manifest in; its digest. */
  putManifest(name: string, document: object | Uint8Array, tag?: string): string {
    const bytes = document instanceof Uint8Array ? Buffer.from(document) : Buffer.from(JSON.stringify(document));
    const { mediaType } = JSON.parse(bytes.toString()) as { mediaType?: string };
    const digest = sha256(bytes);
    this.repo(name).manifests.set(digest, { mediaType: mediaType ?? "application/vnd.oci.image.manifest.v1+json", bytes });
    if (tag !== undefined) this.repo(name).tags.set(tag, digest);
    return digest;
  }

  /** Puts an image of one layer in; its digest. */
  putImage(name: string, tag: string | undefined, content = "content"): string {
    const layer = this.putBlob(name, content);
    const config = JSON.stringify({ architecture: "amd64", os: "linux", rootfs: { type: "layers", diff_ids: [layer] } });
    return this.putManifest(
      name,
      {
        schemaVersion: 2,
        mediaType: "application/vnd.oci.image.manifest.v1+json",
        config: {
          mediaType: "application/vnd.oci.image.config.v1+json",
          digest: this.putBlob(name, config),
          size: config.length,
        },
        layers: [{ mediaType: "application/vnd.oci.image.layer.v1.tar", digest: layer, size: Buffer.byteLength(content) }],
      },
      tag,
    );
  }

  /** The manifest of a tag or a digest. */
  stored(name: string, reference: string): Stored | undefined {
    const repo = this.repo(name);
    return repo.manifests.get(repo.tags.get(reference) ?? reference);
  }

  /** The manifest of a tag or a digest, read. */
  // eslint-disable-next-line typescript/no-explicit-any -- tests look into it freely
  read(name: string, reference: string): any {
    const stored = this.stored(name, reference);
    return stored === undefined ? undefined : JSON.parse(stored.bytes.toString());
  }

  /** `fetch` that reaches this registry and its token service, and nothing else. */
  get fetch(): Fetch {
    return async (address, init = {}) => {
      const url = new URL(address);
      const isOwn = url.host === this.host || url.host === REALM_HOST || this.instead !== undefined;
      const isRight = url.protocol === (this.#traits.isSecure === false && url.host === this.host ? "http:" : "https:");
      if (!isOwn || !isRight) throw new TypeError("fetch failed", { cause: { code: "ECONNREFUSED" } });
      const headers = Object.fromEntries(Object.entries(init.headers ?? {}).map(([name, value]) => [name.toLowerCase(), value]));
      const body = await readBody(init.body);
      if (init.body !== undefined && headers["content-length"] !== undefined && Number(headers["content-length"]) !== body.length)
        throw new TypeError("fetch failed", { cause: { code: "UND_ERR_REQ_CONTENT_LENGTH_MISMATCH" } });
      return answerOf(await this.handle({ method: init.method ?? "GET", url, headers, body }));
    };
  }

  /** Listens on a free port of this machine. With `tls`, by https; `requestCert` wants a certificate of `ca` from clients. */
  async listen(tls?: {
    key: string;
    cert: string;
    ca?: string;
    requestCert?: boolean;
  }): Promise<{ host: string; close(): Promise<void> }> {
    const serve = (request: IncomingMessage, response: ServerResponse): void =>
      void this.#serve(request, response, tls !== undefined);
    const server = tls === undefined ? createServer(serve) : createTlsServer(tls, serve);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    return {
      host: `127.0.0.1:${port}`,
      close: () =>
        new Promise((resolve) => {
          server.close(() => resolve());
          server.closeAllConnections();
        }),
    };
  }

  async #serve(request: IncomingMessage, response: ServerResponse, isTls: boolean): Promise<void> {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    const url = new URL(request.url ?? "/", `${isTls ? "https" : "http"}://${request.headers.host ?? "localhost"}`);
    const {
      status,
      headers = {},
      body,
    } = await this.handle({
      method: request.method ?? "GET",
      url,
      headers: request.headers as Record<string, string>,
      body: Buffer.concat(parts),
    });
    response.writeHead(status, headers);
    response.end(request.method === "HEAD" ? undefined : body);
  }

  async handle(asked: Asked): Promise<Answered> {
    this.asked.push(asked);
    const instead = await this.instead?.(asked);
    if (instead !== undefined) return instead;
    if (asked.url.host === REALM_HOST) return this.#token(asked);
    const refusal = this.#authorize(asked);
    if (refusal !== undefined) return refusal;
    if (asked.url.pathname === "/v2/") return { status: 200, body: "{}" };
    const match = /^\/v2\/(.+)\/(manifests|blobs\/uploads|blobs|tags|referrers)(?:\/([^/]*))?$/.exec(asked.url.pathname);
    if (match === null) return fault(404, "UNSUPPORTED");
    const [, name, kind, last = ""] = match;
    const repo = this.repo(name!);
    switch (kind) {
      case "manifests":
        return this.#manifest(asked, repo, last);
      case "blobs/uploads":
        return this.#upload(asked, name!, repo, last);
      case "blobs":
        return getBlob(asked, repo, last);
      case "tags":
        return this.#list(asked, [...repo.tags.keys()].sort(), (tags) => ({ name, tags }), "application/json");
      default:
        return this.#referrers(asked, repo, last);
    }
  }

  #authorize({ headers, url }: Asked): Answered | undefined {
    const { users, scheme = "basic" } = this.#traits;
    if (users === undefined) return undefined;
    const given = headers["authorization"] ?? "";
    if (scheme === "basic") {
      if (isUser(users, given)) return undefined;
      return { ...fault(401, "UNAUTHORIZED"), headers: { "www-authenticate": 'Basic realm="registry"' } };
    }
    const repository = /^\/v2\/(.+)\/(?:manifests|blobs|tags|referrers)/.exec(url.pathname)?.[1];
    if (
      repository !== undefined &&
      this.#tokens.get(given.replace(/^Bearer /, ""))?.includes(`repository:${repository}:`) === true
    )
      return undefined;
    const realm = `Bearer realm="https://${REALM_HOST}/token",service="${this.host}"`;
    return { ...fault(401, "UNAUTHORIZED"), headers: { "www-authenticate": realm } };
  }

  #token({ method, headers, url, body }: Asked): Answered {
    const query = method === "POST" ? new URLSearchParams(body.toString()) : url.searchParams;
    const refresh = query.get("refresh_token");
    const isKnown = refresh === null ? isUser(this.#traits.users ?? {}, headers["authorization"] ?? "") : refresh === "refresh";
    if (!isKnown) return fault(401, "UNAUTHORIZED");
    const token = `token-${this.#tokens.size + 1}`;
    this.#tokens.set(token, query.getAll("scope").join(" "));
    return json(200, refresh === null ? { token, expires_in: 300 } : { access_token: token });
  }

  #manifest(asked: Asked, repo: Repo, reference: string): Answered {
    const digest = repo.tags.get(reference) ?? reference;
    const stored = repo.manifests.get(digest);
    if (asked.method === "PUT") {
      const { conditional = false, referrers = true } = this.#traits;
      const wanted = asked.headers["if-match"];
      if (conditional && wanted !== undefined && wanted !== `"${digest}"`) return fault(412, "PRECONDITION");
      const made = sha256(asked.body);
      if (reference.startsWith("sha256:") && reference !== made) return fault(400, "DIGEST_INVALID");
      const document = JSON.parse(asked.body.toString()) as {
        config?: { digest: string };
        layers?: { digest: string }[];
        manifests?: { digest: string }[];
        subject?: { digest: string };
      };
      for (const part of [document.config, ...(document.layers ?? [])])
        if (part !== undefined && !repo.blobs.has(part.digest)) return fault(404, "MANIFEST_BLOB_UNKNOWN");
      for (const part of document.manifests ?? [])
        if (!repo.manifests.has(part.digest)) return fault(404, "MANIFEST_BLOB_UNKNOWN");
      repo.manifests.set(made, { mediaType: asked.headers["content-type"] ?? "", bytes: asked.body });
      if (!reference.startsWith("sha256:")) repo.tags.set(reference, made);
      const subject = referrers && document.subject !== undefined ? { "oci-subject": document.subject.digest } : {};
      return { status: 201, headers: { location: asked.url.pathname, "docker-content-digest": made, ...subject } };
    }
    if (stored === undefined) return fault(404, "MANIFEST_UNKNOWN");
    if (asked.method === "DELETE") {
      if (repo.tags.has(reference)) repo.tags.delete(reference);
      else {
        repo.manifests.delete(digest);
        for (const [tag, target] of repo.tags) if (target === digest) repo.tags.delete(tag);
      }
      return { status: 202 };
    }
    return {
      status: 200,
      headers: {
        "content-type": stored.mediaType,
        "docker-content-digest": sha256(stored.bytes),
        ...(this.#traits.conditional === true ? { etag: `"${digest}"` } : {}),
      },
      body: asked.method === "HEAD" ? "" : stored.bytes,
    };
  }

  #upload(asked: Asked, name: string, repo: Repo, session: string): Answered {
    if (asked.method === "POST") {
      const mount = asked.url.searchParams.get("mount");
      const source = this.repos.get(asked.url.searchParams.get("from") ?? "");
      const blob = mount === null ? undefined : source?.blobs.get(mount);
      if (blob !== undefined) {
        repo.blobs.set(mount!, blob);
        return { status: 201, headers: { location: `/v2/${name}/blobs/${mount!}` } };
      }
      return { status: 202, headers: { location: `/v2/${name}/blobs/uploads/${++this.#uploads}?state=s` } };
    }
    if (asked.method !== "PUT" || Number(session) > this.#uploads) return fault(404, "BLOB_UPLOAD_UNKNOWN");
    const digest = asked.url.searchParams.get("digest") ?? "";
    if (sha256(asked.body) !== digest) return fault(400, "DIGEST_INVALID");
    repo.blobs.set(digest, asked.body);
    return { status: 201, headers: { location: `/v2/${name}/blobs/${digest}` } };
  }

  #referrers(asked: Asked, repo: Repo, digest: string): Answered {
    if (this.#traits.referrers === false) return fault(404, "UNSUPPORTED");
    const found = [...repo.manifests].flatMap(([own, { mediaType, bytes }]) => {
      const document = JSON.parse(bytes.toString()) as {
        subject?: { digest: string };
        artifactType?: string;
        config?: { mediaType: string };
        annotations?: object;
      };
      if (document.subject?.digest !== digest) return [];
      const { annotations } = document;
      const artifactType = document.artifactType ?? document.config?.mediaType;
      return [{ mediaType, digest: own, size: bytes.length, artifactType, annotations }];
    });
    return this.#list(asked, found, (manifests) => ({ schemaVersion: 2, mediaType: INDEX, manifests }), INDEX);
  }

  #list<T>(asked: Asked, all: readonly T[], wrapped: (page: readonly T[]) => object, mediaType: string): Answered {
    const { pageSize = Math.max(1, all.length) } = this.#traits;
    const from = Number(asked.url.searchParams.get("from") ?? 0);
    const more = from + pageSize < all.length;
    return {
      status: 200,
      headers: {
        "content-type": mediaType,
        ...(more ? { link: `<${asked.url.pathname}?from=${from + pageSize}>; rel="next"` } : {}),
      },
      body: JSON.stringify(wrapped(all.slice(from, from + pageSize))),
    };
  }
}

function getBlob(asked: Asked, repo: Repo, digest: string): Answered {
  const blob = repo.blobs.get(digest);
  if (blob === undefined) return fault(404, "BLOB_UNKNOWN");
  return { status: 200, headers: { "content-length": `${blob.length}` }, body: asked.method === "HEAD" ? "" : blob };
}

function isUser(users: Readonly<Record<string, string>>, header: string): boolean {
  const [name, password] = Buffer.from(header.replace(/^Basic /, ""), "base64")
    .toString()
    .split(":");
  return header.startsWith("Basic ") && users[name!] === password;
}

function json(status: number, document: object): Answered {
  return { status, headers: { "content-type": "application/json" }, body: JSON.stringify(document) };
}

function fault(status: number, code: string): Answered {
  return json(status, { errors: [{ code, message: code.toLowerCase().replaceAll("_", " ") }] });
}

async function readBody(body: unknown): Promise<Buffer> {
  if (body === undefined) return Buffer.alloc(0);
  if (typeof body === "string" || body instanceof Uint8Array) return Buffer.from(body as string);
  const parts: Uint8Array[] = [];
  for await (const part of body as AsyncIterable<Uint8Array>) parts.push(part);
  return Buffer.concat(parts);
}

function answerOf({ status, headers = {}, body = "" }: Answered): FetchAnswer {
  const named = new Map(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
  const response = new Response(
    status === 204 || status === 205 || status === 304 ? null : (body as Uint8Array<ArrayBuffer> | string),
  );
  return {
    status,
    headers: { get: (name) => named.get(name.toLowerCase()) ?? null },
    body: response.body as FetchAnswer["body"] & object,
    arrayBuffer: () => response.arrayBuffer(),
  };
}
