// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import test from "node:test";
import canonicalize from "canonicalize";
import * as fc from "fast-check";
import { LacreError, type LacreCode } from "../errors.ts";
import { utf8 } from "../bytes/index.ts";
import { canonicalJson, JsonObject, parseJson, type Json } from "./json.ts";

function refuses(code: LacreCode, run: () => unknown): void {
  assert.throws(run, (error) => error instanceof LacreError && error.code === code);
}

test("reads what JSON.parse reads", () => {
  fc.assert(
    fc.property(fc.json({ maxDepth: 5 }), (source) => {
      assert.deepEqual(parseJson(source), JSON.parse(source));
      assert.deepEqual(parseJson(utf8(source)), JSON.parse(source));
    }),
  );
});

test("refuses what JSON.parse refuses, with a code", () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...'{}[]:,"\\u00e9ab1.- \n', "\\u", "true")), (parts) => {
      const source = parts.join("");
      let expected: unknown;
      try {
        expected = JSON.parse(source);
      } catch {
        assert.throws(() => parseJson(source), LacreError);
        return;
      }
      assert.deepEqual(parseJson(source), expected);
    }),
    { numRuns: 2000 },
  );
});

test("refuses duplicate names, also when one is escaped", () => {
  refuses("BAD_JSON", () => parseJson('{"a":1,"a":2}'));
  refuses("BAD_JSON", () => parseJson('{"a":1,"\\u0061":2}'));
  refuses("BAD_JSON", () => parseJson('{"x":[{"a":{"b":1},"c":[],"a":2}]}'));
  refuses("BAD_JSON", () => parseJson('{"__proto__":1,"__proto__":2}'));
  refuses("BAD_JSON", () => parseJson('{"\\"":1,"\\u0022":2}'));
});

test("equal names in different objects, and values that look like names, are fine", () => {
  assert.deepEqual(parseJson('[{"a":"a"},{"a":"a","b":{"a":"b"}},{"b":["a","a"]}]'), [
    { a: "a" },
    { a: "a", b: { a: "b" } },
    { b: ["a", "a"] },
  ]);
  assert.deepEqual(parseJson('{"a":{"b":1,"c":2},"b":{"b":1}}'), { a: { b: 1, c: 2 }, b: { b: 1 } });
  assert.deepEqual(parseJson('{"a":"x:\\"a\\":{","b":"\\\\"}'), { a: 'x:"a":{', b: "\\" });
});

test("bounds size and depth before parsing", () => {
  const nested = (depth: number): string => "[".repeat(depth) + "]".repeat(depth);
  parseJson(nested(64));
  refuses("TOO_LARGE", () => parseJson(nested(65)));
  refuses("TOO_LARGE", () => parseJson("[".repeat(1_000_000)));
  refuses("TOO_LARGE", () => parseJson('{"a":'.repeat(65) + "1" + "}".repeat(65)));
  parseJson("[1]", { maxBytes: 3 });
  refuses("TOO_LARGE", () => parseJson("[1] ", { maxBytes: 3 }));
  refuses("TOO_LARGE", () => parseJson(utf8('"é"'), { maxBytes: 3 }));
});

test("refuses a byte order mark and bytes that are not UTF-8", () => {
  refuses("BAD_JSON", () => parseJson(utf8("\ufeff{}")));
  refuses("BAD_JSON", () => parseJson("\ufeff{}"));
  refuses("BAD_UTF8", () => parseJson(Uint8Array.of(0x22, 0xff, 0x22)));
  refuses("BAD_UTF8", () => parseJson(Uint8Array.of(0x22, 0xed, 0xa0, 0x80, 0x22)));
});

test("__proto__ is a name like another and poisons nothing", () => {
  const value = parseJson('{"__proto__":{"polluted":1},"constructor":2}');
  assert.equal(({} as Record<string, unknown>)["polluted"], undefined);
  const object = new JsonObject(value, "it");
  assert.deepEqual(object.keys(), ["__proto__", "constructor"]);
  assert.equal(object.get("polluted"), undefined);
  assert.equal(object.get("toString"), undefined);
  assert.equal(object.object("__proto__").int64("polluted"), 1n);
  assert.equal(canonicalJson(value), '{"__proto__":{"polluted":1},"constructor":2}');
});

test("works in linear time on hostile text", () => {
  // Quadratic work on these would take minutes.
  for (const source of [
    '"' + "\\".repeat(2_000_000),
    '"' + '\\"'.repeat(1_000_000),
    '{"a":1},'.repeat(500_000),
    '":'.repeat(1_000_000),
    "[{".repeat(30) + '"a":'.repeat(1_000_000),
  ]) {
    assert.throws(() => parseJson(source), LacreError);
  }
  const many = `{${Array.from({ length: 200_000 }, (_, i) => `"k${i}":0`).join(",")}}`;
  assert.equal(Object.keys(parseJson(many) as object).length, 200_000);
});

test("canonical form agrees with the canonicalize package and with RFC 8785's examples", () => {
  const wellFormed = fc.string({ unit: "binary" });
  const value = fc.letrec((tie) => ({
    any: fc.oneof(
      { maxDepth: 4 },
      wellFormed,
      fc.double({ noNaN: true, noDefaultInfinity: true }),
      fc.boolean(),
      fc.constant(null),
      fc.integer(),
      fc.array(tie("any"), { maxLength: 4 }),
      fc.dictionary(fc.oneof(wellFormed, fc.string()), tie("any"), { maxKeys: 5 }),
    ),
  })).any;
  fc.assert(
    fc.property(value, (any) => {
      const ours = canonicalJson(any as Json);
      assert.equal(ours, canonicalize(any));
      assert.deepEqual(canonicalJson(parseJson(ours)), ours);
    }),
  );
  assert.equal(
    canonicalJson(
      parseJson(
        '{"numbers":[333333333.33333329,1E30,4.50,2e-3,0.000000000000000000000000001],"string":"\\u20ac$\\u000F\\u000aA\'\\u0042\\u0022\\u005c\\\\\\"\\/","literals":[null,true,false]}',
      ),
    ),
    '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}',
  );
  assert.equal(
    canonicalJson({ "\ufb33": 1, "\ud83d\ude00": 2, "\u20ac": 3, "\r": 4, "1": 5 }),
    '{"\\r":4,"1":5,"€":3,"😀":2,"\ufb33":1}',
  );
  assert.equal(canonicalJson([-0, "<>&"]), '[0,"<>&"]');
});

