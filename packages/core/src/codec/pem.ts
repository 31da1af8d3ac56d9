// SPDX-License-Identifier: Apache-2.0
/**
 * PEM (RFC 7468): DER in base64 between two lines that name its kind.
 *
 * Written: 64 columns, one newline at the end. Read: also other line lengths, CRLF, and explanatory text outside the
 * blocks, which tools like to add. Inside a block there is base64 and nothing else; the headers of old encrypted keys
 * are refused.
 */
import { fromBase64, toBase64 } from "../bytes/index.ts";
import { LacreError } from "../errors.ts";

/** One block. */
export interface PemBlock {
  /** What stands behind BEGIN, as "CERTIFICATE". */
  readonly label: string;
  readonly der: Uint8Array;
}

const MAX_CHARACTERS = 1 << 20;
const BOUNDARY = /^-----(BEGIN|END) ([A-Z0-9]+(?:[ -][A-Z0-9]+)*)-----[ \t]*$/;

function bad(message: string, found?: string): LacreError {
  return new LacreError("BAD_PEM", message, found === undefined ? {} : { found: found.slice(0, 60) });
}

/** All blocks in order, at least one; with `label`, all must be of that kind. Throws BAD_PEM, TOO_LARGE beyond 1 MiB. */
export function parsePemAll(text: string, label?: string): PemBlock[] {
  if (text.length > MAX_CHARACTERS) throw new LacreError("TOO_LARGE", "PEM text is larger than 1 MiB");
  const blocks: PemBlock[] = [];
  let open: string | undefined;
  let body: string[] = [];
  for (const line of text.split(/\r?\n/)) {
    if (!line.startsWith("-----")) {
      if (open !== undefined) body.push(line.trim());
      continue;
    }
    const [, side, kind] = BOUNDARY.exec(line) ?? [];
    if (kind === undefined) throw bad("boundary line is malformed", line);
    if (side === "BEGIN") {
      if (open !== undefined) throw bad("block has no end", open);
      if (label !== undefined && kind !== label)
        throw new LacreError("BAD_PEM", "block is of another kind", { expected: label, found: kind.slice(0, 60) });
      open = kind;
      body = [];
    } else {
      if (open !== kind) throw bad("block ends that did not begin", kind);
      blocks.push({ label: kind, der: decodeBody(body.join("")) });
      open = undefined;
    }
  }
  if (open !== undefined) throw bad("block has no end", open);
  if (blocks.length === 0) throw bad("text has no PEM block");
  return blocks;
}

function decodeBody(base64: string): Uint8Array {
  if (base64 === "") throw bad("block is empty");
  try {
    return fromBase64(base64);
  } catch (cause) {
    if (!(cause instanceof LacreError)) throw cause;
    // What was found stays unsaid: it may be a private key.
    throw bad("block is not base64");
  }
}

/** The content of the only block; with `label`, it must be of that kind. Throws as `parsePemAll`. */
export function parsePem(text: string, label?: string): Uint8Array {
  const [block, ...more] = parsePemAll(text, label);
  if (block === undefined || more.length > 0) throw bad("text has more than one PEM block");
  return block.der;
}

/** One block: 64 columns, a newline at the end. */
export function formatPem(label: string, der: Uint8Array): string {
  const base64 = toBase64(der);
  let lines = "";
  for (let at = 0; at < base64.length; at += 64) lines += `${base64.slice(at, at + 64)}\n`;
  return `-----BEGIN ${label}-----\n${lines}-----END ${label}-----\n`;
}
