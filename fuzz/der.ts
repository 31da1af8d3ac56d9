// SPDX-License-Identifier: Apache-2.0
/** DER: every value that is read, at any depth, is written back as it was. */
import { concat, equalBytes } from "../packages/core/src/bytes/index.ts";
import { der } from "../packages/core/src/codec/index.ts";
import { LacreError } from "../packages/core/src/errors.ts";

export const name = "der";

export const seeds: Uint8Array[] = [
  der.sequence(
    der.integer(0x1234567890abcdefn),
    der.oid("1.2.840.10045.4.3.2"),
    der.boolean(true),
    der.nil(),
    der.octets(new Uint8Array(200)),
    der.bits(Uint8Array.of(1, 2)),
    der.flags(0, 5, 6),
    der.utf8String("é"),
    der.printableString("lacre"),
    der.time(1_700_000_000_000),
    der.generalizedTime(4_000_000_000_000),
    der.context(0, der.setOf(der.integer(1), der.integer(300))),
    der.contextPrimitive(6, Uint8Array.of(0x61)),
  ),
];

const READERS: readonly ((value: der.Der) => unknown)[] = [
  der.readBoolean,
  der.readIntegerBytes,
  der.readUnsigned,
  der.readSmall,
  der.readOctets,
  der.readBits,
  der.readFlags,
  der.readString,
  der.readTimeMs,
];

function walk(bytes: Uint8Array, depth: number): void {
  const reader = new der.DerReader(bytes);
  while (!reader.done) {
    const value = reader.next();
    if (!equalBytes(der.der(value.tag, value.content), value.whole)) throw new Error("a value has two encodings");
    for (const read of READERS) {
      try {
        read(value);
      } catch (error) {
        if (!(error instanceof LacreError)) throw error;
      }
    }
    if (value.tag === der.TAG.oid) {
      const dotted = der.readOid(value);
      if (!equalBytes(der.oid(dotted), value.whole)) throw new Error("an OID has two encodings");
    }
    if ((value.tag & 0x20) !== 0 && depth < 100) walk(value.content, depth + 1);
  }
  reader.end();
}

export function target(bytes: Uint8Array): void {
  walk(bytes, 0);
  der.decodeDer(concat(bytes));
}
