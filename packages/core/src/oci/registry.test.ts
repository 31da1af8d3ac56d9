// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import test from "node:test";
import { text, utf8 } from "../bytes/index.ts";
import { LacreError, type LacreCode } from "../errors.ts";
import { type Answered, type Asked, type RegistryTraits, sha256, TestRegistry } from "../../../../test/registry.ts";
import { attachmentTag } from "./attachment.ts";
import type { RegistryCredential } from "./authorization.ts";
import { describe, MEDIA } from "./descriptor.ts";
import { parseReference } from "./reference.ts";
import { listReferrers, pushReferrer, removeReferrers } from "./referrers.ts";
import { createRegistry, type Registry } from "./registry.ts";
import { ANNOTATION, BUNDLE_TYPE, LAYER, listAttached, listBundles, pushAttached, pushBundle } from "./signatures.ts";

const PLACE = { registry: "registry.example.com", repository: "team/app" };
const ALICE: RegistryCredential = { kind: "basic", username: "alice", password: "secret" };

interface World {
  readonly server: TestRegistry;
  readonly registry: Registry;
  /** How long the client waited, in order. */
  readonly waits: number[];
}

function world(
  traits: RegistryTraits = {},
  more: { credential?: RegistryCredential; allowHttp?: boolean; server?: TestRegistry } = {},
): World {
  const server = more.server ?? new TestRegistry(traits);
  const waits: number[] = [];
  const registry = createRegistry({
    fetch: server.fetch,
    credentials: async (name) => (name === server.host ? more.credential : undefined),
    ...(more.allowHttp === undefined ? {} : { allowHttp: more.allowHttp }),
    now: Date.now,
    sleep: async (ms) => void waits.push(ms),
  });
  return { server, registry, waits };
}

async function refuses(work: Promise<unknown>, code: LacreCode): Promise<LacreError> {
  try {
    await work;
  } catch (error) {
    assert.ok(error instanceof LacreError, String(error));
    assert.equal(error.code, code, error.message);
    return error;
  }
  throw new assert.AssertionError({ message: `nothing was refused, expected ${code}` });
}

const only = (path: string | RegExp, answer: (asked: Asked) => Answered | undefined): RegistryTraits["instead"] => {
  return (asked) =>
    (typeof path === "string" ? asked.url.pathname.endsWith(path) : path.test(asked.url.href)) ? answer(asked) : undefined;
};

test("a tag leads to a digest, which is that of the very octets", async () => {
  const { server, registry } = world();
  const digest = server.putImage(PLACE.repository, "v1");
  const fetched = await registry.manifest(parseReference("registry.example.com/team/app:v1"));
  assert.equal(fetched.descriptor.digest, digest);
  assert.equal(sha256(fetched.bytes), digest);
  assert.equal(fetched.descriptor.size, fetched.bytes.length);
  assert.deepEqual(await registry.resolve({ ...PLACE, digest }), fetched.descriptor);
});

test("T30: a manifest with another digest than asked is refused, whatever the registry says of it", async () => {
  const server = new TestRegistry();
  const right = server.putImage(PLACE.repository, "v1", "one");
  const wrong = server.putImage(PLACE.repository, "v2", "two");
  const { registry } = world({}, { server });
  server.repo(PLACE.repository).manifests.set(right, server.repo(PLACE.repository).manifests.get(wrong)!);
  const error = await refuses(registry.manifest({ ...PLACE, digest: right }), "CONTENT_MISMATCH");
  assert.equal(error.expected, right);
  assert.equal(error.found, wrong);
  // By tag, the registry's own header decides what it claims to give.
  const lying = world({
    instead: only("/manifests/v1", () => ({
      status: 200,
      headers: { "docker-content-digest": sha256("something else") },
      body: JSON.stringify(server.read(PLACE.repository, "v2")),
    })),
  });
  await refuses(lying.registry.manifest({ ...PLACE, tag: "v1" }), "CONTENT_MISMATCH");
});

test("T30: an index is not taken for one of its images, nor an image for an index", async () => {
  const { server, registry } = world();
  const child = server.putImage(PLACE.repository, "v1");
  const document = {
    schemaVersion: 2,
    mediaType: MEDIA.index,
    manifests: [{ mediaType: MEDIA.manifest, digest: child, size: 1 }],
  };
  const index = server.putManifest(PLACE.repository, document, "all");
  assert.equal((await registry.manifest({ ...PLACE, tag: "all" })).manifest.kind, "index");
  const stored = server.repo(PLACE.repository).manifests.get(index)!;
  server.repo(PLACE.repository).manifests.set(index, { ...stored, mediaType: MEDIA.manifest });
  await refuses(registry.manifest({ ...PLACE, tag: "all" }), "MANIFEST_INVALID");
});

