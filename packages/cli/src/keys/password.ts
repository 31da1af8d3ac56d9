// SPDX-License-Identifier: Apache-2.0
/**
 * The password of a private key, from where cosign takes it: COSIGN_PASSWORD (an empty one counts), else a question on the
 * terminal, not echoed, else all of standard input, octet for octet: `echo secret |` has a line end in it, there as here.
 *
 * A password is never an argument, and never in a message.
 */
import type { Context } from "../context.ts";
import { CliError } from "../errors.ts";
import { claimStdin } from "../stdin.ts";
import { plain } from "../terminal.ts";

const MAX_PASSWORD_BYTES = 1 << 16;

/** A password, and where it came from, for the sentence that says it was wrong. */
export interface Password {
  readonly octets: Uint8Array;
  readonly source: string;
}

/** The password that opens a key. Throws PASSWORD_MISSING. */
export async function readPassword(context: Context, name: string): Promise<Password> {
  return (await readGiven(context, `the password of ${plain(name)}`)) ?? askOnce(context, `Password of ${plain(name)}`);
}

/** The password for a new key: asked for twice on a terminal. Throws PASSWORD_MISSING. */
export async function readNewPassword(context: Context): Promise<Password> {
  const given = await readGiven(context, "the new key's password");
  if (given !== undefined) return given;
  const first = await askOnce(context, "Password for the new private key");
  const again = await askOnce(context, "The same again");
  if (!Buffer.from(first.octets).equals(Buffer.from(again.octets)))
    throw new CliError("PASSWORD_MISSING", "the two passwords are not the same; nothing was written");
  return first;
}

/** What was given without a question; undefined where a person can be asked. */
async function readGiven(context: Context, what: string): Promise<Password | undefined> {
  const named = context.env["COSIGN_PASSWORD"];
  if (named !== undefined) return { octets: Buffer.from(named), source: "COSIGN_PASSWORD" };
  if (context.terminal.isInteractive) return undefined;
  if (context.terminal.hasKeyboard) {
    throw new CliError("PASSWORD_MISSING", `${what} cannot be asked for: the question would not be seen`, {
      hint: "Set COSIGN_PASSWORD, or do not redirect standard error.",
    });
  }
  context.terminal.say(`Reading ${what} from standard input`);
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of claimStdin(context, "a password")) {
    length += chunk.length;
    if (length > MAX_PASSWORD_BYTES) throw new CliError("PASSWORD_MISSING", "standard input holds no password: it is too long");
    parts.push(chunk);
  }
  const octets = Buffer.concat(parts);
  return { octets, source: octets.length === 0 ? "standard input, which is empty" : "standard input" };
}

async function askOnce(context: Context, question: string): Promise<Password> {
  const answer = await context.terminal.askSecret(question);
  if (answer === undefined) throw new CliError("PASSWORD_MISSING", "no password was given");
  return { octets: Buffer.from(answer), source: "the terminal" };
}
