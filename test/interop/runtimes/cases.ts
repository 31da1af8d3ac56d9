// SPDX-License-Identifier: Apache-2.0
/**
 * Verifications as data, for runtimes that are asked from outside: everything a question needs, and the verdict that the
 * library gives here, from source, under Node. Another runtime has to give the same verdict, check by check.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fromBase64, toBase64, toHex, utf8 } from "@lacre/core/bytes";
import { parsePem } from "@lacre/core/codec";
import { hash, importPublicKey } from "@lacre/core/crypto";
import { LacreError } from "@lacre/core/errors";
import { decodeTrustedRoot } from "@lacre/core/trust";
import { createVerifier } from "@lacre/core/verify";
import { ROOT } from "../../harness.ts";
import { bytesOf, createWorkshop, flip, IDENTITY, inBase64, ISSUER, NOW_MS, type Recipe, seal } from "../../workshop/workshop.ts";

/** A question; octets are in base64, digests in hexadecimal. */
export interface Question {
  readonly name: string;
  readonly bundle: string;
  readonly root: string;
  readonly key?: string;
  readonly message?: string;
  readonly digests: Readonly<Record<string, string>>;
  readonly identity: string;
  readonly issuer: string;
  readonly nowMs: number;
}

/** A question, and the answer: a verdict as JSON, or the code of what is wrong with the question's own key. */
export interface Case extends Question {
  readonly verdict: string;
  readonly outcome: string;
}

const BEACON =
  "https://github.com/sigstore-conformance/extremely-dangerous-public-oidc-beacon/.github/workflows/extremely-dangerous-oidc-beacon.yml@refs/heads/main";

/** The cases of sigstore-conformance that lie beside the repository, and our own. */
export function createCases(): readonly Case[] {
  return [...conformance(), ...own()].map((question) => ({ ...question, ...answer(question) }));
}

function digestsOf(message: Uint8Array): Record<string, string> {
  return Object.fromEntries((["sha256", "sha384", "sha512"] as const).map((name) => [name, toHex(hash(name, message))]));
}

function conformance(): Question[] {
  const vectors = join(process.env["LACRE_VECTORS"] ?? join(ROOT, "..", "shared"), "vectors");
  const folder = join(vectors, "bundle-verify");
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => {
      const file = (part: string): string => join(folder, name, part);
      const message = readFileSync(existsSync(file("artifact")) ? file("artifact") : join(folder, "a.txt"));
      const root = existsSync(file("trusted_root.json"))
        ? file("trusted_root.json")
        : join(vectors, "public-good-trusted_root.json");
      return {
        name,
        bundle: toBase64(readFileSync(file("bundle.sigstore.json"))),
        root: toBase64(readFileSync(root)),
        ...(existsSync(file("key.pub")) ? { key: toBase64(readFileSync(file("key.pub"))) } : {}),
        digests: digestsOf(message),
        identity: BEACON,
        issuer: "https://token.actions.githubusercontent.com",
        nowMs: NOW_MS,
      };
    });
}

const RECIPES: Readonly<Record<string, Recipe>> = {
  "v1 message": {},
  "v1 message P-384": { keyType: "P-384" },
  "v1 message P-521": { keyType: "P-521" },
  "v1 message RSA": { keyType: "RSA" },
  "v1 statement": { content: "dsse" },
  "v1 statement intoto": { content: "dsse", kind: "intoto" },
  "v2 message": { dialect: "v2" },
  "v2 message P-384": { dialect: "v2", keyType: "P-384" },
  "v2 statement": { dialect: "v2", content: "dsse" },
  "v1 statement Ed25519": { content: "dsse", keyType: "Ed25519" },
  "another signature": { signature: (made) => flip(made) },
  "another checkpoint": { dialect: "v2", checkpoint: (note) => note.replace(/\n1\n/, "\n2\n") },
  "another timestamp": { dialect: "v2", imprint: (signature) => flip(signature) },
  "another statement": {
    content: "dsse",
    bundle: (bundle) => void (bundle["dsseEnvelope"].payload = inBase64(bundle["dsseEnvelope"].payload, flip)),
  },
};

function own(): Question[] {
  const workshops = { "P-256": createWorkshop(), "P-384": createWorkshop({ authorityKeys: "P-384" }) };
  return Object.entries(workshops).flatMap(([authority, workshop]) =>
    Object.entries(RECIPES).map(([name, recipe]) => {
      const { bundle, root, artifact } = seal(workshop, recipe);
      return {
        name: `${name}, authority of ${authority}`,
        bundle: toBase64(bytesOf(bundle)),
        root: toBase64(bytesOf(root)),
        message: toBase64(artifact),
        digests: {},
        identity: IDENTITY,
        issuer: ISSUER,
        nowMs: NOW_MS,
      };
    }),
  );
}

function answer({ bundle, root, key, message, digests, identity, issuer, nowMs }: Question): Pick<Case, "verdict" | "outcome"> {
  try {
    const publicKey =
      key === undefined ? undefined : importPublicKey(parsePem(new TextDecoder().decode(fromBase64(key)), "PUBLIC KEY"));
    const verdict = createVerifier({ trustedRoot: decodeTrustedRoot(fromBase64(root)) }).verify({
      bundle: fromBase64(bundle),
      artifact: {
        digests: new Map(Object.entries(digests).map(([name, digest]) => [name as "sha256", Buffer.from(digest, "hex")])),
        ...(message === undefined ? {} : { message: fromBase64(message) }),
      },
      policy: publicKey === undefined ? { identities: [{ identity: { exact: identity }, issuer: { exact: issuer } }] } : {},
      ...(publicKey === undefined ? {} : { key: publicKey }),
      nowMs,
    });
    return { verdict: JSON.stringify(verdict), outcome: verdict.outcome };
  } catch (error) {
    if (!(error instanceof LacreError)) throw error;
    return { verdict: error.code, outcome: "refused" };
  }
}

/** What a runtime is asked: the questions alone. */
export function questionsOf(cases: readonly Case[]): Uint8Array {
  return utf8(JSON.stringify(cases.map((one) => ({ ...one, verdict: undefined, outcome: undefined }))));
}
