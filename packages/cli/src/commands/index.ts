// SPDX-License-Identifier: Apache-2.0
/** The verbs. Only the one that is asked for is loaded; the rest are known by name and brief. */
import type { Verb } from "../verb.ts";

export interface VerbEntry {
  readonly brief: string;
  readonly load: () => Promise<{ readonly verb: Verb }>;
}

export const VERBS: Readonly<Record<string, VerbEntry>> = {
  up: { brief: "Run a whole installation: authority, ledger, clock, trust, identity", load: () => import("./up.ts") },
  token: { brief: "Print an identity token of a development installation", load: () => import("./token.ts") },
  sign: { brief: "Seal artifacts: certificate, signature, timestamp, ledger entry, bundle", load: () => import("./sign.ts") },
  verify: { brief: "Verify artifacts and say who sealed them, when, and where it is logged", load: () => import("./verify.ts") },
  "sign-blob": { brief: "Seal a file (cosign's spelling)", load: () => import("./sign-blob.ts") },
  "verify-blob": { brief: "Verify a file (cosign's spelling)", load: () => import("./verify-blob.ts") },
  "attest-blob": { brief: "Seal a statement about a file (cosign's spelling)", load: () => import("./attest-blob.ts") },
  "verify-blob-attestation": { brief: "Verify a statement about a file (cosign's spelling)", load: () => import("./verify-blob-attestation.ts") },
  monitor: { brief: "Watch over a log: every checkpoint, every entry, and who signs as you", load: () => import("./monitor.ts") },
  initialize: { brief: "Remember an installation: its trust, verified by TUF", load: () => import("./initialize.ts") },
  completion: { brief: "Print a completion script for bash, zsh or fish", load: () => import("./completion.ts") },
  version: { brief: "Print the version", load: () => import("./version.ts") },
};
