// SPDX-License-Identifier: Apache-2.0
/**
 * Which logs and how many witnesses: the policy file of C2SP tlog-policy, and the judgement by it.
 *
 *     log      <vkey> [<url>]
 *     witness  <name> <vkey> [<url>]
 *     group    <name> all|any|<k> <name>…     members were defined above; each name is in one group at most
 *     quorum   <name>|none                    exactly one such line
 *
 * Lines of white space and those that start with `#` say nothing. The file is octets: spaces and tabs divide, no other
 * control characters are allowed, names are compared octet by octet. A key may stand in one log and one witness line.
 *
 * The judgement: signed by one of the logs (unless the policy lists none, then the caller knows the log), and cosigned by
 * enough witnesses for the quorum. A line that claims to be a known key's and does not verify refuses the checkpoint.
 */
import { equalBytes, text } from "../bytes/index.ts";
import { type Checkpoint, checkSigned, isCosigner, linesOf, parseVerifierKey, type VerifierKey } from "../bundle/index.ts";
import { LacreError } from "../errors.ts";

/** A log that may have signed. Its key's name is its origin. */
export interface PolicyLog {
  readonly key: VerifierKey;
  readonly url: string | undefined;
}

/** A witness. */
export interface PolicyWitness {
  /** Its name in the policy; not that of its key. */
  readonly name: string;
  readonly key: VerifierKey;
  /** Its submission prefix, where the policy says it. */
  readonly url: string | undefined;
}

/** Who has to agree: a witness, or so many of a group's members. */
export type Quorum =
  | { readonly witness: PolicyWitness }
  | { readonly name: string; readonly threshold: number; readonly members: readonly Quorum[] };

/** Which logs, which witnesses, and how many of them must vouch (C2SP tlog-policy). */
export interface WitnessPolicy {
  readonly logs: readonly PolicyLog[];
  readonly witnesses: readonly PolicyWitness[];
  /** Undefined for `quorum none`. */
  readonly quorum: Quorum | undefined;
}

const MAX_OCTETS = 1 << 20;
const MAX_EACH = 256;

function invalid(line: number, message: string, found?: string): LacreError {
  return new LacreError(
    "WITNESS_POLICY_INVALID",
    `line ${line}: ${message}`,
    found === undefined ? {} : { found: shown(found).slice(0, 120) },
  );
}

/** Octets, one a character, as the text that they are; as they stand where they are none. */
function shown(octets: string): string {
  try {
    return text(Uint8Array.from(octets, (unit) => unit.charCodeAt(0)));
  } catch {
    return octets;
  }
}

class Reading {
  readonly logs: PolicyLog[] = [];
  readonly witnesses: PolicyWitness[] = [];
  readonly #defined = new Map<string, Quorum>();
  readonly #members = new Set<string>();
  #quorum: { readonly value: Quorum | undefined } | undefined;
  #groups = 0;

  line(number: number, words: readonly string[]): void {
    const [what, ...rest] = words;
    switch (what) {
      case "log":
        return this.#log(number, rest);
      case "witness":
        return this.#witness(number, rest);
      case "group":
        return this.#group(number, rest);
      case "quorum":
        return this.#setQuorum(number, rest);
      default:
        throw invalid(number, "is not a log, witness, group or quorum line", what);
    }
  }

