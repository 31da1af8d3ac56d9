// SPDX-License-Identifier: Apache-2.0
/** Tile paths: one spelling each. */
import { text, utf8 } from "../packages/core/src/bytes/index.ts";
import { parseTilePath, tilePath } from "../packages/core/src/merkle/index.ts";

export const name = "tile-path";

export const seeds: Uint8Array[] = ["0/000", "1/x001/x234/067", "63/999.p/255", "entries/x001/000.p/1", "data/123"].map(utf8);

export function target(bytes: Uint8Array): void {
  const path = text(bytes);
  if (tilePath(parseTilePath(path)) !== path) throw new Error("a tile has two paths");
}
