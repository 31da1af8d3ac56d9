// SPDX-License-Identifier: Apache-2.0
/**
 * A signed commit or tag, as `git cat-file commit|tag` prints it: which octets were signed, and the signature.
 *
 *     commit   header lines, among them `gpgsig ` with the first line of the signature, its others behind one space each;
 *              an empty line; the message. Signed is all of it but the lines of that header.
 *     tag      header lines, an empty line, the message; the signature is its end, from the line that begins it.
 *              Signed is all before it.
 *
 * The signed octets are cut out of those given and never written anew: what a reader understands of a commit and what was
 * signed must not be able to differ (CVE-2026-44309). An object with two signatures, or with one for the other hash
 * function, is refused: Git leaves more than one header out of what it signs, and what else it left out nobody vouches for.
 */
import { concat, text, utf8 } from "../bytes/index.ts";
import { LacreError } from "../errors.ts";

/** A commit or tag taken apart. */
export interface SignedObject {
  readonly kind: "commit" | "tag";
  /** The octets that were signed. */
  readonly payload: Uint8Array;
  /** The signature in its armour. */
  readonly signature: string;
}

const MAX_OBJECT = 16 << 20;
const MAX_SIGNATURE = 1 << 20;
const BEGIN = "-----BEGIN SIGNED MESSAGE-----";
const LINE_END = 0x0a;
const SPACE = 0x20;

function invalid(message: string): LacreError {
  return new LacreError("GIT_OBJECT_INVALID", message);
}

function unsigned(kind: string): LacreError {
  return new LacreError("GIT_UNSIGNED", `the ${kind} has no signature that can be read here`, {
    expected: BEGIN,
  });
}

interface Line {
  /** From here to before `end` with its line end. */
  readonly start: number;
  readonly end: number;
  readonly octets: Uint8Array;
}

/** Lines up to the first empty one, which is not among them. */
function headerLines(bytes: Uint8Array): readonly Line[] {
  const lines: Line[] = [];
  for (let start = 0; ;) {
    const end = bytes.indexOf(LINE_END, start);
    if (end < 0) throw invalid("the object's header has no end");
    if (end === start) return lines;
    lines.push({ start, end: end + 1, octets: bytes.subarray(start, end) });
    start = end + 1;
  }
}

function startsWith(octets: Uint8Array, word: string): boolean {
  for (let at = 0; at < word.length; at++) if (octets[at] !== word.charCodeAt(at)) return false;
  return true;
}

/** Takes an object apart. Throws GIT_UNSIGNED, GIT_OBJECT_INVALID, TOO_LARGE beyond 16 MiB, BAD_UTF8 for the signature. */
export function parseSignedObject(bytes: Uint8Array): SignedObject {
  if (bytes.length > MAX_OBJECT) throw new LacreError("TOO_LARGE", "the object is larger than 16 MiB");
  if (startsWith(bytes, "tree ")) return parseCommit(bytes);
  if (startsWith(bytes, "object ")) return parseTag(bytes);
  throw invalid("the octets are neither a commit nor a tag");
}

function parseCommit(bytes: Uint8Array): SignedObject {
  const lines = headerLines(bytes);
  const first = lines.findIndex(({ octets }) => startsWith(octets, "gpgsig "));
  const others = lines.filter(({ octets }, at) => at !== first && startsWith(octets, "gpgsig"));
  if (others.length > 0) throw invalid("the commit has more than one signature");
  if (first < 0) throw unsigned("commit");
  let last = first;
  while (lines[last + 1]?.octets[0] === SPACE) last++;
  const signature = lines.slice(first, last + 1).map(({ octets }, at) => octets.subarray(at === 0 ? "gpgsig ".length : 1));
  return {
    kind: "commit",
    payload: concat(bytes.subarray(0, lines[first]!.start), bytes.subarray(lines[last]!.end)),
    signature: armour(concat(...signature.flatMap((line) => [line, Uint8Array.of(LINE_END)])), "commit"),
  };
}

function parseTag(bytes: Uint8Array): SignedObject {
  const lines = headerLines(bytes);
  if (lines.some(({ octets }) => startsWith(octets, "gpgsig")))
    throw invalid("the tag has a signature for another hash function");
  const begin = utf8(BEGIN);
  const places: number[] = [];
  for (let at = (lines.at(-1)?.end ?? 0) + 1; at > 0 && at < bytes.length; at = bytes.indexOf(LINE_END, at) + 1)
    if (startsWith(bytes.subarray(at, at + begin.length), BEGIN)) places.push(at);
  if (places.length > 1) throw invalid("the tag has more than one signature");
  const [at] = places;
  if (at === undefined) throw unsigned("tag");
  return { kind: "tag", payload: bytes.subarray(0, at), signature: armour(bytes.subarray(at), "tag") };
}

function armour(bytes: Uint8Array, kind: string): string {
  if (bytes.length > MAX_SIGNATURE) throw new LacreError("TOO_LARGE", "the signature is larger than 1 MiB");
  if (!startsWith(bytes, BEGIN)) throw unsigned(kind);
  return text(bytes);
}
