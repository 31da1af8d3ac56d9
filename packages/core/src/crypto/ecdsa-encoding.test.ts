// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { integer, openDer, readIntegerBytes, sequence, TAG } from "../codec/der.ts";
import { LacreError } from "../errors.ts";
import { CURVES } from "./curve.ts";
import { fromOctets } from "./numbers.ts";
import { checkEcdsaEncoding } from "./verify.ts";

test("the encoding of an ECDSA signature is read in place as by way of DER and numbers", () => {
  const good = (r: bigint, s: bigint): Uint8Array => sequence(integer(r), integer(s));
  const verdictOf = (check: () => void): string => {
    try {
      check();
      return "good";
    } catch (error) {
      if (!(error instanceof LacreError)) throw error;
      return error.message;
    }
  };
  const byNumbers = (signature: Uint8Array, order: bigint): void => {
    let numbers: bigint[];
    try {
      const fields = openDer(signature);
      numbers = [readIntegerBytes(fields.next(TAG.integer)), readIntegerBytes(fields.next(TAG.integer))].map((bytes) =>
        bytes[0]! >= 0x80 ? -1n : fromOctets(bytes),
      );
      fields.end();
    } catch (cause) {
      throw new LacreError("SIGNATURE_INVALID", "ECDSA signature is not strict DER", { cause });
    }
    if (numbers.some((number) => number < 1n || number >= order))
      throw new LacreError("SIGNATURE_INVALID", "ECDSA signature has a number out of range");
  };
  for (const { name, n, octets } of Object.values(CURVES)) {
    const number = fc.oneof(
      fc.constantFrom(0n, 1n, 127n, 128n, 255n, n - 1n, n, n + 1n, 2n ** BigInt(8 * octets) - 1n, 2n ** BigInt(8 * octets)),
      fc.bigInt({ min: 0n, max: n }),
    );
    const change = fc.record({ at: fc.nat(), octet: fc.constantFrom(0, 1, 2, 0x30, 0x7f, 0x80, 0x81, 0xff), cut: fc.nat(3) });
    fc.assert(
      fc.property(number, number, fc.array(change, { maxLength: 2 }), (r, s, changes) => {
        let signature = good(r, s);
        for (const { at, octet, cut } of changes) {
          signature[at % signature.length] = octet;
          if (cut === 1) signature = signature.subarray(0, -1);
          if (cut === 2) signature = Uint8Array.of(...signature, octet);
        }
        assert.equal(
          verdictOf(() => checkEcdsaEncoding(signature, name)),
          verdictOf(() => byNumbers(signature, n)),
          Buffer.from(signature).toString("hex"),
        );
      }),
      { numRuns: 2000 },
    );
  }
});