test("T06: content is compared with digest and size while it streams", async () => {
  const { server, registry } = world();
  const digest = server.putBlob(PLACE.repository, "content");
  const { blobs } = server.repo(PLACE.repository);
  assert.equal(text(await registry.readBlob(PLACE, { digest, size: 7 }, 7)), "content");
  await refuses(registry.readBlob(PLACE, { digest, size: 7 }, 6), "TOO_LARGE");
  await refuses(registry.readBlob(PLACE, { digest, size: 6 }, 100), "CONTENT_MISMATCH");
  await refuses(registry.readBlob(PLACE, { digest, size: 8 }, 100), "CONTENT_MISMATCH");
  blobs.set(digest, Buffer.from("CONTENT"));
  await refuses(registry.readBlob(PLACE, { digest, size: 7 }, 100), "CONTENT_MISMATCH");
});

test("T06: endless content is cut off at the size of its descriptor", async () => {
  let sent = 0;
  const endless = createRegistry({
    fetch: async (url) => ({
      status: 200,
      headers: { get: () => null },
      body: {
        getReader: () => ({
          read: async () => ({ done: url.endsWith("/v2/"), value: new Uint8Array(1024).fill(++sent) }),
          cancel: async () => undefined,
        }),
      },
      arrayBuffer: async () => new ArrayBuffer(0),
    }),
    now: Date.now,
  });
  await refuses(endless.readBlob(PLACE, { digest: sha256("x"), size: 5000 }, 10_000), "CONTENT_MISMATCH");
  assert.ok(sent < 10, `${sent} pieces were read`);
  await refuses(endless.manifest({ ...PLACE, tag: "v1" }), "REGISTRY_ANSWER_INVALID");
  assert.ok(sent < 5000, `${sent} pieces were read`);
});

