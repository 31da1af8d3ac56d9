// SPDX-License-Identifier: Apache-2.0
/** Predicate types (cosign's short names, or a URI), and what cosign makes of a predicate's file. */
import { findPredicateType, PREDICATE_NAMES } from "@lacre/core/bundle";
import { text } from "@lacre/core/bytes";
import { type Json, parseJson } from "@lacre/core/codec";
import { LacreError } from "@lacre/core/errors";
import { CliError } from "./errors.ts";

const CUSTOM = findPredicateType("custom");

/** The URI of a predicate type. Throws USAGE for what is neither a known name nor a URI. */
export function predicateType(name: string): string {
  const type = findPredicateType(name);
  if (type !== undefined) return type;
  throw new CliError("USAGE", `${JSON.stringify(name.slice(0, 60))} is no predicate type`, {
    hint: `A URI, or one of ${PREDICATE_NAMES.join(", ")}.`,
  });
}

/**
 * The predicate that a file makes, as cosign makes it: of the type `custom` the file's text with the time beside it, of
 * `spdx` the text itself, of all others the JSON that the file holds. Throws USAGE for a file that is no such thing.
 */
export function encodePredicate(name: string, raw: Uint8Array, nowMs: number): Json {
  const type = predicateType(name);
  try {
    if (type === CUSTOM) return { Data: text(raw), Timestamp: new Date(nowMs).toISOString().replace(/\.\d+Z$/, "Z") };
    return name === "spdx" ? text(raw) : parseJson(raw);
  } catch (cause) {
    if (!(cause instanceof LacreError)) throw cause;
    throw new CliError("USAGE", `the predicate is not what the type ${name.slice(0, 60)} asks for: ${cause.message}`, { cause });
  }
}
