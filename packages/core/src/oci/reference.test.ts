// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import test from "node:test";
import * as fc from "fast-check";
import { LacreError } from "../errors.ts";
import { formatReference, formatRepository, parseReference, parseRepository } from "./reference.ts";

const SHA256 = `sha256:${"ab".repeat(32)}`;
const SHA512 = `sha512:${"cd".repeat(64)}`;

test("reads references as go-containerregistry does", () => {
  const cases: readonly (readonly [string, string, string, string | undefined, string | undefined])[] = [
    ["alpine", "index.docker.io", "library/alpine", "latest", undefined],
    ["alpine:3", "index.docker.io", "library/alpine", "3", undefined],
    ["user/app", "index.docker.io", "user/app", "latest", undefined],
    ["docker.io/alpine", "index.docker.io", "library/alpine", "latest", undefined],
    ["index.docker.io/user/app:v1", "index.docker.io", "user/app", "v1", undefined],
    ["host:80", "index.docker.io", "library/host", "80", undefined],
    ["localhost/app", "localhost", "app", "latest", undefined],
    ["localhost:5000/app:v1", "localhost:5000", "app", "v1", undefined],
    ["registry.example.com/a/b/c", "registry.example.com", "a/b/c", "latest", undefined],
    ["registry.example.com:443/a:x.y-z_1", "registry.example.com:443", "a", "x.y-z_1", undefined],
    ["[::1]:5000/app", "[::1]:5000", "app", "latest", undefined],
    [`registry.example.com/app@${SHA256}`, "registry.example.com", "app", undefined, SHA256],
    [`registry.example.com/app:v1@${SHA256}`, "registry.example.com", "app", "v1", SHA256],
    [`app@${SHA512}`, "index.docker.io", "library/app", undefined, SHA512],
    ["registry.example.com/a__b/c---d/e.f_g", "registry.example.com", "a__b/c---d/e.f_g", "latest", undefined],
  ];
  for (const [text, registry, repository, tag, digest] of cases) {
    const expected = {
      registry,
      repository,
      ...(tag === undefined ? {} : { tag }),
      ...(digest === undefined ? {} : { digest }),
    };
    assert.deepEqual(parseReference(text), expected, text);
  }
});

test("refuses what the grammar does not have", () => {
  for (const text of [
    "",
    ":v1",
    "/app",
    "App",
    "registry.example.com/App",
    "registry.example.com/",
    "registry.example.com//app",
    "registry.example.com/app/",
    "registry.example.com/app:",
    "registry.example.com/app:.v1",
    "registry.example.com/app:-v1",
    `registry.example.com/app:${"v".repeat(129)}`,
    "registry.example.com/app:v1:v2",
    "registry.example.com/a..b",
    "registry.example.com/a___b",
    "registry.example.com/-a",
    "registry.example.com/a-",
    "registry.example.com/../app",
    "registry.example.com/app?x",
    "registry.example.com/app#x",
    "registry.example.com/app v1",
    "registry.example.com/app\n",
    "registry.example.com:99999/app",
    "registry.example.com:/app",
    "registry.example.com:080/app",
    "0x7f.1/app",
    "1.2.3.999/app",
    "[1:2:cdcdcd::3]/app",
    "-registry.example.com/app",
    "registry..example.com/app",
    "user@registry.example.com/app",
    "https://registry.example.com/app",
    "registry.example.com/app@sha256:ab",
    `registry.example.com/app@sha256:${"AB".repeat(32)}`,
    `registry.example.com/app@sha1:${"ab".repeat(20)}`,
    `registry.example.com/app@md5:${"ab".repeat(16)}`,
    `registry.example.com/app@${SHA256}@${SHA256}`,
    `registry.example.com/${"a".repeat(256)}`,
  ]) {
    assert.throws(
      () => parseReference(text),
      (error) => error instanceof LacreError && error.code === "REFERENCE_INVALID",
      JSON.stringify(text),
    );
  }
});

test("what is written is read back, and a digest wins over a tag", () => {
  const part = fc.stringMatching(/^[a-z0-9]{1,8}(?:[._-][a-z0-9]{1,4}){0,2}$/);
  fc.assert(
    fc.property(
      fc.constantFrom("registry.example.com", "localhost:5000", "10.0.0.1:80", "index.docker.io"),
      fc.array(part, { minLength: 2, maxLength: 4 }),
      fc.option(fc.stringMatching(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}$/), { nil: undefined }),
      fc.option(fc.constantFrom(SHA256, SHA512), { nil: undefined }),
      (registry, parts, tag, digest) => {
        const repository = parts.join("/");
        const text = `${registry}/${repository}${tag === undefined ? "" : `:${tag}`}${digest === undefined ? "" : `@${digest}`}`;
        const reference = parseReference(text);
        assert.equal(reference.repository, repository);
        assert.deepEqual(parseReference(formatReference(reference)).digest, digest);
        assert.deepEqual(parseRepository(formatRepository(reference)), { registry, repository });
        assert.equal(formatReference(reference).includes("@"), digest !== undefined);
      },
    ),
  );
});
