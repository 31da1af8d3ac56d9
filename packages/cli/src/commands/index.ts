// SPDX-License-Identifier: Apache-2.0
/** The verbs. Only the one that is asked for is loaded; the rest are known by name and brief. */
import type { Verb } from "../verb.ts";

export interface VerbEntry {
  readonly brief: string;
  readonly load: () => Promise<{ readonly verb: Verb }>;
}

/** Verbs that go together, named by two words. */
export interface VerbGroup {
  readonly brief: string;
  readonly verbs: Readonly<Record<string, VerbEntry>>;
}

/** The verb that a line begins with, and how many words name it; undefined for a group alone, and for none. */
export function findEntry(words: readonly string[]): { readonly entry: VerbEntry; readonly words: number } | undefined {
  const own = (table: object, name: string | undefined): boolean => name !== undefined && Object.hasOwn(table, name);
  const first = own(VERBS, words[0]) ? VERBS[words[0]!] : undefined;
  if (first === undefined) return undefined;
  if ("load" in first) return { entry: first, words: 1 };
  return own(first.verbs, words[1]) ? { entry: first.verbs[words[1]!]!, words: 2 } : undefined;
}

export const VERBS: Readonly<Record<string, VerbEntry | VerbGroup>> = {
  up: { brief: "Run a whole installation: authority, ledger, clock, trust, identity", load: () => import("./up.ts") },
  token: { brief: "Print an identity token of a development installation", load: () => import("./token.ts") },
  sign: { brief: "Seal artifacts: certificate, signature, timestamp, ledger entry, bundle", load: () => import("./sign.ts") },
  verify: { brief: "Verify artifacts and say who sealed them, when, and where it is logged", load: () => import("./verify.ts") },
  "sign-blob": { brief: "Seal a file (cosign's spelling)", load: () => import("./sign-blob.ts") },
  "verify-blob": { brief: "Verify a file (cosign's spelling)", load: () => import("./verify-blob.ts") },
  attest: { brief: "Seal a statement about an image and store it beside the image", load: () => import("./attest.ts") },
  "attest-blob": { brief: "Seal a statement about a file (cosign's spelling)", load: () => import("./attest-blob.ts") },
  "verify-attestation": { brief: "Verify attestations of images", load: () => import("./verify-attestation.ts") },
  "verify-blob-attestation": {
    brief: "Verify a statement about a file (cosign's spelling)",
    load: () => import("./verify-blob-attestation.ts"),
  },
  tree: { brief: "Show what is stored beside an image", load: () => import("./tree.ts") },
  copy: { brief: "Copy an image with all its signatures and attestations", load: () => import("./copy.ts") },
  save: { brief: "Save an image with its signatures into a folder", load: () => import("./save.ts") },
  load: { brief: "Load a saved image with its signatures into a registry", load: () => import("./load.ts") },
  clean: { brief: "Remove signatures, attestations and SBOMs from an image", load: () => import("./clean.ts") },
  prune: { brief: "Remove what is signed about images that are gone", load: () => import("./prune.ts") },
  triangulate: { brief: "Print where an image's older attachments are kept", load: () => import("./triangulate.ts") },
  download: {
    brief: "Print what is stored beside an image, unverified",
    verbs: {
      signature: { brief: "Print an image's signatures", load: () => import("./download/signature.ts") },
      attestation: { brief: "Print an image's attestations", load: () => import("./download/attestation.ts") },
      sbom: { brief: "Print the SBOM that is attached to an image", load: () => import("./download/sbom.ts") },
    },
  },
  dockerfile: {
    brief: "Verify what a Dockerfile is built from",
    verbs: {
      verify: { brief: "Verify the images that a Dockerfile is built from", load: () => import("./dockerfile/verify.ts") },
    },
  },
  manifest: {
    brief: "Verify what a Kubernetes manifest runs",
    verbs: { verify: { brief: "Verify the images that a Kubernetes manifest runs", load: () => import("./manifest/verify.ts") } },
  },
  attach: {
    brief: "Attach signatures, attestations and SBOMs that were made elsewhere",
    verbs: {
      signature: { brief: "Attach a signature that was made elsewhere", load: () => import("./attach/signature.ts") },
      attestation: { brief: "Attach attestations that were made elsewhere", load: () => import("./attach/attestation.ts") },
      sbom: { brief: "Attach a bill of materials, unsigned", load: () => import("./attach/sbom.ts") },
    },
  },
  generate: { brief: "Print the payload of an image signature, to be signed elsewhere", load: () => import("./generate.ts") },
  upload: {
    brief: "Store files in a registry",
    verbs: {
      blob: { brief: "Store files in a registry, as an image of one layer each", load: () => import("./upload/blob.ts") },
    },
  },
  login: { brief: "Remember who you are at a registry", load: () => import("./login.ts") },
  logout: { brief: "Forget who you are at a registry", load: () => import("./logout.ts") },
  "generate-key-pair": { brief: "Make a key pair of your own", load: () => import("./generate-key-pair.ts") },
  "import-key-pair": { brief: "Make a key pair from a private key that you have", load: () => import("./import-key-pair.ts") },
  "public-key": { brief: "Print the public half of a key", load: () => import("./public-key.ts") },
  "verify-commit": { brief: "Verify commits that gitsign signed", load: () => import("./verify-commit.ts") },
  "verify-tag": { brief: "Verify annotated tags that gitsign signed", load: () => import("./verify-tag.ts") },
  "pkcs11-tool": {
    brief: "Look into tokens by their PKCS#11 module",
    verbs: {
      "list-tokens": { brief: "List the tokens that a module sees", load: () => import("./pkcs11-tool/list-tokens.ts") },
      "list-keys-uris": {
        brief: "List the keys of a token as URIs for --key",
        load: () => import("./pkcs11-tool/list-keys-uris.ts"),
      },
    },
  },
  explain: { brief: "Explain a saved verdict, check by check", load: () => import("./explain.ts") },
  monitor: { brief: "Watch over a log: every checkpoint, every entry, and who signs as you", load: () => import("./monitor.ts") },
  log: {
    brief: "Search and read a log, each answer proved",
    verbs: {
      search: {
        brief: "Find entries by digest, identity, issuer, repository, key: all of them, or a proof that there are none",
        load: () => import("./log/search.ts"),
      },
      entry: { brief: "Show an entry, proved to be in the log", load: () => import("./log/entry.ts") },
      proof: { brief: "Print the inclusion proof of an entry, checked", load: () => import("./log/proof.ts") },
      follow: { brief: "Print new entries as they come, each proved", load: () => import("./log/follow.ts") },
    },
  },
  policy: {
    brief: "Policies: learn one from good artifacts, try it, have it explained",
    verbs: {
      learn: { brief: "Write the smallest policy that accepts these artifacts", load: () => import("./policy/learn.ts") },
      test: { brief: "Hold a policy against cases with known outcomes", load: () => import("./policy/test.ts") },
      explain: {
        brief: "Say in plain words what a policy wants, and of an artifact why it has it or not",
        load: () => import("./policy/explain.ts"),
      },
      check: {
        brief: "Read a policy and the keys it names, and say what is wrong with it",
        load: () => import("./policy/check.ts"),
      },
    },
  },
  initialize: { brief: "Remember an installation: its trust, verified by TUF", load: () => import("./initialize.ts") },
  trust: {
    brief: "Whom to trust: installations that are remembered, and packs for sites without a network",
    verbs: {
      list: {
        brief: "List the installations that are remembered, and which one is meant",
        load: () => import("./trust/list.ts"),
      },
      use: { brief: "Choose the installation that is meant when nothing says otherwise", load: () => import("./trust/use.ts") },
      remove: { brief: "Forget a remembered installation", load: () => import("./trust/remove.ts") },
      pack: {
        brief: "Pack a trusted root with expiry and revocations into one sealed file",
        load: () => import("./trust/pack.ts"),
      },
    },
  },
  "trusted-root": {
    brief: "Trusted roots",
    verbs: {
      create: { brief: "Write a trusted root from keys and certificates", load: () => import("./trusted-root/create.ts") },
    },
  },
  "signing-config": {
    brief: "Signing configs",
    verbs: { create: { brief: "Write a signing config from addresses", load: () => import("./signing-config/create.ts") } },
  },
  bundle: {
    brief: "Bundles",
    verbs: {
      create: { brief: "Put loose parts of a signature together into a bundle", load: () => import("./bundle/create.ts") },
      inspect: { brief: "Show what a bundle says, without verifying it", load: () => import("./bundle/inspect.ts") },
      upgrade: { brief: "Write a bundle again in the present version", load: () => import("./bundle/upgrade.ts") },
    },
  },
  env: { brief: "List the environment variables that count, and which are set", load: () => import("./env.ts") },
  completion: { brief: "Print a completion script for bash, zsh or fish", load: () => import("./completion.ts") },
  version: { brief: "Print the version", load: () => import("./version.ts") },
};
