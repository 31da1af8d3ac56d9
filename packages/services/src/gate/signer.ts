// SPDX-License-Identifier: Apache-2.0
/**
 * Signers: whom a policy accepts, by name, each in one way or in several.
 *
 *     signers:
 *       alice:    [{identity: alice@example.com, issuer: https://accounts.example}, {key: keys/alice.pub}]
 *       release:  {github: {repository: org/app, workflow: .github/workflows/release.yml, ref: refs/tags/*}}
 *       anybody:  {identity: {pattern: '.*@example\.com'}, issuer: https://accounts.example, each: true}
 *
 * A signer counts once, however many ways and bundles there are; with `each`, every different identity that fits counts.
 * The forms of CI systems (`github`, `gitlab`, `buildkite`, `circleci`) are short for identity, issuer and claims, as
 * Fulcio's public configuration makes them. Their values are globs.
 */
import { parsePem } from "@lacre/core/codec";
import { toHex } from "@lacre/core/bytes";
import { importPublicKey, sha256 } from "@lacre/core/crypto";
import type { Json } from "@lacre/core/codec";
import type { Verdict } from "@lacre/core/verify";
import { CLAIMS } from "@lacre/core/x509";
import { wrong } from "./document.ts";
import { asText, nearest, Section } from "./section.ts";
import { exactly, readGlob, readMatcher, type TextMatcher } from "./matcher.ts";

/** A key as a policy names it. */
export interface KeyReference {
  /** As written; PEM by its fingerprint. */
  readonly name: string;
  /** `sha256:` of the SubjectPublicKeyInfo, where the policy itself says which; otherwise its host finds the key. */
  readonly fingerprint: string | undefined;
  /** The key itself, where the policy holds it. */
  readonly spki: Uint8Array | undefined;
}

/** One way in which a signer signs. */
export type Way =
  | {
      readonly kind: "identity";
      readonly identity: TextMatcher;
      readonly issuer: TextMatcher;
      readonly claims: ReadonlyMap<string, TextMatcher>;
    }
  | { readonly kind: "key"; readonly key: KeyReference };

/** Somebody who may sign. */
export interface Signer {
  readonly name: string;
  readonly ways: readonly Way[];
  /** Every different identity that fits counts as a signer of its own. */
  readonly isEach: boolean;
}

/** Fingerprints of keys that a policy names by reference, as its host found them. */
export type Keys = ReadonlyMap<string, string>;

const CI_FORMS = ["github", "gitlab", "buildkite", "circleci"] as const;
const WAY_MEMBERS = ["identity", "issuer", "claims", "key", "each", ...CI_FORMS];
const MAX_WAYS = 32;

/** Reads a signer: one way, or a list of them. Throws POLICY_INVALID. */
export function readSigner(name: string, value: Json | undefined, where: string): Signer {
  const list = Array.isArray(value) ? (value as readonly Json[]) : [value];
  if (list.length === 0) throw wrong(where, "is empty: nobody could sign");
  if (list.length > MAX_WAYS) throw wrong(where, "has too many ways to sign", { expected: `at most ${MAX_WAYS}` });
  const sections = list.map(
    (one, at) => new Section(one, list.length === 1 && !Array.isArray(value) ? where : `${where}[${at}]`, WAY_MEMBERS),
  );
  return { name, ways: sections.map(readWay), isEach: sections.some((section) => section.flag("each")) };
}

function readWay(section: Section): Way {
  const forms = ["identity", "key", ...CI_FORMS].filter((name) => section.has(name));
  if (forms.length !== 1)
    throw wrong(
      section.where,
      forms.length === 0 ? "does not say who: identity, key, github, gitlab, buildkite or circleci" : "says who in two ways",
      {
        expected: "one of identity, key, github, gitlab, buildkite, circleci",
        found: forms.join(" and ") || "none",
      },
    );
  const [form] = forms;
  if (form !== "identity")
    for (const name of ["issuer", "claims"])
      if (section.has(name) && !(name === "claims" && form !== "key"))
        throw wrong(section.at(name), `says nothing beside ${form}`);
  if (form === "key") {
    if (section.has("each")) throw wrong(section.at("each"), "says nothing beside key");
    return { kind: "key", key: readKey(section.get("key"), section.at("key")) };
  }
  const claims = readClaims(section);
  if (form === "identity") {
    return {
      kind: "identity",
      identity: readMatcher(section.get("identity"), section.at("identity")),
      issuer: readMatcher(section.get("issuer"), section.at("issuer")),
      claims,
    };
  }
  const made = FORMS[form as (typeof CI_FORMS)[number]](section.get(form!), section.at(form!));
  return { ...made, claims: new Map([...made.claims, ...claims]) };
}

