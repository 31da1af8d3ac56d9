// SPDX-License-Identifier: Apache-2.0
/** Predicate types: cosign's short names, or a URI. */
import { CliError } from "./errors.ts";

const TYPES: Readonly<Record<string, string>> = {
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

/** The URI of a predicate type. Throws USAGE for what is neither a known name nor a URI. */
export function predicateType(name: string): string {
  const known = Object.hasOwn(TYPES, name) ? TYPES[name] : undefined;
  if (known !== undefined) return known;
  if (/^[a-z][a-z0-9+.-]*:\S+$/i.test(name)) return name;
  throw new CliError("USAGE", `${JSON.stringify(name.slice(0, 60))} is no predicate type`, {
    hint: `A URI, or one of ${Object.keys(TYPES).join(", ")}.`,
  });
}
