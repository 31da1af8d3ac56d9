// SPDX-License-Identifier: Apache-2.0
/** Signed notes: what is read is written back, octet for octet. */
import { text, utf8 } from "../packages/core/src/bytes/index.ts";
import { formatNote, parseNote } from "../packages/core/src/codec/index.ts";

export const name = "note";

export const seeds: Uint8Array[] = [
  "log.example\n1\nOmTLlTEHG08np3VnEIFh4wY770eZqrXzwwyw7aSrmuM=\n\n— log.example AAAAAAA=\n— witness.example/w1 AQIDBAUGBwg=\n",
  "a\n\nb\n\n— k AAAAAAA=\n",
].map(utf8);

export function target(bytes: Uint8Array): void {
  const source = text(bytes);
  if (formatNote(parseNote(source)) !== source) throw new Error("a note is not written as it was read");
}
