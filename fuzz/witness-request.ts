// SPDX-License-Identifier: Apache-2.0
/** Requests to a witness, and what a witness answers: read, and written back as they were. */
import { formatWitnessRequest, parseWitnessRequest } from "../packages/core/src/bundle/index.ts";
import { text, utf8 } from "../packages/core/src/bytes/index.ts";
import { formatSignatureLine, parseSignatureLines } from "../packages/core/src/codec/index.ts";
import { LacreError } from "../packages/core/src/errors.ts";

export const name = "witness-request";

export const seeds: Uint8Array[] = [
  "old 0\n\nlog.example\n1\nOmTLlTEHG08np3VnEIFh4wY770eZqrXzwwyw7aSrmuM=\n\n— log.example AAAAAAA=\n",
  "old 20852014\nPlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=\n\nlog.example\n1\nOmTLlTEHG08np3VnEIFh4wY770eZqrXzwwyw7aSrmuM=\n\n— log.example AAAAAAA=\n— w AAAAAAA=\n",
  "— witness.example/w1 AQIDBAUGBwg=\n— witness.example/w2 AQIDBAUGBwg=\n",
].map(utf8);

export function target(bytes: Uint8Array): void {
  const source = text(bytes);
  let lines;
  try {
    lines = parseSignatureLines(source);
  } catch (error) {
    if (!(error instanceof LacreError)) throw error;
  }
  if (lines !== undefined && lines.map(formatSignatureLine).join("") !== source)
    throw new Error("signature lines are not written as they were read");
  if (formatWitnessRequest(parseWitnessRequest(source)) !== source) throw new Error("a request is not written as it was read");
}
