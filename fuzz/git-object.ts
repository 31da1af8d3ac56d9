// SPDX-License-Identifier: Apache-2.0
import { readFileSync } from "node:fs";
import { openGitSignature, parseSignedObject } from "@lacre/core/git";

export const name = "git-object";
export const seeds = (): Uint8Array[] =>
  ["offline.commit", "timestamp.commit", "offline.tag"].map(
    (file) => new Uint8Array(readFileSync(new URL(`../vectors/gitsign/${file}`, import.meta.url))),
  );
export function target(bytes: Uint8Array): void {
  openGitSignature(parseSignedObject(bytes));
}