test("canonical form refuses lone surrogates and numbers that are not finite", () => {
  refuses("BAD_JSON", () => canonicalJson(parseJson('"\\ud800"')));
  refuses("BAD_JSON", () => canonicalJson(parseJson('{"\\udc00":1}')));
  refuses("BAD_JSON", () => canonicalJson(parseJson("1e999")));
  let deep: Json = 1;
  for (let i = 0; i < 100_000; i++) deep = [deep];
  refuses("TOO_LARGE", () => canonicalJson(deep));
  assert.throws(() => canonicalJson({ a: undefined } as unknown as Json), TypeError);
});

test("members: null is absent, both spellings are refused, own properties only", () => {
  const object = new JsonObject(parseJson('{"a":null,"logIndex":"1","tree_size":"2","x":1,"y_z":2,"yZ":3,"s":"t"}'), "it");
  assert.equal(object.has("a"), false);
  assert.equal(object.int64("logIndex", "log_index"), 1n);
  assert.equal(object.int64("treeSize", "tree_size"), 2n);
  refuses("BAD_JSON", () => object.int64("yZ", "y_z"));
  refuses("BAD_JSON", () => object.string("missing"));
  refuses("BAD_JSON", () => object.string("x"));
  refuses("BAD_JSON", () => object.array("x"));
  refuses("BAD_JSON", () => object.object("s"));
  refuses("BAD_JSON", () => object.boolean("x"));
  refuses("BAD_JSON", () => object.refuseUnknown(["a", "logIndex", "tree_size"]));
  assert.deepEqual(new JsonObject(parseJson('{"a":1,"b":2,"c":null}'), "it").unread(), ["a", "b", "c"]);
  const read = new JsonObject(parseJson('{"a":1,"b":2,"c":null}'), "it");
  read.get("a");
  read.get("cc", "c");
  assert.deepEqual(read.unread(), ["b"]);
  const root = new JsonObject(parseJson('{"a":{"b":[{"c":1,"d":2},{"e":3}]},"f":{"g":1}}'), "it");
  for (const object of root.object("a").objects(2, "b")) object.get("c");
  assert.deepEqual(root.unreadPaths(), ["it.f", "it.a.b[0].d", "it.a.b[1].e"]);
  refuses("TOO_LARGE", () => root.object("a").objects(1, "b"));
  assert.deepEqual(root.objects(0, "none"), []);
  refuses("BAD_JSON", () => root.objects(1, "f"));
  for (const wrong of ["null", "[]", '"x"', "1", "true"]) refuses("BAD_JSON", () => new JsonObject(parseJson(wrong), "it"));
});

test("the path of a refusal leads to the member", () => {
  const object = new JsonObject(parseJson('{"a":{"b":{"c":1}}}'), "bundle");
  assert.throws(() => object.object("a").object("b").string("c"), /bundle\.a\.b\.c is not string/);
});

test("64-bit integers are exact, unsigned, and spelled one way", () => {
  const int = (source: string): bigint => new JsonObject(parseJson(`{"n":${source}}`), "it").int64("n");
  assert.equal(int('"9223372036854775807"'), 9223372036854775807n);
  assert.equal(int("9007199254740991"), 9007199254740991n);
  assert.equal(int('"0"'), 0n);
  for (const wrong of [
    "-1",
    '"-1"',
    "1.5",
    '"1.0"',
    '"1e3"',
    "9007199254740992",
    "9007199254740993",
    '"9223372036854775808"',
    '"01"',
    '"+1"',
    '""',
    '" 1"',
    '"0x1"',
    "1e40",
    "true",
    "[]",
    '"99999999999999999999999999"',
  ]) {
    refuses("BAD_JSON", () => int(wrong));
  }
});

test("bytes are strict base64; loose bytes take every spelling of protobuf's parsers", () => {
  const object = new JsonObject(parseJson('{"a":"+/8=","b":"-_8","c":"+/8","d":"+/9=","e":" +/8=","f":"\\ud800","g":"A"}'), "it");
  assert.deepEqual(object.bytes("a"), Uint8Array.of(0xfb, 0xff));
  for (const wrong of ["b", "c", "d", "e", "g"]) refuses("BAD_BASE64", () => object.bytes(wrong));
  refuses("BAD_JSON", () => object.bytes("f"));
  for (const good of ["a", "b", "c"]) assert.deepEqual(object.looseBytes(good), Uint8Array.of(0xfb, 0xff));
  for (const wrong of ["d", "e", "g"]) refuses("BAD_BASE64", () => object.looseBytes(wrong));
  const lists = new JsonObject(parseJson('{"a":["AA==",""],"b":["AA"],"c":[1],"d":"AA=="}'), "it");
  assert.deepEqual(lists.bytesArray("a"), [Uint8Array.of(0), new Uint8Array(0)]);
  assert.deepEqual(lists.bytesArray("none"), []);
  refuses("BAD_BASE64", () => lists.bytesArray("b"));
  refuses("BAD_JSON", () => lists.bytesArray("c"));
  refuses("BAD_JSON", () => lists.bytesArray("d"));
});