  #log(number: number, [vkey, url, ...more]: readonly string[]): void {
    if (vkey === undefined || more.length > 0) throw invalid(number, "a log line is: log <vkey> [<url>]");
    const key = keyOf(number, vkey);
    this.#checkFresh(number, this.logs, key);
    this.logs.push({ key, url: url === undefined ? undefined : urlOf(number, url) });
  }

  #witness(number: number, [name, vkey, url, ...more]: readonly string[]): void {
    if (name === undefined || vkey === undefined || more.length > 0)
      throw invalid(number, "a witness line is: witness <name> <vkey> [<url>]");
    const key = keyOf(number, vkey);
    if (!isCosigner(key.kind)) throw invalid(number, "the key of a witness is not of type 04 or 06", vkey);
    this.#checkFresh(number, this.witnesses, key);
    const witness = { name: shown(name), key, url: url === undefined ? undefined : urlOf(number, url) };
    this.#define(number, name, { witness });
    this.witnesses.push(witness);
  }

  #group(number: number, [name, size, ...names]: readonly string[]): void {
    if (name === undefined || size === undefined || names.length === 0)
      throw invalid(number, "a group line is: group <name> all|any|<k> <name>…");
    if (this.#groups++ === MAX_EACH) throw new LacreError("TOO_LARGE", `a policy has more than ${MAX_EACH} groups`);
    const members = names.map((member) => {
      const known = this.#defined.get(member);
      if (known === undefined) throw invalid(number, "a member of a group is not defined above", member);
      if (this.#members.has(member)) throw invalid(number, "a name is a member twice", member);
      this.#members.add(member);
      return known;
    });
    const threshold = size === "any" ? 1 : size === "all" ? members.length : /^[1-9][0-9]{0,8}$/.test(size) ? Number(size) : 0;
    if (threshold < 1 || threshold > members.length)
      throw invalid(number, `a group of ${members.length} cannot ask for this many`, size);
    this.#define(number, name, { name: shown(name), threshold, members });
  }

  #setQuorum(number: number, [name, ...more]: readonly string[]): void {
    if (name === undefined || more.length > 0) throw invalid(number, "a quorum line is: quorum <name>");
    if (this.#quorum !== undefined) throw invalid(number, "there is a second quorum line");
    const known = this.#defined.get(name);
    if (known === undefined && name !== "none") throw invalid(number, "the quorum's name is not defined above", name);
    this.#quorum = { value: known };
  }

  #define(number: number, name: string, value: Quorum): void {
    if (name === "none" || this.#defined.has(name)) throw invalid(number, "the name is taken", name);
    this.#defined.set(name, value);
  }

  #checkFresh(number: number, known: readonly { readonly key: VerifierKey }[], { key }: VerifierKey): void {
    if (known.length === MAX_EACH) throw new LacreError("TOO_LARGE", `a policy has more than ${MAX_EACH} logs or witnesses`);
    if (known.some((one) => equalBytes(one.key.key.spki, key.spki))) throw invalid(number, "the key is listed twice");
  }

  finish(): WitnessPolicy {
    if (this.#quorum === undefined) throw new LacreError("WITNESS_POLICY_INVALID", "the policy has no quorum line");
    return { logs: this.logs, witnesses: this.witnesses, quorum: this.#quorum.value };
  }
}

function keyOf(number: number, vkey: string): VerifierKey {
  try {
    return parseVerifierKey(shown(vkey));
  } catch (cause) {
    if (!(cause instanceof LacreError)) throw cause;
    throw new LacreError("WITNESS_POLICY_INVALID", `line ${number}: ${cause.message}`, {
      ...(cause.found === undefined ? {} : { found: cause.found }),
      cause,
    });
  }
}

function urlOf(number: number, url: string): string {
  if (!/^https?:\/\/[^\s/]/.test(url)) throw invalid(number, "the address is not an http or https URL", url);
  return shown(url);
}

/** Reads a policy file. Throws WITNESS_POLICY_INVALID with the number of the line, TOO_LARGE beyond 1 MiB or 256 of a kind. */
export function parseWitnessPolicy(file: Uint8Array): WitnessPolicy {
  if (file.length > MAX_OCTETS) throw new LacreError("TOO_LARGE", "a policy file is larger than 1 MiB");
  // One character an octet: what the format compares.
  let octets = "";
  for (const octet of file) octets += String.fromCharCode(octet);
  // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
  if (/[\u0000-\u0008\u000b-\u001f\u007f]/.test(octets))
    throw new LacreError("WITNESS_POLICY_INVALID", "the policy has a control character");
  const reading = new Reading();
  for (const [at, line] of octets.split("\n").entries()) {
    const words = line.split(/[ \t]+/).filter((word) => word !== "");
    if (words.length > 0 && !words[0]!.startsWith("#")) reading.line(at + 1, words);
  }
  return reading.finish();
}

/** A cosignature that counts. */
export interface WitnessVote {
  readonly witness: PolicyWitness;
  /** When the witness looked: milliseconds since 1970. */
  readonly timeMs: number;
}

/** Who vouched for a checkpoint. */
export interface QuorumProof {
  /** The log that signed; undefined when the policy lists none. */
  readonly log: PolicyLog | undefined;
  readonly votes: readonly WitnessVote[];
}

/**
 * Proves that a checkpoint satisfies a policy, and returns who vouched for it. Throws CHECKPOINT_UNSIGNED when none of the
 * logs signed it, SIGNATURE_INVALID when a line of a known key does not verify, QUORUM_MISSING when too few witnesses did.
 * A cosignature that this platform cannot check counts for nothing.
 */
export function checkQuorum(policy: WitnessPolicy, checkpoint: Checkpoint): QuorumProof {
  const log = policy.logs.length === 0 ? undefined : signingLog(policy.logs, checkpoint);
  const votes: WitnessVote[] = [];
  for (const witness of policy.witnesses) {
    if (linesOf(checkpoint.note.signatures, witness.key).length === 0) continue;
    try {
      votes.push({ witness, timeMs: checkSigned(checkpoint, witness.key).timeMs! });
    } catch (error) {
      if (!(error instanceof LacreError && error.code === "ALGORITHM_UNKNOWN")) throw error;
    }
  }
  const agreed = new Set(votes.map(({ witness }) => witness));
  if (!isReached(policy.quorum, agreed)) {
    throw new LacreError("QUORUM_MISSING", "too few witnesses have cosigned the checkpoint", {
      expected: describeQuorum(policy.quorum!),
      found: votes.length === 0 ? "no cosignature" : votes.map(({ witness }) => witness.name).join(", "),
    });
  }
  return { log, votes };
}

function signingLog(logs: readonly PolicyLog[], checkpoint: Checkpoint): PolicyLog {
  const named = logs.filter(({ key }) => key.name === checkpoint.origin);
  if (named.length === 0) {
    throw new LacreError("CHECKPOINT_UNSIGNED", "the checkpoint's log is not in the policy", {
      expected: logs
        .map(({ key }) => key.name)
        .join(", ")
        .slice(0, 400),
      found: checkpoint.origin.slice(0, 120),
    });
  }
  const log = named.find(({ key }) => linesOf(checkpoint.note.signatures, key).length > 0) ?? named[0]!;
  checkSigned(checkpoint, log.key);
  return log;
}

/** Whether these witnesses are enough. */
export function isReached(quorum: Quorum | undefined, agreed: ReadonlySet<PolicyWitness>): boolean {
  if (quorum === undefined) return true;
  if ("witness" in quorum) return agreed.has(quorum.witness);
  return quorum.members.filter((member) => isReached(member, agreed)).length >= quorum.threshold;
}

/** A quorum in words: `2 of (a, b, 1 of (c, d))`. */
export function describeQuorum(quorum: Quorum): string {
  return "witness" in quorum ? quorum.witness.name : `${quorum.threshold} of (${quorum.members.map(describeQuorum).join(", ")})`;
}
