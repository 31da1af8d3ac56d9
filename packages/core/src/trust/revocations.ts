// SPDX-License-Identifier: Apache-2.0
/**
 * What is not trusted any more although every check would pass: `revocations` of a trust pack (docs/formats/trust-pack.md).
 *
 *     certificates   { serial }                    serial number, hexadecimal
 *     identities     { identity, issuer?, since? }  whole values; without an issuer, of any
 *     keys           { sha256, since? }             SHA-256 of the SubjectPublicKeyInfo, hexadecimal
 *     entries        { logId, index }               id of the log, hexadecimal, and the entry's index as the verdict tells it
 *
 * `since` spares what is proved to have been signed before; without a proved time nothing is spared.
 */
import { JsonObject } from "../codec/index.ts";
import { LacreError } from "../errors.ts";
import { parseTime } from "./window.ts";

/** A signer that is not trusted, from a moment on or altogether. */
interface Since {
  /** Milliseconds since 1970; undefined: whenever it was signed. */
  readonly sinceMs: number | undefined;
}

/** Signers, certificates, keys and entries that are refused. Values are in lower case where they are hexadecimal. */
export interface Revocations {
  readonly certificates: readonly { readonly serial: string }[];
  readonly identities: readonly (Since & { readonly identity: string; readonly issuer: string | undefined })[];
  readonly keys: readonly (Since & { readonly sha256: string })[];
  readonly entries: readonly { readonly logId: string; readonly index: string }[];
}

const MAX_ENTRIES = 100_000;

/** Reads revocations. A member that is not known refuses: it could have meant something. Throws TRUSTED_ROOT_INVALID, BAD_JSON. */
export function readRevocations(document: JsonObject): Revocations {
  const since = (one: JsonObject): number | undefined => {
    const text = one.optionalString("since");
    return text === undefined ? undefined : parseTime(text);
  };
  const revocations: Revocations = {
    certificates: readAll(document, "certificates", (one) => ({ serial: hex(one, "serial").replace(/^(00)+(?=..)/, "") })),
    identities: readAll(document, "identities", (one) => ({
      identity: one.string("identity"),
      issuer: one.optionalString("issuer"),
      sinceMs: since(one),
    })),
    keys: readAll(document, "keys", (one) => ({ sha256: hex(one, "sha256"), sinceMs: since(one) })),
    entries: readAll(document, "entries", (one) => ({ logId: hex(one, "logId"), index: one.int64("index").toString() })),
  };
  refuseUnread(document);
  return revocations;
}

function readAll<T>(document: JsonObject, name: string, read: (one: JsonObject) => T): readonly T[] {
  const list = document.optionalArray(name) ?? [];
  if (list.length > MAX_ENTRIES) throw new LacreError("TOO_LARGE", `${document.where}.${name} is too long`);
  return list.map((value, at) => {
    const one = new JsonObject(value, `${document.where}.${name}[${at}]`);
    const item = read(one);
    refuseUnread(one);
    return item;
  });
}

function hex(one: JsonObject, name: string): string {
  const text = one.string(name).toLowerCase();
  if (!/^([0-9a-f]{2}){1,64}$/.test(text))
    throw new LacreError("TRUSTED_ROOT_INVALID", `${one.where}.${name} is not hexadecimal`, { found: text.slice(0, 80) });
  return text;
}

function refuseUnread(document: JsonObject): void {
  const [first] = document.unread();
  if (first !== undefined) throw new LacreError("TRUSTED_ROOT_INVALID", `${document.where}.${first.slice(0, 60)} is not known`);
}
