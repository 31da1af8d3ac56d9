// SPDX-License-Identifier: Apache-2.0
/** The value of a name constraints extension. */
import { fromHex } from "../packages/core/src/bytes/index.ts";
import { readNameConstraints } from "../packages/core/src/x509/constraints.ts";

export const name = "name-constraints";

export const seeds: Uint8Array[] = [
  // permitted: dNSName example.com, directoryName O=Example; excluded: iPAddress 10.0.0.0/8
  fromHex("3033a023300d820b6578616d706c652e636f6d3012a410300e310c300a060355040a0c034f7267a10c300a87080a000000ff000000"),
  // permitted: rfc822Name example.com, URI .example.com
  fromHex("3021a01f300d810b6578616d706c652e636f6d300e860c2e6578616d706c652e636f6d"),
];

export function target(bytes: Uint8Array): void {
  readNameConstraints(bytes);
}
