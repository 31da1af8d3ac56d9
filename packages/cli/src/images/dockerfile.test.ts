// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { parseDockerfile } from "./dockerfile.ts";

const images = (text: string, given?: Readonly<Record<string, string>>): readonly string[] => parseDockerfile(text, given).images;

test("finds the images of FROM, COPY --from and RUN --mount, and no stage", () => {
  const text = `# a comment
FROM --platform=linux/amd64 golang:1.25 AS build
RUN --mount=type=cache,target=/x --mount=type=bind,from=tools:2,target=/t true
COPY --from=assets:3 /a /b
FROM build AS test
FROM scratch
COPY --from=BUILD /a /b
COPY --from=0 /a /b
FROM alpine:3
`;
  assert.deepEqual(images(text), ["golang:1.25", "tools:2", "assets:3", "alpine:3"]);
  assert.equal(parseDockerfile(text).base, "alpine:3");
  assert.equal(parseDockerfile("FROM a:1 AS x\nFROM x\n").base, "a:1");
  assert.equal(parseDockerfile("FROM scratch\n").base, undefined);
});

test("resolves arguments of before the first FROM, and those that are given", () => {
  const text = "ARG REG=r.example BASE\nARG NAME=${REG}/app\nFROM ${NAME}:${TAG:-v1}\nFROM $REG/x${BASE:+-slim}\n";
  assert.deepEqual(images(text), ["r.example/app:v1", "r.example/x"]);
  assert.deepEqual(images(text, { REG: "other.example", BASE: "1" }), ["other.example/app:v1", "other.example/x-slim"]);
  assert.deepEqual(images("ARG A=\"a b\"\nARG B='c'\nFROM ${B}\n"), ["c"]);
});

test("refuses what it cannot resolve: it would be used and not verified", () => {
  for (const text of [
    "ARG TAG\nFROM app:$TAG\n",
    "FROM app:${TAG}\n",
    "FROM base\nARG TAG=1\nFROM app:$TAG\n",
    "FROM app:${TAG:?no}\n",
    "FROM app:${TAG%x}\n",
    "FROM a AS\n",
    "FROM a b c\n",
    "FROM a\nCOPY --from=$X a b\n",
    "FROM a\nRUN --mount=type=bind,from=$X true\n",
    "FROM a\nONBUILD COPY --from=b:1 a b\n",
    "RUN true\n",
    "FROM a\n{}\n",
  ])
    assert.throws(() => parseDockerfile(text), { name: "CliError", code: "USAGE" }, text);
});

test("reads continued lines, escape directives, comments between them, and passes over here-documents", () => {
  assert.deepEqual(images("FROM \\\n# comment\n\n  a:1 \\\n  AS x\n"), ["a:1"]);
  assert.deepEqual(images("# escape=`\nFROM `\n  a:1\nRUN dir C:\\\nFROM b:1\n"), ["a:1", "b:1"]);
  assert.deepEqual(images("FROM a:1\nRUN <<EOF\nFROM fake\nEOF\nCOPY <<-'X' /y\nFROM fake\n\tX\nFROM b:1\n"), ["a:1", "b:1"]);
  // What looks like one and has no end hides nothing.
  assert.deepEqual(images("FROM a:1\nRUN echo $((1<<Y))\nFROM b:1\n"), ["a:1", "b:1"]);
});

test("takes names without regard to case, as Docker does, and instructions too", () => {
  assert.deepEqual(images("from a:1 as Build\ncopy --from=bUILD x y\n"), ["a:1"]);
});
