// SPDX-License-Identifier: Apache-2.0
/** The kinds of entries, and the two ways in: a body that a log holds, and a request to log one. A new kind is a row. */
import { JsonObject, parseJson, type Json } from "../codec/index.ts";
import { LacreError } from "../errors.ts";
import { refused, type Admitted, type RequestForm } from "./admit.ts";
import { dsse1, dsse2, dsseRequest } from "./dsse.ts";
import type { EntryFacts, EntryForm } from "./facts.ts";
import { hashedrekord1, hashedrekord2, hashedrekordRequest } from "./hashedrekord.ts";
import { intoto1, intoto2 } from "./intoto.ts";

const FORMS: readonly EntryForm[] = [hashedrekord1, hashedrekord2, dsse1, dsse2, intoto1, intoto2];
const REQUESTS: readonly RequestForm[] = [hashedrekordRequest, dsseRequest];
const REQUEST_NAMES: readonly string[] = REQUESTS.flatMap(({ member, alias }) => [member, alias]);

const MAX_DEPTH = 16;

/**
 * Reads the body of an entry that claims to be of this kind and version. Throws ENTRY_UNSUPPORTED for one that is not in
 * the table, ENTRY_INVALID for a body that says otherwise or is not what its kind prescribes, and the codec's errors.
 */
export function decodeEntry(body: Uint8Array, kind: string, version: string): EntryFacts {
  const form = FORMS.find((row) => row.kind === kind && row.version === version);
  if (form === undefined) throw new LacreError("ENTRY_UNSUPPORTED", "entries of this kind are not known", { found: `${kind.slice(0, 60)} ${version.slice(0, 60)}` });
  const entry = new JsonObject(parseJson(body, { maxDepth: MAX_DEPTH }), "entry");
  entry.refuseUnknown(["apiVersion", "kind", "spec"]);
  const stated = `${entry.string("kind")} ${entry.string("apiVersion")}`;
  if (stated !== `${kind} ${version}`) {
    throw new LacreError("ENTRY_INVALID", "body is of another kind than stated", { expected: `${kind} ${version}`, found: stated.slice(0, 120) });
  }
  return { kind, version, ...form.decode(entry.object("spec")) };
}

/**
 * Takes in a request to log an entry: `{"hashedRekordRequestV002": …}` or `{"dsseRequestV002": …}`. Returns the leaf and
 * the signatures that must be checked before it is logged. Throws ENTRY_REQUEST_INVALID, ALGORITHM_UNKNOWN, KEY_INVALID,
 * TOO_LARGE, SIGNATURE_INVALID (only where several verifiers must be told apart), and the errors of the decoders.
 */
export function admitRequest(request: Json): Admitted {
  const object = new JsonObject(request, "request");
  object.refuseUnknown(REQUEST_NAMES);
  const [form, ...more] = REQUESTS.filter(({ member, alias }) => object.has(member, alias));
  if (form === undefined || more.length > 0) throw refused("request must be of exactly one type", { expected: REQUESTS.map(({ member }) => member).join(" or ") });
  return form.admit(object.object(form.member, form.alias));
}
