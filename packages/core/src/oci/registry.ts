// SPDX-License-Identifier: Apache-2.0
/**
 * A registry (distribution specification 1.1): reading, pushing, listing, deleting.
 *
 * A tag is only a locator: `manifest` proves that what it read is what a digest names, and says which digest a tag led to.
 * Whoever decides by an image resolves it once and goes on by digest. Lists are bounded in length and in pages, and a
 * page that was seen before ends with REGISTRY_ANSWER_INVALID.
 */
import { LacreError } from "../errors.ts";
import { JsonObject, parseJson } from "../codec/index.ts";
import { checkContent, gather, type Octets } from "./content.ts";
import { describe, type Descriptor, digestOf, MEDIA, splitDigest } from "./descriptor.ts";
import { type ImageIndex, decodeManifest, type Manifest, MAX_MANIFEST_BYTES } from "./manifest.ts";
import { formatReference, formatRepository, isTag, type Reference, type Repository } from "./reference.ts";
import { type Answer, type Call, type RegistryOptions, resolveUrl, Transport } from "./transport.ts";

/** A manifest or an index as it was read: the descriptor is of these very octets. */
export interface Fetched {
  readonly descriptor: Descriptor;
  readonly bytes: Uint8Array;
  readonly manifest: Manifest | ImageIndex;
  /** The registry's entity tag, for a conditional write. */
  readonly etag?: string;
}

/** Content to be pushed: octets, or a function that opens them, again for each attempt. */
export type Content = Uint8Array | (() => Octets);

/** What can be asked of registries. Every answer is held against its digest; every list is bounded. */
export interface Registry {
  /** What a reference leads to now. Throws as `manifest`. */
  resolve(reference: Reference): Promise<Descriptor>;
  /**
   * A manifest or an index, by digest or else by tag. Throws REGISTRY_NOT_FOUND, REGISTRY_DENIED, REGISTRY_UNAVAILABLE,
   * REGISTRY_ANSWER_INVALID, CONTENT_MISMATCH, MANIFEST_INVALID and what `decodeManifest` throws.
   */
  manifest(reference: Reference): Promise<Fetched>;
  /** Content by its descriptor: proved when the iteration ends. Throws TOO_LARGE beyond `limit`, and as `manifest`. */
  blob(place: Repository, descriptor: Pick<Descriptor, "digest" | "size">, limit: number): AsyncGenerator<Uint8Array>;
  /** Content as a whole, proved. Throws as `blob`. */
  readBlob(place: Repository, descriptor: Pick<Descriptor, "digest" | "size">, limit: number): Promise<Uint8Array>;
  /** Whether the registry has this content. */
  hasBlob(place: Repository, digest: string): Promise<boolean>;
  /**
   * Pushes content, unless it is there. `from`: another repository of the registry that has it, to be mounted without
   * sending. Throws REGISTRY_REFUSED and as `manifest`.
   */
  pushBlob(place: Repository, descriptor: Pick<Descriptor, "digest" | "size">, content: Content, from?: string): Promise<void>;
  /**
   * Pushes a manifest by its digest, or by a tag. `hasSubject`: whether the registry says that it keeps the manifest as a
   * referrer of its subject. `ifMatch`, `ifNoneMatch`: entity tags of a conditional write; a registry that keeps to them
   * refuses with REGISTRY_REFUSED when the tag has moved.
   */
  pushManifest(
    place: Repository,
    bytes: Uint8Array,
    mediaType: string,
    to?: { readonly tag?: string | undefined; readonly ifMatch?: string | undefined; readonly ifNoneMatch?: "*" | undefined },
  ): Promise<{ readonly descriptor: Descriptor; readonly hasSubject: boolean }>;
  /** The referrers of a digest by the API; undefined when the registry does not have the API. See `listReferrers`. */
  referrers(place: Repository, digest: string): Promise<readonly Descriptor[] | undefined>;
  /** All tags, at most a hundred thousand. */
  tags(place: Repository): Promise<readonly string[]>;
  /** Deletes a manifest by digest, or a tag alone. */
  deleteManifest(reference: Reference): Promise<void>;
}

const ACCEPT = [MEDIA.manifest, MEDIA.index, MEDIA.dockerManifest, MEDIA.dockerList].join(", ");
const PULL = { actions: "pull" } as const;
const PUSH = { actions: "pull,push" } as const;
const MAX_PAGES = 100;
const MAX_REFERRERS = 10_000;
const MAX_TAGS = 100_000;
const MAX_TAG_PAGE = 4 << 20;
/** Answers of registries that do not know the referrers API. */
const NO_REFERRERS = [400, 404, 405, 406, 501];

