// SPDX-License-Identifier: Apache-2.0
/**
 * Distinguished names (RFC 5280 section 4.1.2.4): SEQUENCE of SET of (type, value).
 *
 * Names are compared as DER, byte for byte: an issuer field is a copy of the issuing certificate's subject. Decoding
 * exists to show a name to a person, and to refuse one that is malformed.
 */
import { der } from "../codec/index.ts";
import { toHex } from "../bytes/index.ts";
import { LacreError } from "../errors.ts";

const TYPES = { CN: "2.5.4.3", C: "2.5.4.6", L: "2.5.4.7", ST: "2.5.4.8", O: "2.5.4.10", OU: "2.5.4.11" } as const;
const LABELS: ReadonlyMap<string, string> = new Map(Object.entries(TYPES).map(([label, type]) => [type, label]));

/** The attributes we write, by their usual labels; they are written in the order given. */
export type NameAttributes = Readonly<Partial<Record<keyof typeof TYPES, string>>>;

/** The DER of a name. Country codes are PrintableStrings, the rest UTF8Strings, as RFC 5280 asks. */
export function encodeName(attributes: NameAttributes): Uint8Array {
  const sets: Uint8Array[] = [];
  for (const [label, value] of Object.entries(attributes)) {
    const type = TYPES[label as keyof typeof TYPES];
    if (type === undefined || value === undefined) throw new TypeError(`unknown name attribute: ${label}`);
    const written = label === "C" ? der.printableString(value) : der.utf8String(value);
    sets.push(der.setOf(der.sequence(der.oid(type), written)));
  }
  return der.sequence(...sets);
}

/** Refuses content (of the outer SEQUENCE) that is not a sequence of non-empty sets of attributes. Throws BAD_DER. */
export function checkName(relativeNames: der.DerReader): void {
  while (!relativeNames.done) {
    const set = relativeNames.enter(der.TAG.set);
    do {
      const attribute = set.enter();
      attribute.skip(der.TAG.oid);
      attribute.skip();
      attribute.end();
    } while (!set.done);
  }
}

/**
 * A name for people, in the order written: `O=lacre, CN=root`. Values that are no character string we read appear as
 * `#` and hexadecimal; characters that would confuse the reader are escaped. Not for comparing: compare the DER.
 */
export function formatName(name: Uint8Array): string {
  const parts: string[] = [];
  const relativeNames = der.openDer(name);
  while (!relativeNames.done) {
    const set = relativeNames.enter(der.TAG.set);
    const attributes: string[] = [];
    do {
      const attribute = set.enter();
      const type = der.readOid(attribute.next(der.TAG.oid));
      attributes.push(`${LABELS.get(type) ?? type}=${showValue(attribute.next())}`);
      attribute.end();
    } while (!set.done);
    parts.push(attributes.join("+"));
  }
  return parts.join(", ");
}

function showValue(value: der.Der): string {
  const { tag } = value;
  if (tag !== der.TAG.utf8String && tag !== der.TAG.printableString && tag !== der.TAG.ia5String) return `#${toHex(value.whole)}`;
  try {
    // Control characters could rewrite a terminal's line, separators could forge another attribute.
    const text = der.readString(value);
    // Nearly every name is plain; patterns over all of Unicode are slow to begin with.
    if (/^[ -*\--[\]-~]*$/.test(text)) return text;
    return text.replaceAll(/[\p{C},+\\]/gu, (found) =>
      /\p{C}/u.test(found) ? `\\u{${found.codePointAt(0)!.toString(16)}}` : `\\${found}`,
    );
  } catch (error) {
    if (error instanceof LacreError) return `#${toHex(value.whole)}`;
    throw error;
  }
}
