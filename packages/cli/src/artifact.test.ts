// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { parseArtifact, parseBlob, parseDigest } from "./artifact.ts";
import { type CliCode, CliError } from "./errors.ts";

const cwd = mkdtempSync(join(tmpdir(), "lacre-artifact-"));
after(() => rmSync(cwd, { recursive: true }));
for (const name of ["app", "app:v1", "registry.example"]) writeFileSync(join(cwd, name), "");
mkdirSync(join(cwd, "dist"));
writeFileSync(join(cwd, "dist/app"), "");
const digest = `sha256:${"ab".repeat(32)}`;
writeFileSync(join(cwd, `sha256:${"cd".repeat(32)}`), "");

const kind = (name: string, hasBundle: boolean): string => {
  const artifact = parseArtifact(name, { cwd, hasBundle });
  return artifact.kind === "image" ? `image ${artifact.reference}` : artifact.kind;
};

function refused(code: CliCode, work: () => unknown): CliError {
  try {
    work();
  } catch (error) {
    assert.ok(error instanceof CliError);
    assert.equal(error.code, code);
    return error;
  }
  return assert.fail("accepted");
}

test("spelled paths are files, with and without a bundle", () => {
  for (const name of ["./app", "../x", "/etc/hostname", "file:app", ".", ".."]) {
    for (const hasBundle of [true, false]) assert.equal(kind(name, hasBundle), "file", name);
  }
});

test("spelled references are images", () => {
  assert.equal(kind("oci://app", true), "image app");
  assert.equal(kind(`app2@${digest}`, true), `image app2@${digest}`);
  assert.equal(kind("registry.example/app", false), "image registry.example/app");
  assert.equal(kind("localhost:5000/app", false), "image localhost:5000/app");
  assert.equal(kind("localhost/app", false), "image localhost/app");
  assert.equal(kind("alpine:3.20", false), "image alpine:3.20");
});

test("a bare name is a file with a bundle, if it exists", () => {
  assert.equal(kind("app", true), "file");
  assert.equal(kind("dist/app", true), "file");
  refused("FILE_UNREADABLE", () => kind("missing", true));
});

test("a bare name is an image without a bundle", () => {
  assert.equal(kind("alpine", false), "image alpine");
  assert.equal(kind("library/alpine", false), "image library/alpine");
});

test("what can be both is refused with both spellings", () => {
  for (const [name, hasBundle] of [
    ["app", false],
    ["app:v1", true],
    ["dist/app", false],
  ] as const) {
    const error = refused("AMBIGUOUS_ARTIFACT", () => kind(name, hasBundle));
    assert.match(error.hint, new RegExp(`\\./${name} .*oci://${name}`));
    assert.equal(error.status, 2);
  }
});

test("a digest is a digest unless a file has its name", () => {
  assert.equal(kind(digest, true), "digest");
  assert.equal(kind(`sha512:${"ab".repeat(64)}`, true), "digest");
  assert.equal(parseBlob(digest, cwd).kind, "digest");
  assert.equal(parseBlob(`sha256:${"cd".repeat(32)}`, cwd).kind, "file");
  refused("USAGE", () => parseDigest("sha256:abcd"));
  refused("USAGE", () => parseDigest(`sha512:${"ab".repeat(32)}`));
  assert.equal(parseDigest(`sha1:${"ab".repeat(20)}`), undefined);
});

test("operands of the blob commands are files whatever they look like", () => {
  for (const name of ["app:v1", "registry.example/app", "alpine"]) assert.equal(parseBlob(name, cwd).kind, "file");
  assert.equal(parseBlob("-", cwd).kind, "stdin");
});

test("an empty name is refused", () => void refused("USAGE", () => kind("", true)));