/** A registry client over a fetch. One client may speak to many registries; each is greeted once. */
export function createRegistry(options: RegistryOptions): Registry {
  const transport = new Transport(options);

  async function manifest(reference: Reference): Promise<Fetched> {
    const name = reference.digest ?? reference.tag ?? "latest";
    const what = `the manifest of ${formatReference(reference)}`;
    const answer = await transport.ask({
      place: reference,
      method: "GET",
      path: `manifests/${name}`,
      headers: { accept: ACCEPT },
      scope: PULL,
      success: [200],
      follows: true,
      expectedBytes: MAX_MANIFEST_BYTES,
      what,
    });
    const bytes = await answer.read(MAX_MANIFEST_BYTES);
    const said = answer.headers.get("docker-content-digest");
    const wanted = reference.digest ?? said ?? undefined;
    const digest = digestOf(bytes, wanted?.startsWith("sha512:") === true ? "sha512" : "sha256");
    if (wanted !== undefined && digest !== wanted) {
      throw new LacreError("CONTENT_MISMATCH", `${what} is not the one of that digest`, {
        expected: wanted.slice(0, 150),
        found: digest,
      });
    }
    const mediaType = (answer.headers.get("content-type") ?? "").split(";")[0]!.trim();
    const decoded = decodeManifest(bytes, mediaType);
    const etag = answer.headers.get("etag");
    return {
      descriptor: { mediaType: decoded.mediaType, digest, size: bytes.length },
      bytes,
      manifest: decoded,
      ...(etag === null || !/^(?:W\/)?"[\x21\x23-\x7e]*"$/.test(etag) ? {} : { etag }),
    };
  }

  async function* blob(
    place: Repository,
    descriptor: Pick<Descriptor, "digest" | "size">,
    limit: number,
  ): AsyncGenerator<Uint8Array> {
    yield* checkContent(
      async () => {
        const answer = await transport.ask({
          place,
          method: "GET",
          path: `blobs/${descriptor.digest}`,
          scope: PULL,
          success: [200],
          follows: true,
          expectedBytes: descriptor.size,
          what: `${descriptor.digest} of ${formatRepository(place)}`,
        });
        return answer.stream();
      },
      descriptor,
      limit,
    );
  }

  async function hasBlob(place: Repository, digest: string, scope: Call["scope"]): Promise<boolean> {
    splitDigest(digest);
    const answer = await transport.ask({
      place,
      method: "HEAD",
      path: `blobs/${digest}`,
      scope,
      success: [200, 404],
      follows: true,
      what: `${digest} of ${formatRepository(place)}`,
    });
    await answer.discard();
    return answer.status === 200;
  }

  return {
    manifest,
    blob,
    hasBlob: (place, digest) => hasBlob(place, digest, PULL),
    resolve: async (reference) => (await manifest(reference)).descriptor,
    readBlob: (place, descriptor, limit) => gather(blob(place, descriptor, limit)),

    async pushBlob(place, descriptor, content, from) {
      const { digest, size } = descriptor;
      // Asked by whoever may write: a repository that is not there yet says nothing to others.
      if (await hasBlob(place, digest, PUSH)) return;
      const what = `to take ${digest} into ${formatRepository(place)}`;
      const mount = from === undefined ? "" : `?mount=${digest}&from=${encodeURIComponent(from)}`;
      const begun = await transport.ask({
        place,
        method: "POST",
        path: `blobs/uploads/${mount}`,
        body: new Uint8Array(0),
        scope: from === undefined ? PUSH : { ...PUSH, from },
        success: from === undefined ? [202] : [201, 202],
        what,
      });
      await begun.discard();
      // 201: it was mounted, nothing is to be sent.
      if (begun.status === 201) return;
      const location = resolveUrl(begun.headers.get("location") ?? "", begun.url, { place, what });
      const done = await transport.ask({
        place,
        method: "PUT",
        path: `${location}${location.includes("?") ? "&" : "?"}digest=${encodeURIComponent(digest)}`,
        headers: { "content-type": "application/octet-stream" },
        body: content instanceof Uint8Array ? content : { size, open: content },
        scope: PUSH,
        success: [201],
        what,
      });
      await done.discard();
    },

    async pushManifest(place, bytes, mediaType, to = {}) {
      const descriptor = describe(mediaType, bytes);
      const headers: Record<string, string> = { "content-type": mediaType };
      if (to.ifMatch !== undefined) headers["if-match"] = to.ifMatch;
      if (to.ifNoneMatch !== undefined) headers["if-none-match"] = to.ifNoneMatch;
      const answer = await transport.ask({
        place,
        method: "PUT",
        path: `manifests/${to.tag ?? descriptor.digest}`,
        headers,
        body: bytes,
        scope: PUSH,
        success: [200, 201, 202],
        what: `to take the manifest ${formatReference({ ...place, ...(to.tag === undefined ? { digest: descriptor.digest } : { tag: to.tag }) })}`,
      });
      await answer.discard();
      const kept = answer.headers.get("docker-content-digest");
      if (kept !== null && kept !== descriptor.digest) {
        throw new LacreError("CONTENT_MISMATCH", `${place.registry} keeps another manifest than it was given`, {
          expected: descriptor.digest,
          found: kept.slice(0, 150),
        });
      }
      return { descriptor, hasSubject: answer.headers.get("oci-subject") !== null };
    },

    async referrers(place, digest) {
      splitDigest(digest);
      const what = `the referrers of ${formatRepository(place)}@${digest}`;
      const found: Descriptor[] = [];
      for await (const answer of pages(transport, place, `referrers/${digest}`, what, [200, ...NO_REFERRERS])) {
        const mediaType = (answer.headers.get("content-type") ?? "").split(";")[0]!.trim();
        // Registries that do not know the API answer so, or with a page of their own.
        if (answer.status !== 200 || mediaType !== MEDIA.index) {
          await answer.discard();
          if (found.length === 0) return undefined;
          throw new LacreError("REGISTRY_ANSWER_INVALID", `${place.registry}, asked for ${what}, breaks off its list`);
        }
        const index = decodeManifest(await answer.read(MAX_MANIFEST_BYTES), MEDIA.index);
        if (index.kind !== "index") throw new LacreError("REGISTRY_ANSWER_INVALID", `${what} are not a list`);
        found.push(...index.manifests);
        if (found.length > MAX_REFERRERS)
          throw new LacreError("TOO_LARGE", `${what} are too many`, { expected: `at most ${MAX_REFERRERS}` });
      }
      return found;
    },

    async tags(place) {
      const what = `the tags of ${formatRepository(place)}`;
      const found = new Set<string>();
      for await (const answer of pages(transport, place, "tags/list?n=1000", what, [200])) {
        const list = new JsonObject(parseJson(await answer.read(MAX_TAG_PAGE)), "tags").strings(MAX_TAGS, "tags");
        // What is no tag cannot be asked for, and must not get into a path.
        for (const tag of list) if (isTag(tag)) found.add(tag);
        if (found.size > MAX_TAGS) throw new LacreError("TOO_LARGE", `${what} are too many`, { expected: `at most ${MAX_TAGS}` });
      }
      return [...found];
    },

    async deleteManifest(reference) {
      const answer = await transport.ask({
        place: reference,
        method: "DELETE",
        path: `manifests/${reference.digest ?? reference.tag ?? "latest"}`,
        scope: { actions: "delete" },
        success: [200, 202, 204],
        what: `to delete ${formatReference(reference)}`,
      });
      await answer.discard();
    },
  };
}

