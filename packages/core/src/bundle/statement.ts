// SPDX-License-Identifier: Apache-2.0
/**
 * In-toto statements (in-toto attestation framework, Statement v0.1 and v1): what an attestation says about which
 * artifacts. The payload of a DSSE envelope of type `application/vnd.in-toto+json`.
 */
import { JsonObject, parseJson, type Json } from "../codec/index.ts";
import { LacreError } from "../errors.ts";

/** The payload type of statements in an envelope. */
export const STATEMENT_PAYLOAD_TYPE = "application/vnd.in-toto+json";

const TYPES: readonly string[] = ["https://in-toto.io/Statement/v0.1", "https://in-toto.io/Statement/v1"];
/** Predicate types by cosign's short names. */
const PREDICATE_TYPES: Readonly<Record<string, string>> = {
  custom: "https://cosign.sigstore.dev/attestation/v1",
  slsaprovenance: "https://slsa.dev/provenance/v0.2",
  slsaprovenance02: "https://slsa.dev/provenance/v0.2",
  slsaprovenance1: "https://slsa.dev/provenance/v1",
  link: "https://in-toto.io/Link/v1",
  spdx: "https://spdx.dev/Document",
  spdxjson: "https://spdx.dev/Document",
  cyclonedx: "https://cyclonedx.org/bom",
  vuln: "https://cosign.sigstore.dev/attestation/vuln/v1",
  openvex: "https://openvex.dev/ns",
};

/** The short names of predicate types, as cosign has them. */
export const PREDICATE_NAMES: readonly string[] = Object.keys(PREDICATE_TYPES);

/** The URI that is meant by a short name or a URI; undefined for what is neither. */
export function findPredicateType(name: string): string | undefined {
  if (Object.hasOwn(PREDICATE_TYPES, name)) return PREDICATE_TYPES[name];
  return /^[a-z][a-z0-9+.-]*:\S+$/i.test(name) ? name : undefined;
}

const MAX_SUBJECTS = 1024;
const MAX_DIGESTS = 32;

/** One artifact that a statement is about. */
export interface Subject {
  readonly name: string | undefined;
  /** Value by algorithm, both as written: "sha256" and lower-case hexadecimal by convention. */
  readonly digests: ReadonlyMap<string, string>;
}

/** What an attestation says, about which artifacts: an in-toto Statement, v0.1 or v1. */
export interface Statement {
  readonly type: string;
  readonly subjects: readonly Subject[];
  readonly predicateType: string;
  /** Null when there is none. */
  readonly predicate: Json;
}

function invalid(message: string, detail: { expected?: string; found?: string } = {}): LacreError {
  return new LacreError("STATEMENT_INVALID", message, detail);
}

/**
 * Reads a statement. Throws BAD_JSON and BAD_UTF8 for the encoding, TOO_LARGE beyond 1,024 subjects, 32 digests of one
 * or the limits of `parseJson`, STATEMENT_INVALID for another type, no subject, a subject without digest, no predicate
 * type. Unknown members are ignored, as the framework asks.
 */
export function decodeStatement(payload: Uint8Array): Statement {
  const statement = new JsonObject(parseJson(payload), "statement");
  const type = statement.string("_type");
  if (!TYPES.includes(type))
    throw invalid("payload is not an in-toto statement", { expected: TYPES.join(" or "), found: type.slice(0, 100) });
  const subjects = statement.objects(MAX_SUBJECTS, "subject").map(decodeSubject);
  if (subjects.length === 0) throw invalid("statement has no subject");
  const predicateType = statement.string("predicateType");
  if (predicateType === "") throw invalid("statement has no predicate type");
  return { type, subjects, predicateType, predicate: statement.get("predicate") ?? null };
}

function decodeSubject(subject: JsonObject): Subject {
  const set = subject.object("digest");
  const names = set.keys();
  if (names.length === 0) throw invalid(`${subject.where} has no digest`);
  if (names.length > MAX_DIGESTS) {
    throw new LacreError("TOO_LARGE", `${subject.where} has too many digests`, {
      expected: `at most ${MAX_DIGESTS}`,
      found: `${names.length}`,
    });
  }
  return { name: subject.optionalString("name"), digests: new Map(names.map((name) => [name, set.string(name)])) };
}
