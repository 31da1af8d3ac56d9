// SPDX-License-Identifier: Apache-2.0
/**
 * Signed notes (C2SP signed-note): a text, a blank line, signature lines.
 *
 *     log.example.org⏎
 *     42⏎
 *     CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=⏎
 *     ⏎
 *     — log.example.org Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=⏎
 *
 * What is signed is the text with its final newline, byte for byte. The base64 is four octets of key hint and the
 * signature. The text may hold blank lines: the last one divides. What the text says is not looked at here (checkpoints:
 * `bundle/checkpoint.ts`), and neither are signatures checked.
 */
import { concat, fromBase64, toBase64 } from "../bytes/index.ts";
import { LacreError } from "../errors.ts";

/** One signature line. */
export interface NoteSignature {
  /** Name of the key: not empty, without white space and `+`. */
  readonly name: string;
  /** First four octets of the key id: narrows the search for a key, proves nothing. */
  readonly keyHint: Uint8Array;
  /** The octets behind the hint: their meaning depends on the type of the key. */
  readonly signature: Uint8Array;
}

/** A note, its signatures unchecked. */
export interface Note {
  /** What is signed: all lines before the dividing one, with the final newline. */
  readonly text: string;
  readonly signatures: readonly NoteSignature[];
}

const MAX_OCTETS = 64 << 10;
const MAX_SIGNATURES = 20;
const DASH = "\u2014 ";

function bad(message: string, found?: string): LacreError {
  return new LacreError("BAD_NOTE", message, found === undefined ? {} : { found: found.slice(0, 80) });
}

/** Reads a note. Throws TOO_LARGE beyond 64 KiB or 20 signatures, BAD_NOTE for any other form. */
export function parseNote(text: string): Note {
  // A unit of UTF-16 is three octets at most: only of a long text are they counted.
  if (text.length > MAX_OCTETS || (3 * text.length > MAX_OCTETS && octets(text) > MAX_OCTETS))
    throw new LacreError("TOO_LARGE", "note is larger than 64 KiB");
  if (!text.isWellFormed()) throw bad("note has a lone surrogate");
  // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
  if (/[\u0000-\u0009\u000b-\u001f\u007f]/.test(text)) throw bad("note has a control character");
  const divide = text.lastIndexOf("\n\n");
  if (divide < 0) throw bad("note has no blank line before its signatures");
  const tail = text.slice(divide + 2);
  if (tail === "") throw bad("note has no signature");
  if (!tail.endsWith("\n")) throw bad("note does not end with a newline");
  const lines = tail.slice(0, -1).split("\n");
  if (lines.length > MAX_SIGNATURES)
    throw new LacreError("TOO_LARGE", "note has more than 20 signatures", { found: `${lines.length}` });
  return { text: text.slice(0, divide + 1), signatures: lines.map(parseSignature) };
}

// Octets of the UTF-8 form, without making it.
function octets(text: string): number {
  let count = text.length;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    // Each half of a surrogate pair counts two of the pair's four octets.
    if (unit >= 0x80) count += unit < 0x800 || (unit >= 0xd800 && unit <= 0xdfff) ? 1 : 2;
  }
  return count;
}

function parseSignature(line: string): NoteSignature {
  if (!line.startsWith(DASH)) throw bad("signature line does not start with a dash", line);
  const [name, encoded, ...more] = line.slice(DASH.length).split(" ");
  if (name === undefined || encoded === undefined || more.length > 0) throw bad("signature line is not a name and base64", line);
  if (!isKeyName(name)) throw bad("key name is malformed", name);
  let blob: Uint8Array;
  try {
    blob = fromBase64(encoded);
  } catch (cause) {
    if (!(cause instanceof LacreError)) throw cause;
    throw bad("signature is not base64", encoded);
  }
  if (blob.length < 5) throw bad("signature is too short");
  return { name, keyHint: blob.subarray(0, 4), signature: blob.subarray(4) };
}

/** Whether a string can be the name of a key in a note: not empty, no white space, no `+`, no control character. */
export function isKeyName(name: string): boolean {
  // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
  return name !== "" && !/[\s+\u0000-\u001f\u007f]/u.test(name) && name.isWellFormed();
}

/** Reads signature lines that stand alone, as a witness answers with them. Throws BAD_NOTE, TOO_LARGE beyond 20 lines. */
export function parseSignatureLines(text: string): readonly NoteSignature[] {
  const { text: before, signatures } = parseNote(`\n\n${text}`);
  if (before !== "\n") throw bad("there is a blank line among signature lines");
  return signatures;
}

/** Writes a note. The parts must be such that the result can be read again; others are misuse. */
export function formatNote(note: Note): string {
  if (!note.text.endsWith("\n")) throw new TypeError("the text of a note ends with a newline");
  return `${note.text}\n${note.signatures.map(formatSignatureLine).join("")}`;
}

/** Writes one signature line, with its line end. */
export function formatSignatureLine({ name, keyHint, signature }: NoteSignature): string {
  if (!isKeyName(name) || keyHint.length !== 4) throw new TypeError("not the name and hint of a key");
  return `${DASH}${name} ${toBase64(concat(keyHint, signature))}\n`;
}
