// SPDX-License-Identifier: Apache-2.0
/**
 * The policy format as JSON Schema, for editors: `docs/policy.schema.json` is this, written out. What decides is the reader;
 * the schema cannot say all that it refuses.
 */
import { CLAIMS } from "@lacre/core/x509";
import { ARTIFACT_KINDS } from "./facts.ts";
import { POLICY_SCHEMA } from "./policy.ts";

const text = { type: "string", minLength: 1 } as const;
const object = (properties: object, required: readonly string[] = []): object => ({
  type: "object",
  properties,
  required,
  additionalProperties: false,
});
const list = (items: object): object => ({ type: "array", items, minItems: 1 });
const whole = (minimum: number, maximum: number): object => ({ type: "integer", minimum, maximum });

const MATCHER = {
  description: "A text that has to be equal, or a pattern (RE2) that has to fit all of it.",
  oneOf: [
    text,
    object(
      { pattern: text, anchored: { type: "boolean", default: true, description: "false: the pattern may fit anywhere in it." } },
      ["pattern"],
    ),
  ],
};
const CLAIM_RULES = {
  type: "object",
  description: "Claims of the certificate, by name.",
  propertyNames: { enum: [...CLAIMS.keys()] },
  additionalProperties: { $ref: "#/$defs/matcher" },
  minProperties: 1,
};
const ci = (names: readonly string[], required: readonly string[]): object =>
  object({ ...Object.fromEntries(names.map((name) => [name, text])), issuer: { $ref: "#/$defs/matcher" } }, required);
const claims = {
  claims: CLAIM_RULES,
  each: { type: "boolean", description: "Every different identity that fits counts as a signer of its own." },
};
const WAY = {
  oneOf: [
    object({ identity: { $ref: "#/$defs/matcher" }, issuer: { $ref: "#/$defs/matcher" }, ...claims }, ["identity", "issuer"]),
    object(
      { key: { ...text, description: "PEM, sha256: of the key, or a reference: a file beside the policy, env://, k8s://, …" } },
      ["key"],
    ),
    object(
      { github: ci(["repository", "workflow", "ref", "trigger", "environment", "runner", "host"], ["repository"]), ...claims },
      ["github"],
    ),
    object({ gitlab: ci(["project", "config", "ref", "trigger", "environment", "runner", "host"], ["project"]), ...claims }, [
      "gitlab",
    ]),
    object({ buildkite: ci(["organization", "pipeline", "trigger", "runner"], ["organization", "pipeline"]), ...claims }, [
      "buildkite",
    ]),
    object(
      { circleci: ci(["organization", "project", "definition", "repository", "ref"], ["organization", "project"]), ...claims },
      ["circleci"],
    ),
  ],
};
const QUORUM = {
  from: { ...list(text), uniqueItems: true, description: "Names of signers." },
  atLeast: { ...whole(1, 200), default: 1, description: "How many distinct ones of them." },
};
const CONDITIONS = { ...list({ ...text, maxLength: 4096 }), description: "CEL over what was proved; all have to be true." };
const DATE = { type: "string", pattern: "^\\d{4}-\\d\\d-\\d\\d(T\\d\\d:\\d\\d:\\d\\d(\\.\\d{1,3})?(Z|[+-]\\d\\d:\\d\\d))?$" };
const RULE = object(
  {
    name: text,
    artifacts: list(object({ kind: { enum: ARTIFACT_KINDS }, name: { ...text, description: "A glob." } }, ["kind", "name"])),
    mode: { enum: ["enforce", "warn"], default: "enforce" },
    trust: { ...text, description: "A name of `trust`." },
    signatures: object(QUORUM, ["from"]),
    attestations: list(
      object(
        { type: { ...text, description: "Predicate type: a URI, or cosign's short name." }, ...QUORUM, conditions: CONDITIONS },
        ["type", "from"],
      ),
    ),
    conditions: CONDITIONS,
    age: object({ within: { type: "string", pattern: "^[1-9][0-9]{0,6}[mhdw]$" }, notBefore: DATE, notAfter: DATE }),
    thresholds: object({ logs: whole(0, 16), times: whole(1, 16), timestamps: whole(0, 16), scts: whole(0, 16) }),
  },
  ["name", "artifacts"],
);
const REVOCATION = object({
  identity: { $ref: "#/$defs/matcher" },
  issuer: { $ref: "#/$defs/matcher" },
  key: text,
  serial: text,
  digest: { type: "string", pattern: "^sha(256|384|512):[0-9a-f]+$" },
  since: DATE,
  reason: text,
});

/** The schema. */
export const POLICY_JSON_SCHEMA: object = {
  $schema: "https://json-schema.org/draft/2020-12/schema",
  $id: POLICY_SCHEMA,
  title: "Policy",
  description: "For which artifacts whose signatures and which statements are needed. docs/policy.md has examples.",
  ...object(
    {
      schema: { const: POLICY_SCHEMA },
      name: text,
      trust: {
        type: "object",
        minProperties: 1,
        additionalProperties: { oneOf: [object({ root: text }, ["root"]), object({ installation: text }, ["installation"])] },
      },
      signers: {
        type: "object",
        minProperties: 1,
        additionalProperties: { oneOf: [{ $ref: "#/$defs/way" }, list({ $ref: "#/$defs/way" })] },
      },
      revoked: list(REVOCATION),
      rules: list(RULE),
    },
    ["schema", "signers", "rules"],
  ),
  $defs: { matcher: MATCHER, way: WAY },
};
