// SPDX-License-Identifier: Apache-2.0
/** Bytes and their usual spellings. Everything here is total: bad input is a LacreError, never a wrong answer. */
export { ByteReader, ByteWriter } from "./cursor.ts";
export { concat, compareBytes, equalBytes } from "./compare.ts";
export { fromBase64, fromHex, text, toBase64, toHex, utf8 } from "./text.ts";
