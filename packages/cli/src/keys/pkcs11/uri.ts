// SPDX-License-Identifier: Apache-2.0
/**
 * PKCS#11 URIs (RFC 7512), as they name a key:
 *
 *     pkcs11:token=NAME;object=LABEL;id=%01?module-path=/path/to/module.so&pin-source=file:/path
 *
 * Before the question mark stands which key: attributes between semicolons, all of which must match. Behind it stands how to
 * reach it. Values are percent-encoded; `id` is octets, the rest text. RFC 7512 lets consumers pass over attributes that
 * they do not know; here they are refused, because another key could be meant.
 */
import { LacreError } from "@lacre/core/errors";

/** What a URI says. Everything that is there must match. */
export interface TokenUri {
  readonly token: string | undefined;
  readonly manufacturer: string | undefined;
  readonly model: string | undefined;
  readonly serial: string | undefined;
  readonly slotId: bigint | undefined;
  readonly object: string | undefined;
  readonly id: Uint8Array | undefined;
  readonly modulePath: string | undefined;
  /** The PIN itself. Kept apart from everything that is shown. */
  readonly pinValue: string | undefined;
  /** The path of a file with the PIN. */
  readonly pinFile: string | undefined;
}

const MAX_CHARACTERS = 4096;
const PATH = ["token", "manufacturer", "model", "serial", "slot-id", "object", "id", "type"];
const QUERY = ["module-path", "pin-value", "pin-source"];

function invalid(message: string, found?: string): LacreError {
  return new LacreError("KEY_INVALID", message, {
    expected: "pkcs11:token=NAME;object=LABEL?module-path=PATH",
    ...(found === undefined ? {} : { found }),
  });
}

/** Reads a URI. Throws KEY_INVALID; no value of a query attribute enters the error. */
export function parseTokenUri(uri: string): TokenUri {
  if (!uri.startsWith("pkcs11:")) throw invalid("not a PKCS#11 URI");
  if (uri.length > MAX_CHARACTERS) throw invalid("PKCS#11 URI is too long");
  const [path = "", ...queries] = uri.slice("pkcs11:".length).split("?");
  if (queries.length > 1) throw invalid("PKCS#11 URI has a second question mark");
  const named = readAttributes(path, ";", PATH);
  const asked = readAttributes(queries[0] ?? "", "&", QUERY);
  const text = (table: ReadonlyMap<string, Uint8Array>, name: string): string | undefined => {
    const octets = table.get(name);
    return octets === undefined ? undefined : decodeText(name, octets);
  };
  const type = text(named, "type");
  if (type !== undefined && type !== "private" && type !== "public")
    throw invalid("PKCS#11 URI names no key", `type ${type.slice(0, 20)}`);
  const slot = text(named, "slot-id");
  if (slot !== undefined && !/^\d{1,19}$/.test(slot)) throw invalid("slot-id is no number", slot.slice(0, 20));
  return {
    token: text(named, "token"),
    manufacturer: text(named, "manufacturer"),
    model: text(named, "model"),
    serial: text(named, "serial"),
    slotId: slot === undefined ? undefined : BigInt(slot),
    object: text(named, "object"),
    id: named.get("id"),
    modulePath: text(asked, "module-path"),
    pinValue: text(asked, "pin-value"),
    pinFile: readPinSource(text(asked, "pin-source"), asked.has("pin-value")),
  };
}

/** A URI without its query: what may be shown. */
export function showTokenUri(uri: string): string {
  return uri.split("?")[0]!.slice(0, 200);
}

/** Writes the part of a URI that names a key. */
export function formatTokenUri(named: { readonly token: string; readonly object?: string; readonly id?: Uint8Array }): string {
  const parts = [`token=${encode(Buffer.from(named.token))}`];
  if (named.object !== undefined) parts.push(`object=${encode(Buffer.from(named.object))}`);
  if (named.id !== undefined)
    parts.push(`id=${[...named.id].map((octet) => `%${octet.toString(16).padStart(2, "0")}`).join("")}`);
  return `pkcs11:${parts.join(";")}`;
}

function encode(octets: Uint8Array): string {
  return [...octets]
    .map((octet) =>
      /[A-Za-z0-9._~-]/.test(String.fromCharCode(octet)) ? String.fromCharCode(octet) : `%${octet.toString(16).padStart(2, "0")}`,
    )
    .join("");
}

function readAttributes(text: string, separator: string, known: readonly string[]): ReadonlyMap<string, Uint8Array> {
  const found = new Map<string, Uint8Array>();
  if (text === "") return found;
  for (const part of text.split(separator)) {
    const at = part.indexOf("=");
    const name = at < 0 ? part : part.slice(0, at);
    // What stands without a name could be a PIN that slipped: it is not shown.
    if (at < 0) throw invalid("an attribute of the PKCS#11 URI has no value");
    if (!known.includes(name)) throw invalid("an attribute of the PKCS#11 URI is not known here", name.slice(0, 40));
    if (found.has(name)) throw invalid("an attribute of the PKCS#11 URI appears twice", name);
    found.set(name, decodePercent(name, part.slice(at + 1)));
  }
  return found;
}

function decodePercent(name: string, text: string): Uint8Array {
  if (/%(?![0-9A-Fa-f]{2})/.test(text)) throw invalid("a percent sign is not followed by two digits", name);
  return Buffer.from(
    text.replaceAll(/%([0-9A-Fa-f]{2})|[\u0080-\uffff]+/g, (run, digits: string | undefined) =>
      digits === undefined ? Buffer.from(run).toString("latin1") : String.fromCharCode(Number.parseInt(digits, 16)),
    ),
    "latin1",
  );
}

function decodeText(name: string, octets: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(octets);
  } catch {
    throw invalid("an attribute is not UTF-8", name);
  }
}

function readPinSource(source: string | undefined, hasValue: boolean): string | undefined {
  if (source === undefined) return undefined;
  if (hasValue) throw invalid("pin-source and pin-value exclude each other");
  if (source.startsWith("|")) throw invalid("pin-source names a program, and none is run");
  if (source.startsWith("file:")) return source.slice("file:".length).replace(/^\/\/(?=\/)/, "");
  if (/^[a-z][a-z0-9+.-]*:/i.test(source)) throw invalid("pin-source is neither a path nor a file: URI");
  return source;
}
