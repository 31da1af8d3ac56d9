// SPDX-License-Identifier: Apache-2.0
/**
 * A policy from good examples: the smallest that accepts exactly what was shown.
 *
 * Evidence is verified before it comes here. Identities and issuers become exact values; of the claims, those that every
 * seal of an identity shares and that do not name one run (commits, run addresses); statements by type and, for provenance,
 * by builder. Artifacts with the same signers and statements share a rule. The result is read and tried before it is given
 * out: it accepts each example.
 */
import { stringify } from "yaml";
import { utf8 } from "@lacre/core/bytes";
import type { Json } from "@lacre/core/codec";
import { LacreError } from "@lacre/core/errors";
import type { Verdict, VerdictIdentity } from "@lacre/core/verify";
import { evaluate, type Evidence, type Proof, proofsFor, type Seal } from "./evaluate.ts";
import { parsePolicy, POLICY_SCHEMA } from "./policy.ts";

/** Claims that are another in every run. */
const OF_ONE_RUN = new Set([
  "buildSignerDigest",
  "sourceRepositoryDigest",
  "buildConfigDigest",
  "runInvocationURI",
  "githubWorkflowSHA",
  "tokenSubject",
]);

/** Where a provenance says who built: the type, and the path in its predicate. */
const BUILDERS: Readonly<Record<string, readonly string[]>> = {
  "https://slsa.dev/provenance/v1": ["runDetails", "builder", "id"],
  "https://slsa.dev/provenance/v0.2": ["builder", "id"],
};

const COSIGN_SIGN = "https://sigstore.dev/cosign/sign/v1";

interface Learned {
  readonly name: string;
  readonly issuer: string | undefined;
  readonly key: string | undefined;
  readonly value: string;
  claims: Map<string, string> | undefined;
}

/** Artifacts that were sealed alike. */
interface Group {
  readonly signatures: ReadonlySet<string>;
  readonly attestations: ReadonlyMap<string, ReadonlySet<string>>;
  readonly builders: Map<string, Set<string>>;
  readonly artifacts: Evidence["artifact"][];
}

/** What was learned, as a policy's data and as its text. */
export interface LearnedPolicy {
  readonly policy: Json;
  readonly text: string;
}

/** Writes a policy that accepts these artifacts. Throws SIGNATURE_MISSING for an artifact without a good seal. */
export function learnPolicy(examples: readonly Evidence[], name: string | undefined): LearnedPolicy {
  const signers = new Map<string, Learned>();
  const groups = new Map<string, Group>();
  for (const { artifact, seals } of examples) {
    const good = seals.filter((seal) => isGood(seal, artifact.digests));
    if (good.length === 0)
      throw new LacreError("SIGNATURE_MISSING", `nothing can be learned from ${artifact.name}: it has no good seal`);
    if (/[*?]/.test(artifact.name))
      throw new LacreError("POLICY_INVALID", `${artifact.name} cannot be named in a policy, where * and ? are globs`);
    const signatures = new Set<string>();
    const attestations = new Map<string, Set<string>>();
    const builders = new Map<string, string>();
    for (const { verdict } of good) {
      const signer = noteSigner(signers, verdict);
      const type = verdict.payloadType === undefined || verdict.predicateType === COSIGN_SIGN ? undefined : verdict.predicateType;
      if (verdict.payloadType !== undefined && verdict.predicateType === undefined) continue;
      if (type === undefined) signatures.add(signer.name);
      else {
        attestations.set(type, (attestations.get(type) ?? new Set()).add(signer.name));
        const builder = builderOf(verdict);
        if (builder !== undefined) builders.set(type, builder);
      }
    }
    const shape = JSON.stringify([
      artifact.kind,
      [...signatures].toSorted(),
      [...attestations].map(([type, names]) => `${type} ${[...names].toSorted().join(" ")}`).toSorted(),
    ]);
    const group: Group = groups.get(shape) ?? { signatures, attestations, builders: new Map(), artifacts: [] };
    group.artifacts.push(artifact);
    for (const [type, builder] of builders) group.builders.set(type, (group.builders.get(type) ?? new Set()).add(builder));
    groups.set(shape, group);
  }
  const policy = {
    schema: POLICY_SCHEMA,
    ...(name === undefined ? {} : { name }),
    signers: Object.fromEntries([...signers.values()].map((signer) => [signer.name, writeSigner(signer)])),
    rules: [...groups.values()].map(({ signatures, attestations, builders, artifacts }, at) => ({
      name: `learned ${at + 1}`,
      artifacts: [...new Set(artifacts.map(({ name: one }) => one))].map((one) => ({ kind: artifacts[0]!.kind, name: one })),
      ...(signatures.size === 0 ? {} : { signatures: quorum(signatures) }),
      ...(attestations.size === 0
        ? {}
        : {
            attestations: [...attestations].map(([type, names]) => ({
              type,
              ...quorum(names),
              ...conditionsOf(type, builders.get(type)),
            })),
          }),
    })),
  } satisfies Json;
  const text = stringify(policy, { lineWidth: 120 });
  tryOut(text, examples);
  return { policy, text };
}