function readClaims(section: Section): ReadonlyMap<string, TextMatcher> {
  if (!section.has("claims")) return new Map();
  const where = section.at("claims");
  const given = new Section(section.get("claims"), where, undefined);
  if (given.names.length === 0) throw wrong(where, "is empty: it would ask for nothing");
  return new Map(
    given.names.map((name) => {
      if (!CLAIMS.has(name)) {
        const near = nearest(name, [...CLAIMS.keys()]);
        throw wrong(where, `has no claim "${name.slice(0, 60)}"`, {
          expected: near === undefined ? [...CLAIMS.keys()].join(", ") : `${near} (did you mean that?)`,
          found: name.slice(0, 60),
        });
      }
      return [name, readMatcher(given.get(name), given.at(name))];
    }),
  );
}

/** Reads a key: PEM, `sha256:` of the key, or a reference that the host resolves. Throws POLICY_INVALID, KEY_INVALID. */
export function readKey(value: Json | undefined, where: string): KeyReference {
  const written = asText(value, where);
  if (written.startsWith("-----BEGIN ")) {
    if (!written.startsWith("-----BEGIN PUBLIC KEY-----"))
      throw wrong(where, "is PEM, and not of a public key", { expected: "BEGIN PUBLIC KEY", found: written.slice(0, 40) });
    const { spki } = importPublicKey(parsePem(written, "PUBLIC KEY"));
    const fingerprint = `sha256:${toHex(sha256(spki))}`;
    return { name: fingerprint, fingerprint, spki };
  }
  if (/^sha256:[0-9a-f]{64}$/.test(written)) return { name: written, fingerprint: written, spki: undefined };
  if (/^sha\d+:/i.test(written))
    throw wrong(where, "is no fingerprint", {
      expected: "sha256: and 64 hexadecimal digits in lower case",
      found: written.slice(0, 80),
    });
  return { name: written, fingerprint: undefined, spki: undefined };
}

type IdentityWay = Way & { readonly kind: "identity" };

function ciWay(
  section: Section,
  issuer: string,
  identity: string,
  claims: Readonly<Record<string, string | undefined>>,
): IdentityWay {
  const glob = (value: string): TextMatcher => readGlob(value, section.where);
  return {
    kind: "identity",
    identity: glob(identity),
    issuer: section.has("issuer") ? readMatcher(section.get("issuer"), section.at("issuer")) : exactly(issuer),
    claims: new Map(
      Object.entries(claims).flatMap(([name, value]) => (value === undefined ? [] : [[name, glob(value)] as const])),
    ),
  };
}

// What each CI system's certificates say. Values of the policy become parts of globs.
const FORMS: Readonly<Record<(typeof CI_FORMS)[number], (value: Json | undefined, where: string) => IdentityWay>> = {
  github(value, where) {
    const section = new Section(value, where, [
      "repository",
      "workflow",
      "ref",
      "trigger",
      "environment",
      "runner",
      "host",
      "issuer",
    ]);
    const host = section.optionalText("host") ?? "github.com";
    const repository = section.text("repository");
    const workflow = section.optionalText("workflow");
    // A workflow of another repository (a reusable one) is written with that repository in front.
    const path = workflow === undefined ? undefined : workflow.startsWith(".github/") ? `${repository}/${workflow}` : workflow;
    const issuer = host === "github.com" ? "https://token.actions.githubusercontent.com" : `https://${host}/_services/token`;
    return ciWay(section, issuer, path === undefined ? `https://${host}/**` : `https://${host}/${path}@**`, {
      sourceRepositoryURI: `https://${host}/${repository}`,
      sourceRepositoryRef: section.optionalText("ref"),
      buildTrigger: section.optionalText("trigger"),
      runnerEnvironment: section.optionalText("runner"),
      deploymentEnvironment: section.optionalText("environment"),
    });
  },
  gitlab(value, where) {
    const section = new Section(value, where, ["project", "config", "ref", "trigger", "environment", "runner", "host", "issuer"]);
    const host = section.optionalText("host") ?? "gitlab.com";
    const project = section.text("project");
    const config = section.optionalText("config");
    return ciWay(
      section,
      `https://${host}`,
      config === undefined ? `https://${host}/**` : `https://${host}/${project}//${config}@**`,
      {
        sourceRepositoryURI: `https://${host}/${project}`,
        sourceRepositoryRef: section.optionalText("ref"),
        buildTrigger: section.optionalText("trigger"),
        runnerEnvironment: section.optionalText("runner"),
        deploymentEnvironment: section.optionalText("environment"),
      },
    );
  },
  buildkite(value, where) {
    const section = new Section(value, where, ["organization", "pipeline", "trigger", "runner", "issuer"]);
    return ciWay(
      section,
      "https://agent.buildkite.com",
      `https://buildkite.com/${section.text("organization")}/${section.text("pipeline")}`,
      {
        buildTrigger: section.optionalText("trigger"),
        runnerEnvironment: section.optionalText("runner"),
      },
    );
  },
  circleci(value, where) {
    const section = new Section(value, where, ["organization", "project", "definition", "repository", "ref", "issuer"]);
    const issuer = `https://oidc.circleci.com/org/${section.text("organization")}`;
    const definition = section.optionalText("definition") ?? "*";
    return ciWay(
      section,
      issuer,
      `https://circleci.com/api/v2/projects/${section.text("project")}/pipeline-definitions/${definition}`,
      {
        sourceRepositoryURI: section.optionalText("repository"),
        sourceRepositoryRef: section.optionalText("ref"),
      },
    );
  },
};

