// SPDX-License-Identifier: Apache-2.0
/**
 * Verifies signed commits and tags: asks Git for the object's octets, holds the signature to them, and takes it through the
 * verifier.
 *
 * Git is asked for octets alone; what it says of signatures is not used. That they are the object's is checked by its name, which is
 * their hash. A ledger is asked only where the signature does not carry its entry, for the name of the object, and only the one that
 * is named by `--rekor-url` or by the signing config of the installation that is trusted.
 */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { findEntriesV1 } from "@lacre/core/client";
import type { LogEntry } from "@lacre/core/bundle";
import { equalBytes, utf8 } from "@lacre/core/bytes";
import { sha256 } from "@lacre/core/crypto";
import { decodeEntry } from "@lacre/core/entry";
import { LacreError } from "@lacre/core/errors";
import { gitBundle, openGitSignature, parseSignedObject, type GitSignature } from "@lacre/core/git";
import { selectServices } from "@lacre/core/trust";
import { decidingCheck, type Policy, type Verdict, type Verifier } from "@lacre/core/verify";
import type { Context } from "./context.ts";
import { CliError } from "./errors.ts";
import { findSigningConfig, type TrustFlags } from "./trust.ts";

export interface GitQuestion {
  readonly kind: "commit" | "tag";
  readonly revision: string;
  readonly verifier: Verifier;
  readonly policy: Policy;
  readonly trust: TrustFlags;
  readonly rekorUrl: string | undefined;
}

/** Larger objects are no commits and no tags. */
const MAX_OBJECT = 16 << 20;

function git(context: Context, args: readonly string[]): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const options = {
      cwd: context.cwd,
      encoding: "buffer" as const,
      maxBuffer: MAX_OBJECT + 1,
      env: { ...process.env, GIT_NO_REPLACE_OBJECTS: "1" },
    };
    execFile("git", args, options, (error, stdout, stderr) => {
      if (error === null) return resolve(stdout);
      const isAbsent = (error as NodeJS.ErrnoException).code === "ENOENT";
      const said = isAbsent ? "the program git is not installed" : stderr.toString().trim().split("\n")[0]!.slice(0, 300);
      reject(new CliError("GIT_UNREADABLE", said === "" ? error.message : said, { cause: error }));
    });
  });
}

/** The object that a revision names, and its octets. Throws GIT_UNREADABLE, USAGE. */
async function readObject(context: Context, kind: "commit" | "tag", revision: string): Promise<{ name: string; bytes: Buffer }> {
  if (revision.startsWith("-")) throw new CliError("USAGE", `${JSON.stringify(revision)} is no revision`);
  const named = kind === "commit" ? `${revision}^{commit}` : `${revision}^{tag}`;
  const name = (await git(context, ["rev-parse", "--verify", "--end-of-options", named])).toString().trim();
  const bytes = await git(context, ["cat-file", kind, name]);
  const hash = createHash(name.length === 64 ? "sha256" : "sha1")
    .update(`${kind} ${bytes.length}\0`)
    .update(bytes)
    .digest("hex");
  if (hash !== name)
    throw new LacreError("GIT_OBJECT_INVALID", "the object is not the one of its name", { expected: name, found: hash });
  return { name, bytes };
}

/** Judges one commit or tag. Throws GIT_* for what is no signature of this object; everything else is in the verdict. */
export async function verifyObject(
  context: Context,
  question: GitQuestion,
): Promise<{ readonly name: string; readonly verdict: Verdict }> {
  const { kind, revision, verifier, policy } = question;
  const { name, bytes } = await readObject(context, kind, revision);
  const signed = openGitSignature(parseSignedObject(bytes));
  const nowMs = context.now();
  const message = (of: Uint8Array) => ({ message: of, digests: new Map([["sha256" as const, sha256(of)]]) });
  const own = (ignoreTlog: boolean): Verdict =>
    verifier.verify({
      bundle: gitBundle(signed),
      artifact: message(signed.signedBytes),
      policy: ignoreTlog ? { ...policy, ignoreTlog } : policy,
      nowMs,
    });
  if (signed.entry !== undefined || policy.ignoreTlog === true) return { name, verdict: own(policy.ignoreTlog === true) };
  // The entry is of another signature by the same certificate, over the object's name. A timestamp is of the first one, which
  // then has to stand by itself.
  if (signed.timestamps.length > 0) {
    const verdict = own(true);
    if (verdict.outcome === "refused") return { name, verdict };
  }
  return { name, verdict: await verifyLogged(context, question, name, signed) };
}

async function verifyLogged(context: Context, question: GitQuestion, name: string, signed: GitSignature): Promise<Verdict> {
  if (question.trust.offline === true) {
    throw new CliError("OFFLINE", "the signature does not carry its log entry, which would have to be asked for", {
      hint: "Sign with gitsign.rekorMode set to offline, so that the entry travels along.",
    });
  }
  const url = question.rekorUrl ?? (await findLedger(context, question.trust));
  const said = utf8(name);
  const artifact = { message: said, digests: new Map([["sha256" as const, sha256(said)]]) };
  let best: Verdict | undefined;
  for (const entry of await findEntriesV1({ url, fetch: context.fetch }, { algorithm: "sha256", value: sha256(said) })) {
    const signature = signatureOf(entry, signed);
    if (signature === undefined) continue;
    const bundle = gitBundle({ certificate: signed.certificate, signature, entry, timestamps: [] });
    const verdict = question.verifier.verify({ bundle, artifact, policy: question.policy, nowMs: context.now() });
    if (verdict.outcome === "verified") return verdict;
    best ??= verdict;
    if (decidingCheck(best) === undefined) best = verdict;
  }
  if (best !== undefined) return best;
  throw new LacreError("GIT_ENTRY_MISSING", `the ledger has no entry of ${name} by the certificate that signed it`, {
    found: url,
  });
}

/** The signature that an entry records by the certificate of the commit; undefined where it records another's. */
function signatureOf({ canonicalizedBody, kind, version }: LogEntry, { certificate }: GitSignature): Uint8Array | undefined {
  try {
    return decodeEntry(canonicalizedBody, kind, version).signatures.find(({ verifier }) =>
      equalBytes(verifier.der, certificate.der),
    )?.signature;
  } catch (error) {
    if (error instanceof LacreError) return undefined;
    throw error;
  }
}

/** The ledger of the v1 dialect that the installation signs with: the one that gitsign asks. */
async function findLedger(context: Context, trust: TrustFlags): Promise<string> {
  const hint = "Give the ledger with --rekor-url, or let the signer set gitsign.rekorMode to offline.";
  const { value } = await findSigningConfig(context, trust).catch((cause: unknown) => {
    if (!(cause instanceof CliError) || cause.code !== "SERVICES_MISSING") throw cause;
    throw new CliError(
      "SERVICES_MISSING",
      "the signature does not carry its log entry, and it is not known which ledger to ask",
      { hint },
    );
  });
  const [ledger] = selectServices(value.rekorTlogUrls, { selector: "ANY" }, { supported: [1], nowMs: context.now() });
  if (ledger === undefined)
    throw new CliError("SERVICES_MISSING", "the signing config names no ledger of the v1 dialect, the one that can be searched", {
      hint,
    });
  return ledger.url;
}