function isGood({ verdict, about }: Seal, digests: Readonly<Record<string, string>>): boolean {
  if (verdict.outcome !== "verified") return false;
  const compared = Object.entries(about ?? verdict.artifact ?? {});
  return compared.length > 0 && compared.every(([hash, value]) => digests[hash] === value);
}

function quorum(names: ReadonlySet<string>): { readonly from: string[]; readonly atLeast: number } {
  return { from: [...names], atLeast: names.size };
}

function conditionsOf(type: string, builders: ReadonlySet<string> | undefined): { readonly conditions?: string[] } {
  const [builder] = builders ?? [];
  if (builder === undefined || builders!.size !== 1) return {};
  return { conditions: [`predicate.${BUILDERS[type]!.join(".")} == ${JSON.stringify(builder)}`] };
}

function builderOf({ predicateType, predicate }: Verdict): string | undefined {
  let value: Json | undefined = predicate;
  for (const step of BUILDERS[predicateType ?? ""] ?? ["\0"])
    value =
      typeof value === "object" && value !== null && !Array.isArray(value) && Object.hasOwn(value, step)
        ? (value as Readonly<Record<string, Json>>)[step]
        : undefined;
  return typeof value === "string" && /^[\x20-\x7e]{1,1000}$/.test(value) ? value : undefined;
}

// Claims are narrowed to what every seal of the identity shares.
function noteSigner(signers: Map<string, Learned>, { identity, key }: Verdict): Learned {
  const id = identity === undefined ? `key ${key ?? ""}` : `${identity.issuer ?? ""} ${identity.value}`;
  let signer = signers.get(id);
  if (signer === undefined) {
    const taken = new Set([...signers.values()].map((one) => one.name));
    signer = {
      name: freeName(nameOf(identity), taken),
      issuer: identity?.issuer,
      key,
      value: identity?.value ?? "",
      claims: undefined,
    };
    signers.set(id, signer);
  }
  if (identity !== undefined) {
    const shared = Object.entries(identity.claims).filter(([claim, value]) => {
      if (OF_ONE_RUN.has(claim) || value.trim() === "" || value !== value.trim()) return false;
      return signer.claims === undefined || signer.claims.get(claim) === value;
    });
    signer.claims = new Map(shared);
  }
  return signer;
}

function nameOf(identity: VerdictIdentity | undefined): string {
  if (identity === undefined) return "key";
  const last =
    identity.kind === "email"
      ? identity.value.split("@")[0]!
      : (identity.claims["sourceRepositoryURI"] ?? identity.value).replace(/@.*/, "");
  const word = last.split("/").findLast((part) => part !== "") ?? "";
  return (
    word
      .replaceAll(/[^A-Za-z0-9._-]/g, "-")
      .replace(/^[^A-Za-z0-9]+/, "")
      .slice(0, 40) || "signer"
  );
}

function freeName(name: string, taken: ReadonlySet<string>): string {
  if (!taken.has(name)) return name;
  let number = 2;
  while (taken.has(`${name}-${number}`)) number++;
  return `${name}-${number}`;
}

function writeSigner({ value, issuer, key, claims }: Learned): Json {
  if (key !== undefined) return { key };
  return {
    identity: value,
    issuer: issuer ?? "",
    ...(claims === undefined || claims.size === 0 ? {} : { claims: Object.fromEntries(claims) }),
  };
}

// The examples' verdicts answer the question that a policy without trust and thresholds puts.
function tryOut(text: string, examples: readonly Evidence[]): void {
  const policy = parsePolicy(utf8(text), "what was learned");
  for (const example of examples) {
    const [proof] = proofsFor(policy, example.artifact) as readonly [Proof];
    const decision = evaluate(policy, { ...example, seals: example.seals.map((seal) => ({ ...seal, proof: proof.id })) });
    if (decision.outcome !== "verified")
      throw new LacreError("INTERNAL", `what was learned does not accept ${example.artifact.name}`, {
        found: decision.reason ?? decision.outcome,
      });
  }
}
