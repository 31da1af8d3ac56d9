// SPDX-License-Identifier: Apache-2.0
/**
 * SHA-1 (FIPS 180-4), for one use: the signingCertificate attribute of RFC 2634, in which older timestamp authorities
 * name their certificate. There it selects among certificates that must still prove themselves by signature and path;
 * it is no proof of anything here, and no other room may use it.
 */
import { concat } from "../bytes/index.ts";

const ROUNDS = [
  { constant: 0x5a827999, mix: (b: number, c: number, d: number) => (b & c) | (~b & d) },
  { constant: 0x6ed9eba1, mix: (b: number, c: number, d: number) => b ^ c ^ d },
  { constant: 0x8f1bbcdc, mix: (b: number, c: number, d: number) => (b & c) | (b & d) | (c & d) },
  { constant: 0xca62c1d6, mix: (b: number, c: number, d: number) => b ^ c ^ d },
];

function rotate(word: number, by: number): number {
  return (word << by) | (word >>> (32 - by));
}

/** The digest of a short message. */
export function sha1(message: Uint8Array): Uint8Array {
  const blocks = (message.length + 9 + 63) >> 6;
  const padded = concat(message, new Uint8Array(blocks * 64 - message.length));
  const view = new DataView(padded.buffer, padded.byteOffset, padded.length);
  padded[message.length] = 0x80;
  view.setUint32(padded.length - 8, Math.floor(message.length / 0x20000000));
  view.setUint32(padded.length - 4, message.length << 3);

  const state = [0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0];
  const words = new Int32Array(80);
  for (let block = 0; block < padded.length; block += 64) {
    for (let i = 0; i < 16; i++) words[i] = view.getInt32(block + 4 * i);
    for (let i = 16; i < 80; i++) words[i] = rotate(words[i - 3]! ^ words[i - 8]! ^ words[i - 14]! ^ words[i - 16]!, 1);
    let [a, b, c, d, e] = state as [number, number, number, number, number];
    for (let i = 0; i < 80; i++) {
      const { constant, mix } = ROUNDS[Math.floor(i / 20)]!;
      [a, b, c, d, e] = [(rotate(a, 5) + mix(b, c, d) + e + constant + words[i]!) | 0, a, rotate(b, 30), c, d];
    }
    for (const [i, word] of [a, b, c, d, e].entries()) state[i] = (state[i]! + word) | 0;
  }
  const digest = new Uint8Array(20);
  const out = new DataView(digest.buffer);
  for (const [i, word] of state.entries()) out.setInt32(4 * i, word);
  return digest;
}
