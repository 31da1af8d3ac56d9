// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { listManifestImages } from "./manifests.ts";

test("finds the images of all containers of all documents, and of volumes", () => {
  const text = `
kind: Deployment
spec:
  template:
    spec:
      initContainers: [{name: a, image: "r.example/init:1"}]
      containers: [{name: b, image: r.example/app:1}, {name: c, image: r.example/app:1}]
      volumes: [{name: v, image: {reference: r.example/data:1}}, {name: w, emptyDir: {}}]
---
kind: List
items:
  - kind: CronJob
    spec: {jobTemplate: {spec: {template: {spec: {ephemeralContainers: [{image: r.example/debug:1}], containers: []}}}}}
---
`;
  assert.deepEqual(listManifestImages(text, "f"), [
    "r.example/init:1",
    "r.example/app:1",
    "r.example/data:1",
    "r.example/debug:1",
  ]);
});

test("refuses a container without image, and what is not YAML", () => {
  for (const text of ["spec: {containers: [{name: a}]}", "spec: {containers: [{image: ''}]}", "a: [", "a: 1\na: 2\n"])
    assert.throws(() => listManifestImages(text, "f"), { name: "CliError", code: "USAGE" }, text);
});

test("bounds what aliases can unfold to", () => {
  const text = [
    "a: &a [x,x,x,x,x,x,x,x,x]",
    ...[..."bcdefghi"].map((name, at) => `${name}: &${name} [${`*${"abcdefgh"[at]!},`.repeat(9)}]`),
  ].join("\n");
  assert.throws(() => listManifestImages(text, "f"), { name: "CliError" });
});