test("T06: lists without end and in circles are given up", async () => {
  const page = (next: string): Answered => ({
    status: 200,
    headers: { "content-type": MEDIA.index, link: `<${next}>; rel="next"` },
    body: JSON.stringify({ schemaVersion: 2, mediaType: MEDIA.index, manifests: [] }),
  });
  let at = 0;
  const lists = (next: (path: string) => string): RegistryTraits["instead"] =>
    only(/\/referrers\//, (asked) => page(next(asked.url.pathname)));
  const endless = world({ instead: lists((path) => `${path}?n=${++at}`) });
  await refuses(endless.registry.referrers(PLACE, sha256("x")), "REGISTRY_ANSWER_INVALID");
  assert.equal(at, 100);
  const circle = world({ instead: lists((path) => `${path}?a`) });
  await refuses(circle.registry.referrers(PLACE, sha256("x")), "REGISTRY_ANSWER_INVALID");
  assert.equal(circle.server.asked.length, 3);
  const tags = world({
    instead: (asked) =>
      asked.url.pathname.endsWith("/tags/list")
        ? { status: 200, headers: { link: `<${asked.url.pathname}?n=1000>; rel="next"` }, body: '{"tags":["a"]}' }
        : undefined,
  });
  await refuses(tags.registry.tags(PLACE), "REGISTRY_ANSWER_INVALID");
});

test("T06: a list goes on at the same place or not at all", async () => {
  for (const next of [
    "https://elsewhere.example.com/v2/team/app/tags/list?x",
    "/v2/other/app/tags/list?x",
    "http://registry.example.com/v2/team/app/tags/list?x",
  ]) {
    const { server, registry } = world({
      instead: (asked) =>
        asked.url.pathname.endsWith("/tags/list")
          ? { status: 200, headers: { link: `<${next}>; rel="next"` }, body: '{"tags":["a"]}' }
          : undefined,
    });
    await refuses(registry.tags(PLACE), "REGISTRY_ANSWER_INVALID");
    assert.equal(server.asked.length, 2);
  }
});

test("lists are read page by page", async () => {
  const { server, registry } = world({ pageSize: 2 });
  const digest = server.putImage(PLACE.repository, "v1");
  for (const tag of ["v2", "v3", "v4", "v5"]) server.repo(PLACE.repository).tags.set(tag, digest);
  assert.deepEqual(await registry.tags(PLACE), ["v1", "v2", "v3", "v4", "v5"]);
  const subject = await registry.resolve({ ...PLACE, digest });
  for (let i = 0; i < 5; i++) await push(registry, subject, `referrer ${i}`);
  assert.equal((await registry.referrers(PLACE, digest))?.length, 5);
});

async function push(registry: Registry, subject: Awaited<ReturnType<Registry["resolve"]>>, content: string): Promise<string> {
  const bytes = utf8(content);
  const empty = utf8("{}");
  await registry.pushBlob(PLACE, describe("text/plain", bytes), bytes);
  await registry.pushBlob(PLACE, describe(MEDIA.empty, empty), empty);
  const { digest } = await pushReferrer(registry, PLACE, {
    mediaType: MEDIA.manifest,
    artifactType: "text/plain",
    config: describe(MEDIA.empty, empty),
    layers: [describe("text/plain", bytes)],
    annotations: { said: content },
    subject,
  });
  return digest;
}

test("what keeps from looking is never taken for nothing there", async () => {
  const digest = sha256("image");
  const kinds: readonly (readonly [number, LacreCode])[] = [
    [401, "REGISTRY_DENIED"],
    [403, "REGISTRY_DENIED"],
    [429, "REGISTRY_UNAVAILABLE"],
    [500, "REGISTRY_UNAVAILABLE"],
    [503, "REGISTRY_UNAVAILABLE"],
  ];
  for (const [status, code] of kinds) {
    const { registry } = world({ instead: (asked) => (asked.url.pathname === "/v2/" ? undefined : { status, body: "" }) });
    await refuses(registry.manifest({ ...PLACE, tag: "v1" }), code);
    await refuses(listReferrers(registry, PLACE, digest), code);
    await refuses(listBundles(registry, PLACE, digest), code);
    await refuses(listAttached(registry, PLACE, digest, "sig"), code);
    await refuses(registry.hasBlob(PLACE, digest), code);
    await refuses(registry.readBlob(PLACE, { digest, size: 1 }, 10), code);
    // The API is not there, and the tag cannot be looked at.
    const half = world({ referrers: false, instead: only(`/manifests/${attachmentTag(digest)}`, () => ({ status })) });
    await refuses(listReferrers(half.registry, PLACE, digest), code);
  }
  const { registry } = world();
  await refuses(registry.manifest({ ...PLACE, tag: "v1" }), "REGISTRY_NOT_FOUND");
  assert.deepEqual(await listBundles(registry, PLACE, digest), []);
  assert.deepEqual(await listAttached(registry, PLACE, digest, "sig"), []);
  assert.deepEqual(await listReferrers(world({ referrers: false }).registry, PLACE, digest), []);
});

test("a connection that fails is REGISTRY_UNAVAILABLE, tried anew the next time", async () => {
  let isUp = false;
  const server = new TestRegistry();
  server.putImage(PLACE.repository, "v1");
  const waits: number[] = [];
  const registry = createRegistry({
    fetch: (url, init) =>
      isUp ? server.fetch(url, init) : Promise.reject(new TypeError("fetch failed", { cause: { code: "ECONNRESET" } })),
    now: Date.now,
    sleep: async (ms) => void waits.push(ms),
  });
  const error = await refuses(registry.manifest({ ...PLACE, tag: "v1" }), "REGISTRY_UNAVAILABLE");
  assert.equal(error.found, "ECONNRESET");
  assert.equal(waits.length, 3);
  isUp = true;
  await registry.manifest({ ...PLACE, tag: "v1" });
});

test("throttling is waited for as the registry asks, and no longer than ten seconds", async () => {
  let refusals = 2;
  const { server, registry, waits } = world({
    instead: only("/manifests/v1", () => (refusals-- > 0 ? { status: 429, headers: { "retry-after": "3" } } : undefined)),
  });
  server.putImage(PLACE.repository, "v1");
  await registry.manifest({ ...PLACE, tag: "v1" });
  assert.deepEqual(waits, [3000, 3000]);
  const long = world({ instead: only("/manifests/v1", () => ({ status: 429, headers: { "retry-after": "60" } })) });
  await refuses(long.registry.manifest({ ...PLACE, tag: "v1" }), "REGISTRY_UNAVAILABLE");
  assert.deepEqual(long.waits, []);
});

test("T06: redirects are followed for content, five at most", async () => {
  const content = Buffer.from("content");
  const digest = sha256(content);
  const hop =
    (count: number) =>
    (asked: Asked): Answered => {
      const at = Number(asked.url.searchParams.get("hop") ?? 0);
      return at < count
        ? { status: 307, headers: { location: `https://store.example.com/blobs/${digest}?hop=${at + 1}` } }
        : { status: 200, body: content };
    };
  const five = world({ instead: only(/blobs\/sha256/, hop(5)) });
  assert.equal(text(await five.registry.readBlob(PLACE, { digest, size: 7 }, 100)), "content");
  const six = world({ instead: only(/blobs\/sha256/, hop(6)) });
  await refuses(six.registry.readBlob(PLACE, { digest, size: 7 }, 100), "REGISTRY_ANSWER_INVALID");
  for (const location of [
    "http://store.example.com/x",
    "ftp://store.example.com/x",
    "https://user:pw@store.example.com/x",
    "",
    "https://",
  ]) {
    const { server, registry } = world({ instead: only(/blobs\/sha256/, () => ({ status: 302, headers: { location } })) });
    await refuses(registry.readBlob(PLACE, { digest, size: 7 }, 100), "REGISTRY_ANSWER_INVALID");
    assert.equal(server.asked.length, 2, location);
  }
  const write = world({
    instead: only(/uploads/, () => ({ status: 307, headers: { location: "https://store.example.com/x" } })),
  });
  await refuses(write.registry.pushBlob(PLACE, { digest, size: 7 }, content), "REGISTRY_ANSWER_INVALID");
});

test("credentials go to the registry and its token service, not to where content is redirected", async () => {
  for (const scheme of ["basic", "bearer"] as const) {
    const content = Buffer.from("content");
    const digest = sha256(content);
    const { server, registry } = world(
      {
        users: { alice: "secret" },
        scheme,
        instead: (asked) =>
          asked.url.host === "store.example.com"
            ? { status: 200, body: content }
            : asked.url.pathname.includes("/blobs/sha256") && asked.headers["authorization"] !== undefined
              ? { status: 307, headers: { location: "https://store.example.com/x" } }
              : undefined,
      },
      { credential: ALICE },
    );
    await registry.readBlob(PLACE, { digest, size: 7 }, 100);
    const redirected = server.asked.filter(({ url }) => url.host === "store.example.com");
    assert.equal(redirected.length, 1);
    assert.equal(redirected[0]!.headers["authorization"], undefined);
    const passwords = server.asked.filter(({ headers }) => headers["authorization"]?.startsWith("Basic"));
    const hosts = new Set(passwords.map(({ url }) => url.host));
    assert.deepEqual([...hosts], [scheme === "basic" ? "registry.example.com" : "tokens.example.com"]);
  }
});

test("a challenge by a host that content was redirected to is not met", async () => {
  const { server, registry } = world(
    {
      users: { alice: "secret" },
      instead: (asked) =>
        asked.url.host === "evil.example.com"
          ? { status: 401, headers: { "www-authenticate": 'Bearer realm="https://evil.example.com/token"' } }
          : asked.url.pathname.includes("/blobs/sha256") && asked.headers["authorization"] !== undefined
            ? { status: 302, headers: { location: "https://evil.example.com/x" } }
            : undefined,
    },
    { credential: ALICE },
  );
  await refuses(registry.readBlob(PLACE, { digest: sha256("x"), size: 1 }, 100), "REGISTRY_DENIED");
  const there = server.asked.filter(({ url }) => url.host === "evil.example.com");
  assert.deepEqual(
    there.map(({ url, headers }) => [url.pathname, headers["authorization"]]),
    [["/x", undefined]],
  );
});

test("a page that is no list of referrers means that the registry has none, and the tag is looked at", async () => {
  const { server, registry } = world({
    referrers: false,
    instead: only(/\/referrers\//, () => ({ status: 200, headers: { "content-type": "text/html" }, body: "<html>" })),
  });
  const digest = server.putImage(PLACE.repository, "v1");
  const pushed = await push(registry, await registry.resolve({ ...PLACE, digest }), "content");
  assert.equal(await registry.referrers(PLACE, digest), undefined);
  assert.deepEqual(
    (await listReferrers(registry, PLACE, digest)).map((one) => one.digest),
    [pushed],
  );
});

test("T06: more than ten thousand referrers, and names that are no tags, are not taken", async () => {
  const manifests = Array.from({ length: 4000 }, () => ({ mediaType: MEDIA.manifest, digest: sha256("x"), size: 1 }));
  const body = JSON.stringify({ schemaVersion: 2, mediaType: MEDIA.index, manifests });
  let pages = 0;
  const { registry } = world({
    instead: (asked) =>
      asked.url.pathname.endsWith("/tags/list")
        ? { status: 200, body: JSON.stringify({ tags: ["v1", "../../other/manifests/v1", "a b", ""] }) }
        : asked.url.pathname.includes("/referrers/")
          ? { status: 200, headers: { "content-type": MEDIA.index, link: `<?n=${++pages}>; rel="next"` }, body }
          : undefined,
  });
  await refuses(registry.referrers(PLACE, sha256("x")), "TOO_LARGE");
  assert.equal(pages, 3);
  assert.deepEqual(await registry.tags(PLACE), ["v1"]);
});

test("T16: a registry gets its own credentials, by its exact name", async () => {
  for (const host of ["registry.example.com.evil", "evil-registry.example.com", "registry.example.com:8443", "example.com"]) {
    const asked: string[] = [];
    const server = new TestRegistry({ users: { alice: "secret" }, host });
    const registry = createRegistry({
      fetch: server.fetch,
      credentials: async (name) => (asked.push(name), name === "registry.example.com" ? ALICE : undefined),
      now: Date.now,
    });
    await refuses(registry.manifest({ registry: host, repository: "app", tag: "v1" }), "REGISTRY_DENIED");
    assert.deepEqual(asked, [host]);
    assert.ok(server.asked.every(({ headers }) => headers["authorization"] === undefined));
  }
});

test("tokens are asked for by scope, kept, and renewed when they no longer do", async () => {
  const { server, registry } = world({ users: { alice: "secret" }, scheme: "bearer" }, { credential: ALICE });
  const digest = server.putImage(PLACE.repository, "v1");
  await registry.manifest({ ...PLACE, tag: "v1" });
  await registry.manifest({ ...PLACE, digest });
  const bytes = utf8("new");
  await registry.pushBlob(PLACE, describe("text/plain", bytes), bytes);
  const scopes = server.asked
    .filter(({ url }) => url.host === "tokens.example.com")
    .map(({ url }) => url.searchParams.getAll("scope"));
  assert.deepEqual(scopes, [["repository:team/app:pull"], ["repository:team/app:pull,push"]]);
  const service = server.asked.find(({ url }) => url.host === "tokens.example.com")!.url.searchParams.get("service");
  assert.equal(service, "registry.example.com");
});

test("an identity token is exchanged, and a bearer token is sent as it is", async () => {
  const identity = world(
    { users: { alice: "secret" }, scheme: "bearer" },
    { credential: { kind: "identity", token: "refresh" } },
  );
  identity.server.putImage(PLACE.repository, "v1");
  await identity.registry.manifest({ ...PLACE, tag: "v1" });
  const [exchange] = identity.server.asked.filter(({ url }) => url.host === "tokens.example.com");
  assert.equal(exchange!.method, "POST");
  assert.equal(exchange!.url.search, "");
  const bearer = world({ users: {}, scheme: "bearer" }, { credential: { kind: "bearer", token: "given" } });
  await refuses(bearer.registry.manifest({ ...PLACE, tag: "v1" }), "REGISTRY_DENIED");
  assert.ok(bearer.server.asked.some(({ headers }) => headers["authorization"] === "Bearer given"));
  assert.ok(bearer.server.asked.every(({ url }) => url.host !== "tokens.example.com"));
});

test("a token service without https is not asked, nor one that is no address, nor is nonsense taken for a token", async () => {
  for (const realm of [
    "http://tokens.example.com/token",
    "https://alice:secret@tokens.example.com/",
    "tokens.example.com",
    "file:///etc/passwd",
  ]) {
    const { server, registry } = world(
      { instead: (asked) => ({ status: 401, headers: { "www-authenticate": `Bearer realm="${realm}"` }, body: asked.url.host }) },
      { credential: ALICE },
    );
    await refuses(registry.manifest({ ...PLACE, tag: "v1" }), "REGISTRY_ANSWER_INVALID");
    assert.ok(server.asked.every(({ url }) => url.host === "registry.example.com"));
  }
  for (const body of ["{}", '{"token":""}', '{"token":"a\\r\\nx: y"}', '{"token":1}', "<html>", "x".repeat(300_000)]) {
    const { registry } = world({
      users: {},
      scheme: "bearer",
      instead: (asked) => (asked.url.host === "tokens.example.com" ? { status: 200, body } : undefined),
    });
    await refuses(registry.manifest({ ...PLACE, tag: "v1" }), "REGISTRY_ANSWER_INVALID");
  }
  const throttled = world({
    users: {},
    scheme: "bearer",
    instead: (asked) => (asked.url.host === "tokens.example.com" ? { status: 429 } : undefined),
  });
  await refuses(throttled.registry.manifest({ ...PLACE, tag: "v1" }), "REGISTRY_UNAVAILABLE");
});

test("plain HTTP is spoken with near registries alone, and secrets stay at home", async () => {
  const far = new TestRegistry({ isSecure: false });
  far.putImage(PLACE.repository, "v1");
  await refuses(world({}, { server: far }).registry.manifest({ ...PLACE, tag: "v1" }), "REGISTRY_UNAVAILABLE");
  assert.equal(far.asked.length, 0);
  await world({}, { server: far, allowHttp: true }).registry.manifest({ ...PLACE, tag: "v1" });

  for (const [host, isHome] of [
    ["localhost:5000", true],
    ["127.0.0.1:5000", true],
    ["[::1]:5000", true],
    ["10.1.2.3:5000", false],
    ["192.168.1.1:5000", false],
    ["registry.local", false],
  ] as const) {
    const place = { registry: host, repository: "app", tag: "v1" };
    const open = new TestRegistry({ isSecure: false, host });
    open.putImage("app", "v1");
    await world({}, { server: open }).registry.manifest(place);
    const closed = new TestRegistry({ isSecure: false, host, users: { alice: "secret" } });
    closed.putImage("app", "v1");
    if (isHome) await world({}, { server: closed, credential: ALICE }).registry.manifest(place);
    else {
      await refuses(world({}, { server: closed, credential: ALICE }).registry.manifest(place), "REGISTRY_DENIED");
      assert.ok(closed.asked.every(({ headers }) => headers["authorization"] === undefined));
      await world({}, { server: closed, credential: ALICE, allowHttp: true }).registry.manifest(place);
    }
  }
  for (const host of ["localhost.evil.example.com", "127.0.0.1.evil.example.com", "10.1.2.3.example.com", "x.localhost.com"]) {
    const server = new TestRegistry({ isSecure: false, host });
    await refuses(
      world({}, { server }).registry.manifest({ registry: host, repository: "app", tag: "v1" }),
      "REGISTRY_UNAVAILABLE",
    );
    assert.equal(server.asked.length, 0);
  }
});

test("a wrong certificate is not gone around by plain HTTP, and https is not taken for a refusal", async () => {
  for (const [code, answer] of [
    ["DEPTH_ZERO_SELF_SIGNED_CERT", 200],
    ["UNABLE_TO_VERIFY_LEAF_SIGNATURE", 200],
    ["CERT_HAS_EXPIRED", 200],
    ["ERR_TLS_CERT_ALTNAME_INVALID", 200],
    ["ECONNRESET", 400],
  ] as const) {
    const asked: string[] = [];
    const server = new TestRegistry({ isSecure: false, host: "localhost:5000", instead: () => ({ status: answer }) });
    const registry = createRegistry({
      fetch: async (url, init) => {
        asked.push(url);
        if (url.startsWith("https:")) throw new TypeError("fetch failed", { cause: { code } });
        return server.fetch(url, init);
      },
      allowHttp: true,
      now: Date.now,
      retries: 0,
    });
    const error = await refuses(
      registry.manifest({ registry: "localhost:5000", repository: "app", tag: "v1" }),
      "REGISTRY_UNAVAILABLE",
    );
    assert.equal(error.found, code);
    assert.equal(
      asked.some((url) => url.startsWith("http:")),
      answer === 400,
      code,
    );
  }
});

test("content is pushed once, mounted where it can be, and made anew for each attempt", async () => {
  let failures = 1;
  const { server, registry } = world({
    instead: (asked) => (asked.method === "PUT" && failures-- > 0 ? { status: 503 } : undefined),
  });
  const bytes = utf8("a layer");
  const descriptor = describe("text/plain", bytes);
  let opened = 0;
  await registry.pushBlob(PLACE, descriptor, () => {
    opened++;
    return [bytes.subarray(0, 3), bytes.subarray(3)];
  });
  assert.equal(opened, 2);
  assert.equal(server.repo(PLACE.repository).blobs.get(descriptor.digest)?.toString(), "a layer");
  const puts = (): number => server.asked.filter(({ method }) => method === "PUT").length;
  const before = puts();
  await registry.pushBlob(PLACE, descriptor, bytes);
  await registry.pushBlob({ ...PLACE, repository: "other" }, descriptor, bytes, PLACE.repository);
  assert.equal(puts(), before);
  assert.ok(server.repo("other").blobs.has(descriptor.digest));
});

test("a registry that keeps another manifest than it was given is not believed", async () => {
  const { registry } = world({
    instead: (asked) =>
      asked.method === "PUT" ? { status: 201, headers: { "docker-content-digest": sha256("something else") } } : undefined,
  });
  await refuses(registry.pushManifest(PLACE, utf8("{}"), MEDIA.index, { tag: "v1" }), "CONTENT_MISMATCH");
});

for (const referrers of [true, false]) {
  test(`a referrer is found again ${referrers ? "by the API" : "by the fallback tag, which repeats artifact type and annotations"}`, async () => {
    const { server, registry } = world({ referrers });
    const digest = server.putImage(PLACE.repository, "v1");
    const subject = await registry.resolve({ ...PLACE, digest });
    const first = await push(registry, subject, "first");
    const second = await push(registry, subject, "second");
    await push(registry, subject, "second");
    const found = await listReferrers(registry, PLACE, digest);
    assert.deepEqual(
      found.map((one) => [one.digest, one.artifactType, one.annotations?.["said"]]),
      [
        [first, "text/plain", "first"],
        [second, "text/plain", "second"],
      ],
    );
    assert.equal(server.repo(PLACE.repository).tags.has(attachmentTag(digest)), !referrers);
    await removeReferrers(registry, PLACE, digest, [first]);
    if (!referrers)
      assert.deepEqual(
        (await listReferrers(registry, PLACE, digest)).map((one) => one.digest),
        [second],
      );
  });
}

for (const conditional of [true, false]) {
  test(`referrers pushed at once to a registry ${conditional ? "with" : "without"} conditional writes are all there at the end`, async () => {
    const { server, registry } = world({ referrers: false, conditional });
    const digest = server.putImage(PLACE.repository, "v1");
    const subject = await registry.resolve({ ...PLACE, digest });
    const pushed = await Promise.all(["a", "b", "c"].map((content) => push(registry, subject, content)));
    const found = (await listReferrers(registry, PLACE, digest)).map((one) => one.digest);
    assert.deepEqual([...found].sort(), [...pushed].sort());
  });
}

test("a bundle is stored as cosign stores it", async () => {
  const { server, registry } = world();
  const digest = server.putImage(PLACE.repository, "v1");
  const subject = await registry.resolve({ ...PLACE, digest });
  const json = utf8('{"mediaType":"a bundle"}');
  const { digest: stored } = await pushBundle(registry, PLACE, subject, {
    json,
    content: "dsse-envelope",
    predicateType: "https://sigstore.dev/cosign/sign/v1",
    createdMs: Date.UTC(2026, 10, 24, 9, 9, 42, 345),
  });
  // The document of cosign 3.1.1, with the digests and sizes of this one.
  assert.equal(
    server.repo(PLACE.repository).manifests.get(stored)!.bytes.toString(),
    `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.empty.v1+json","size":2,"digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","artifactType":"application/vnd.dev.sigstore.bundle.v0.3+json"},"layers":[{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","size":${json.length},"digest":"${sha256(json)}"}],"annotations":{"dev.sigstore.bundle.content":"dsse-envelope","dev.sigstore.bundle.predicateType":"https://sigstore.dev/cosign/sign/v1","org.opencontainers.image.created":"2026-11-24T09:09:42Z"},"subject":{"mediaType":"application/vnd.oci.image.manifest.v1+json","size":${subject.size},"digest":"${digest}"},"artifactType":"application/vnd.dev.sigstore.bundle.v0.3+json"}`,
  );
  const [bundle, ...more] = await listBundles(registry, PLACE, digest);
  assert.equal(more.length, 0);
  assert.equal(bundle!.manifest.digest, stored);
  assert.equal(bundle!.layer.digest, sha256(json));
});

test("bundles are found where a list says nothing of their type, and those of other images are passed over", async () => {
  const { server, registry } = world({ referrers: false });
  const digest = server.putImage(PLACE.repository, "v1");
  const other = server.putImage(PLACE.repository, "v2", "other");
  const make = async (subject: string): Promise<string> => {
    const bundle = {
      json: utf8(`{"of":"${subject}"}`),
      content: "dsse-envelope",
      predicateType: undefined,
      createdMs: 0,
    } as const;
    return (await pushBundle(registry, PLACE, await registry.resolve({ ...PLACE, digest: subject }), bundle)).digest;
  };
  const own = await make(digest);
  const foreign = await make(other);
  // As cosign 3.1.1 writes its list: the config's type, and no annotations.
  const list = [own, foreign].map((one) => ({ mediaType: MEDIA.manifest, digest: one, size: 1, artifactType: MEDIA.empty }));
  server.putManifest(PLACE.repository, { schemaVersion: 2, mediaType: MEDIA.index, manifests: list }, attachmentTag(digest));
  assert.deepEqual(
    (await listBundles(registry, PLACE, digest)).map(({ manifest }) => manifest.digest),
    [own],
  );
  server.putManifest(
    PLACE.repository,
    {
      schemaVersion: 2,
      mediaType: MEDIA.index,
      manifests: [{ mediaType: MEDIA.manifest, digest: own, size: 1, artifactType: "text/plain" }],
    },
    attachmentTag(digest),
  );
  assert.deepEqual(await listBundles(registry, PLACE, digest), []);
});

test("T06: more than a thousand signatures are not looked at", async () => {
  const { server, registry } = world({ referrers: false });
  const digest = sha256("image");
  const entry = (i: number): object => ({
    mediaType: MEDIA.manifest,
    digest: sha256(`${i}`),
    size: 1,
    artifactType: BUNDLE_TYPE,
  });
  const layer = (i: number): object => ({ mediaType: LAYER.simpleSigning, digest: sha256(`${i}`), size: 1 });
  const many = (count: number): void => {
    const manifests = Array.from({ length: count }, (_, i) => entry(i));
    server.putManifest(PLACE.repository, { schemaVersion: 2, mediaType: MEDIA.index, manifests }, attachmentTag(digest));
    const layers = Array.from({ length: count }, (_, i) => layer(i));
    const config = { mediaType: MEDIA.config, digest, size: 1 };
    server.putManifest(
      PLACE.repository,
      { schemaVersion: 2, mediaType: MEDIA.manifest, config, layers },
      attachmentTag(digest, "sig"),
    );
  };
  many(1001);
  await refuses(listBundles(registry, PLACE, digest), "TOO_LARGE");
  assert.ok(server.asked.length < 5);
  await refuses(listAttached(registry, PLACE, digest, "sig"), "TOO_LARGE");
  many(1000);
  assert.equal((await listAttached(registry, PLACE, digest, "sig")).length, 1000);
});

test("signatures of the older scheme are layers of one tag: added, not doubled, replaced", async () => {
  const { server, registry } = world();
  const digest = server.putImage(PLACE.repository, "v1");
  const tag = attachmentTag(digest, "sig");
  const layer = (signature: string, content = "payload"): Parameters<typeof pushAttached>[4] => ({
    mediaType: LAYER.simpleSigning,
    bytes: utf8(content),
    annotations: { [ANNOTATION.signature]: signature },
  });
  const signatures = (): unknown[] =>
    (server.read(PLACE.repository, tag).layers as { annotations: Record<string, string> }[]).map(
      (one) => one.annotations[ANNOTATION.signature],
    );
  assert.equal(await pushAttached(registry, PLACE, digest, "sig", layer("one")), tag);
  await pushAttached(registry, PLACE, digest, "sig", layer("two"));
  await pushAttached(registry, PLACE, digest, "sig", layer("one"));
  assert.deepEqual(signatures(), ["one", "two"]);
  const config = server.repo(PLACE.repository).blobs.get(server.read(PLACE.repository, tag).config.digest)!.toString();
  const payload = sha256("payload");
  // As go-containerregistry writes it under cosign 2.6.4.
  assert.equal(
    config,
    `{"architecture":"","created":"0001-01-01T00:00:00Z","history":[{"created":"0001-01-01T00:00:00Z"},{"created":"0001-01-01T00:00:00Z"}],"os":"","rootfs":{"type":"layers","diff_ids":["${payload}","${payload}"]},"config":{}}`,
  );
  await pushAttached(registry, PLACE, digest, "sig", layer("three"), {
    replaces: (one) => one.annotations?.[ANNOTATION.signature] === "one",
  });
  assert.deepEqual(signatures(), ["two", "three"]);
  await pushAttached(registry, PLACE, digest, "att", layer(""), { prefix: "pre-", dockerTypes: true });
  const docker = server.read(PLACE.repository, `pre-${attachmentTag(digest, "att")}`);
  assert.equal(docker.mediaType, MEDIA.dockerManifest);
  assert.equal(docker.config.mediaType, "application/vnd.docker.container.image.v1+json");
});

test("several signatures attached at once are all there at the end", async () => {
  const { server, registry } = world();
  const digest = server.putImage(PLACE.repository, "v1");
  await Promise.all(
    ["a", "b", "c"].map((signature) =>
      pushAttached(registry, PLACE, digest, "sig", {
        mediaType: LAYER.simpleSigning,
        bytes: utf8("payload"),
        annotations: { [ANNOTATION.signature]: signature },
      }),
    ),
  );
  assert.equal((await listAttached(registry, PLACE, digest, "sig")).length, 3);
});