/** The pages of a list, by `Link` headers (RFC 8288) to the same registry and repository. The body is the caller's to read. */
async function* pages(
  transport: Transport,
  place: Repository,
  path: string,
  what: string,
  success: readonly number[],
): AsyncGenerator<Answer> {
  const seen = new Set<string>();
  let next: string | undefined = path;
  while (next !== undefined) {
    if (seen.has(next) || seen.size >= MAX_PAGES) {
      throw new LacreError("REGISTRY_ANSWER_INVALID", `${place.registry}, asked for ${what}, gives a list without end`, {
        expected: `at most ${MAX_PAGES} different pages`,
      });
    }
    seen.add(next);
    const answer: Answer = await transport.ask({
      place,
      method: "GET",
      path: next,
      headers: { accept: path.startsWith("tags") ? "application/json" : MEDIA.index },
      scope: PULL,
      success,
      expectedBytes: MAX_MANIFEST_BYTES,
      what,
    });
    const link = answer.status === 200 ? nextLink(answer.headers.get("link")) : undefined;
    yield answer;
    next = link === undefined ? undefined : ownPath(link, answer, place, what);
  }
}

function nextLink(header: string | null): string | undefined {
  const match = /<([^<>]{1,2000})>[^,]*;\s*rel="?next"?/i.exec(header ?? "");
  return match?.[1];
}

/** A link to the next page, which must stay where the list is. */
function ownPath(link: string, answer: Answer, place: Repository, what: string): string {
  const url = resolveUrl(link, answer.url, { place, what });
  const base = `${/^https?:\/\/[^/]+/.exec(answer.url)![0]}/v2/${place.repository}/`;
  if (url.startsWith(base)) return url.slice(base.length);
  throw new LacreError("REGISTRY_ANSWER_INVALID", `${place.registry}, asked for ${what}, goes on elsewhere`, {
    expected: base,
    found: url.slice(0, 200),
  });
}
