// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import test from "node:test";
import * as fc from "fast-check";
import { toHex } from "../bytes/index.ts";
import { LacreError, type LacreCode } from "../errors.ts";
import { formatNote, parseNote } from "./note.ts";

const NOTE =
  "log.lacre.example\n1\nOmTLlTEHG08np3VnEIFh4wY770eZqrXzwwyw7aSrmuM=\n\n— log.lacre.example atqHn1XNhgQVSMHC6FygZZruGRom8mJYSAZnQTGwHkdaCd5SvQG8MRUEFsZpgd+4WEVn+7yUZd+Z+1aL1nrCYoh2uA4=\n";

function refuses(code: LacreCode, text: string): void {
  assert.throws(
    () => parseNote(text),
    (error) => error instanceof LacreError && error.code === code,
    JSON.stringify(text),
  );
}

test("reads a note and writes it back byte for byte", () => {
  const note = parseNote(NOTE);
  assert.equal(note.text, "log.lacre.example\n1\nOmTLlTEHG08np3VnEIFh4wY770eZqrXzwwyw7aSrmuM=\n");
  assert.equal(note.signatures.length, 1);
  assert.equal(note.signatures[0]!.name, "log.lacre.example");
  assert.equal(toHex(note.signatures[0]!.keyHint), "6ada879f");
  assert.equal(note.signatures[0]!.signature.length, 64);
  assert.equal(formatNote(note), NOTE);
});

test("the last blank line divides", () => {
  assert.equal(parseNote("a\n\nb\n\n— k AAAAAAA=\n").text, "a\n\nb\n");
});

test("refuses every other form", () => {
  for (const wrong of [
    "",
    "\n",
    "a\n",
    "a\n\n",
    "a\n— k AAAAAAA=\n",
    NOTE.slice(0, -1),
    NOTE.replaceAll("\n", "\r\n"),
    `${NOTE}more\n`,
    `${NOTE}\n`,
    NOTE.replace("— ", "- "),
    NOTE.replace("— ", "—"),
    NOTE.replace("\n\n— log", "\n\n—  log"),
    "a\n\n— k+ AAAAAAA=\n",
    "a\n\n— k\u00a0l AAAAAAA=\n",
    "a\n\n—  AAAAAAA=\n",
    "a\n\n— k AAAAAAA= x\n",
    "a\n\n— k AAAAAA\n",
    "a\n\n— k AAAAAA==\n",
    "a\n\n— k AAAAAAB=\n",
    "a\u0000\n\n— k AAAAAAA=\n",
    "a\tb\n\n— k AAAAAAA=\n",
    "a\n\n— k AAAAAAA=\n\n",
    "\ud800\n\n— k AAAAAAA=\n",
    "a\n\n— k AAAAAAAAX",
    "x— k AAAAAAA=\n",
    "a\n\n— k\n",
    "a\n\n— \n",
  ])
    refuses("BAD_NOTE", wrong);
});

test("bounds the text and the number of signatures", () => {
  const signed = (text: string, lines: number): string => `${text}\n\n${"— k AAAAAAA=\n".repeat(lines)}`;
  assert.equal(parseNote(signed("a", 20)).signatures.length, 20);
  refuses("TOO_LARGE", signed("a", 21));
  const room = (64 << 10) - new TextEncoder().encode(signed("", 1)).length;
  assert.ok(parseNote(signed("a".repeat(room), 1)));
  refuses("TOO_LARGE", signed("a".repeat(room + 1), 1));
  assert.ok(parseNote(signed("é".repeat(room >> 1), 1)));
  refuses("TOO_LARGE", signed("é".repeat((room >> 1) + 1), 1));
  assert.ok(parseNote(signed("😀".repeat(room >> 2), 1)));
  refuses("TOO_LARGE", signed("😀".repeat((room >> 2) + 1), 1));
  refuses("TOO_LARGE", signed("€".repeat(30_000), 1));
});

test("what is written is read back", () => {
  const name = fc.string({ unit: "grapheme", minLength: 1 }).filter((value) => !/[\s+\u0000-\u001f\u007f]/u.test(value));
  const bytes = (min: number, max: number): fc.Arbitrary<Uint8Array> => fc.uint8Array({ minLength: min, maxLength: max });
  const signature = fc.record({ name, keyHint: bytes(4, 4), signature: bytes(1, 80) }, { noNullPrototype: true });
  const lines = fc.array(
    fc.string().filter((line) => !/[\u0000-\u001f\u007f]/.test(line)),
    { minLength: 1 },
  );
  fc.assert(
    fc.property(lines, fc.array(signature, { minLength: 1, maxLength: 20 }), (text, signatures) => {
      const note = { text: `${text.join("\n")}\n`, signatures };
      assert.deepEqual(parseNote(formatNote(note)), note);
    }),
  );
});

test("writing a note that could not be read is misuse", () => {
  const good = parseNote(NOTE);
  assert.throws(() => formatNote({ ...good, text: "no newline" }), TypeError);
  assert.throws(() => formatNote({ ...good, signatures: [{ ...good.signatures[0]!, name: "a b" }] }), TypeError);
});
