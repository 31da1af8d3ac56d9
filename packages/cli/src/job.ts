// SPDX-License-Identifier: Apache-2.0
/** One file with its seal beside it, and how it is judged: the same in the one thread of a small run and in each of a large. */
import { lstatSync } from "node:fs";
import type { PublicKey } from "@lacre/core/crypto";
import type { Policy, RootSource, Verdict, Verifier } from "@lacre/core/verify";
import type { Artifact } from "./artifact.ts";
import { checkOne, splitBundles } from "./checking.ts";
import type { Context } from "./context.ts";
import { CliError, type Report, reportOf } from "./errors.ts";
import type { SpelledPolicy } from "./spelled-policy.ts";
import { readNamed } from "./trust.ts";

export type FileArtifact = Artifact & { readonly kind: "file" };

/** A file, and where its seal should be. */
export interface Job {
  readonly artifact: FileArtifact;
  readonly bundlePath: string;
}

/** What became of a job. */
export type Outcome = { readonly verdict: Verdict } | { readonly report: Report };

/** What the name of a seal ends with. */
export const SUFFIX = ".sigstore.json";

/** What a thread is started with. */
export interface Order {
  readonly policy: SpelledPolicy;
  /** SubjectPublicKeyInfo of the key, in key mode. */
  readonly key: Uint8Array | undefined;
  /** The trusted root's text. */
  readonly root: Uint8Array | undefined;
  readonly rootSource: RootSource | undefined;
  /** The moment as of which all threads judge. */
  readonly nowMs: number;
}

/** How one job is judged, here or in a thread. */
export async function judge(
  context: Context,
  verifier: Verifier,
  { policy, key }: { readonly policy: Policy; readonly key: PublicKey | undefined },
  { artifact, bundlePath }: Job,
): Promise<Outcome> {
  try {
    const facts = lstatSync(bundlePath, { throwIfNoEntry: false });
    if (facts === undefined)
      throw new CliError("SEAL_MISSING", `there is no seal for ${artifact.name}: looked for ${artifact.name}${SUFFIX}`);
    const bundles = splitBundles(await readNamed(context, bundlePath));
    return { verdict: await checkOne(context, verifier, { policy, key }, bundles, artifact) };
  } catch (error) {
    return { report: reportOf(error) };
  }
}