/** A way in words. */
export function describeWay(way: Way): string {
  if (way.kind === "key") return `key ${way.key.name}`;
  const claims = [...way.claims].map(([name, matcher]) => `, ${name} ${matcher.shown}`).join("");
  return `${way.identity.shown} from ${way.issuer.shown}${claims}`;
}

/** What keeps a proved signer from being this one: undefined when nothing does, else the nearest miss in words. */
export function missOf(signer: Signer, verdict: Verdict, keys: Keys): string | undefined {
  let nearestMiss = { rank: -1, text: "" };
  for (const way of signer.ways) {
    const miss = missOfWay(way, verdict, keys);
    if (miss === undefined) return undefined;
    if (miss.rank > nearestMiss.rank) nearestMiss = miss;
  }
  return nearestMiss.text;
}

function missOfWay(
  way: Way,
  { identity, key }: Verdict,
  keys: Keys,
): { readonly rank: number; readonly text: string } | undefined {
  if (way.kind === "key") {
    const fingerprint = way.key.fingerprint ?? keys.get(way.key.name);
    if (fingerprint !== undefined && key === fingerprint) return undefined;
    return { rank: 0, text: fingerprint === undefined ? `the key ${way.key.name} is not known` : "another key" };
  }
  if (identity === undefined || !way.identity.test(identity.value)) return { rank: 0, text: "another identity" };
  if (identity.issuer === undefined || !way.issuer.test(identity.issuer))
    return { rank: 1, text: `the identity is right, its issuer is not (${identity.issuer ?? "none"})` };
  for (const [name, matcher] of way.claims) {
    const value = Object.hasOwn(identity.claims, name) ? identity.claims[name] : undefined;
    if (value === undefined || !matcher.test(value))
      return { rank: 2, text: `claim ${name} is ${value ?? "absent"}, not ${matcher.shown}` };
  }
  return undefined;
}

/**
 * Who signed, so that one person is not counted twice: the name in the certificate whatever its key, its issuer and its
 * claims are, or the key.
 */
export function personOf({ identity, key }: Verdict): string {
  return identity === undefined ? `key ${key ?? ""}` : identity.value;
}

/**
 * How many distinct signers there are: the largest number of pairs of a person and a signer of the policy in which each
 * person stands once, and each signer once unless it is `each`. `fits[i]` lists the signers that person i is.
 */
export function countDistinct(fits: readonly (readonly number[])[], isEach: readonly boolean[]): number {
  const holder = new Map<number, number>();
  const assign = (person: number, seen: Set<number>): boolean => {
    for (const signer of fits[person]!) {
      if (isEach[signer] === true) return true;
      if (seen.has(signer)) continue;
      seen.add(signer);
      const current = holder.get(signer);
      if (current === undefined || assign(current, seen)) {
        holder.set(signer, person);
        return true;
      }
    }
    return false;
  };
  return fits.filter((_, person) => assign(person, new Set())).length;
}
