// SPDX-License-Identifier: Apache-2.0
/**
 * Flags of cosign that are understood and cannot be honoured: they are in the tables, hidden, so that they end in a
 * sentence that names what to use instead, and never in silence.
 */
import { CliError } from "./errors.ts";
import { text, toggle, type FlagTable } from "./verb.ts";

interface Refused {
  readonly instead: string;
  readonly kind: "text" | "toggle";
}

const NO_PIV =
  "Give the token's key with --key 'pkcs11:…?module-path=/path/to/libykcs11.so' (ykcs11 speaks PKCS#11 for such tokens).";

/** For verbs that read a key: PIV tokens. */
export const REFUSED_TOKEN: Readonly<Record<"sk" | "slot", Refused>> = {
  sk: { kind: "toggle", instead: NO_PIV },
  slot: { kind: "text", instead: NO_PIV },
};

/** For verbs that sign. */
export const REFUSED_SIGNING: Readonly<Record<string, Refused>> = {
  ...REFUSED_TOKEN,
};

/** For images alone: signing what is attached to them. */
export const REFUSED_ATTACHMENT: Readonly<Record<"attachment", Refused>> = {
  attachment: { kind: "text", instead: "An attached SBOM is stated under a signature with lacre attest --type spdxjson." },
};

/** For verbs that verify. */
export const REFUSED_CHECKING: Readonly<Record<string, Refused>> = {
  sct: { kind: "text", instead: "The promise is read from the certificate, where authorities have put it since 2022." },
  ...REFUSED_TOKEN,
};

/** The table rows of refused flags. */
export function refusedFlags<const T extends Readonly<Record<string, Refused>>>(
  refused: T,
): { readonly [K in keyof T]: ReturnType<typeof text> | ReturnType<typeof toggle> } {
  const rows = Object.entries(refused).map(
    ([name, { kind, instead }]) =>
      [name, kind === "text" ? text(instead, { hidden: true }) : toggle(instead, { hidden: true })] as const,
  );
  return Object.fromEntries(rows) as never satisfies FlagTable;
}

/** Refuses what was given of them. Throws UNSUPPORTED_FLAG. */
export function refuse(refused: Readonly<Record<string, Refused>>, flags: Readonly<Record<string, unknown>>): void {
  for (const [name, { instead }] of Object.entries(refused)) {
    const given = flags[name];
    if (given === undefined || given === false || given === "") continue;
    throw new CliError(
      "UNSUPPORTED_FLAG",
      `--${name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)} cannot be honoured`,
      { hint: instead },
    );
  }
}
