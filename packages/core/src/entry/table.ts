// SPDX-License-Identifier: Apache-2.0
/**
 * The kinds of entries, and the ways in: a body that a log holds, and a request to log one, in either dialect. A new kind
 * is a row.
 */
import { JsonObject, parseJson, type Json } from "../codec/index.ts";
import { LacreError } from "../errors.ts";
import { refused, type Admitted, type RequestForm } from "./admit.ts";
import { dsse1, dsse1Request, dsse2, dsseRequest } from "./dsse.ts";
import { readExpected, type ExpectedEntry } from "./expected.ts";
import type { EntryFacts, EntryForm } from "./facts.ts";
import { hashedrekord1, hashedrekord1Request, hashedrekord2, hashedrekordRequest } from "./hashedrekord.ts";
import { intoto1, intoto1Request, intoto2, intoto2Request } from "./intoto.ts";
import { admitted, type ProposedForm } from "./proposed.ts";
import { rekord1, rekord1Request } from "./rekord.ts";
import { rfc3161Request } from "./rfc3161.ts";

const FORMS: readonly EntryForm[] = [hashedrekord1, hashedrekord2, dsse1, dsse2, intoto1, intoto2];
const REQUESTS: readonly RequestForm[] = [hashedrekordRequest, dsseRequest];
const PROPOSED: readonly ProposedForm[] = [
  hashedrekord1Request,
  dsse1Request,
  intoto1Request,
  intoto2Request,
  rekord1Request,
  rfc3161Request,
];
const REQUEST_NAMES: readonly string[] = REQUESTS.flatMap(({ member, alias }) => [member, alias]);

const MAX_DEPTH = 16;

/**
 * Reads the body of an entry that claims to be of this kind and version. Throws ENTRY_UNSUPPORTED for one that is not in
 * the table, ENTRY_INVALID for a body that says otherwise or is not what its kind prescribes, and the codec's errors.
 * `expected`, what it should record, changes nothing but the time it takes.
 */
export function decodeEntry(body: Uint8Array, kind: string, version: string, expected?: ExpectedEntry): EntryFacts {
  const facts = expected === undefined ? undefined : readExpected(body, kind, version, expected);
  return facts ?? decodeWith(FORMS, body, kind, version);
}

function decodeWith(forms: readonly EntryForm[], body: Uint8Array, kind: string, version: string): EntryFacts {
  const form = forms.find((row) => row.kind === kind && row.version === version);
  if (form === undefined)
    throw new LacreError("ENTRY_UNSUPPORTED", "entries of this kind are not known", {
      found: `${kind.slice(0, 60)} ${version.slice(0, 60)}`,
    });
  const entry = new JsonObject(parseJson(body, { maxDepth: MAX_DEPTH }), "entry");
  entry.refuseUnknown(["apiVersion", "kind", "spec"]);
  const stated = `${entry.string("kind")} ${entry.string("apiVersion")}`;
  if (stated !== `${kind} ${version}`) {
    throw new LacreError("ENTRY_INVALID", "body is of another kind than stated", {
      expected: `${kind} ${version}`,
      found: stated.slice(0, 120),
    });
  }
  return { kind, version, ...form.decode(entry.object("spec")) };
}

/**
 * Reads a body of whatever kind it says it is, also of those that no bundle is verified with. Throws as `decodeEntry`.
 */
export function describeEntry(body: Uint8Array): EntryFacts {
  const { kind, version } = statedKind(body);
  return decodeWith([...FORMS, rekord1], body, kind, version);
}

/** The kind and version that a body states. Throws the codec's errors. */
function statedKind(body: Uint8Array): { readonly kind: string; readonly version: string } {
  const entry = new JsonObject(parseJson(body, { maxDepth: MAX_DEPTH }), "entry");
  return { kind: entry.string("kind"), version: entry.string("apiVersion") };
}

/**
 * Takes in a request of the v1 dialect: `{"apiVersion": …, "kind": …, "spec": …}`. Returns the leaf and the signatures that
 * must be checked before it is logged. Throws ENTRY_UNSUPPORTED for a kind or version that is not logged here, and
 * otherwise as `admitRequest`.
 */
export function admitProposed(request: Json): Admitted {
  const object = new JsonObject(request, "request");
  const [kind, version] = [object.string("kind"), object.string("apiVersion")];
  const form = PROPOSED.find((row) => row.kind === kind && row.version === version);
  if (form === undefined) {
    const known = PROPOSED.map((row) => `${row.kind} ${row.version}`).join(", ");
    throw new LacreError("ENTRY_UNSUPPORTED", "entries of this kind and version are not logged here", {
      expected: known,
      found: `${kind.slice(0, 60)} ${version.slice(0, 60)}`,
    });
  }
  return admitted(form, form.admit(object.object("spec")));
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
  if (form === undefined || more.length > 0)
    throw refused("request must be of exactly one type", { expected: REQUESTS.map(({ member }) => member).join(" or ") });
  return form.admit(object.object(form.member, form.alias));
}
