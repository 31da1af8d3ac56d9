// SPDX-License-Identifier: Apache-2.0
/**
 * The record of one verification: which checks were done, and what each rests on.
 *
 * It starts empty, which means refused. A step either proves something and is written down, or ends the verification:
 * what would have followed stays unwritten and reads "not reached". Nothing here can turn a missing row into a pass;
 * whether the rows suffice is decided once, at the end, against a list that the steps themselves do not write.
 */
import { CODES, LacreError, type LacreCode } from "../errors.ts";
import { CHECKS, type Check, type CheckId, type CheckStatus } from "./verdict.ts";

/** Ends a verification whose deciding check is already in the record. Never leaves this room. */
export class Refusal extends Error {
  override readonly name = "Refusal";
}

/** Ids of all checks, in the order of the catalogue. */
export const CHECK_IDS: readonly CheckId[] = Object.keys(CHECKS) as CheckId[];

const POSITION: ReadonlyMap<CheckId, number> = new Map(CHECK_IDS.map((id, index) => [id, index]));

/** A later word about the same check replaces an earlier one of lower rank; equals are joined. */
const RANK: Readonly<Record<CheckStatus, number>> = { skipped: 0, pass: 1, assumed: 2, unknown: 3, fail: 4 };

interface Row {
  status: CheckStatus;
  code?: LacreCode;
  message?: string;
  expected?: string | undefined;
  found?: string | undefined;
  evidence?: string | undefined;
}

const NOT_REACHED: readonly Check[] = CHECK_IDS.map((id) => ({
  id,
  name: CHECKS[id],
  status: "skipped",
  evidence: "not reached",
}));

function failed(id: CheckId, { status, message, expected, found }: Row, code: LacreCode): Check {
  return {
    id,
    name: CHECKS[id],
    status,
    code,
    ...(message === undefined ? undefined : { message: plain(message) }),
    ...(expected === undefined ? undefined : { expected: plain(expected) }),
    ...(found === undefined ? undefined : { found: plain(found) }),
    hint: CODES[code].hint,
  };
}

/** Collects the rows of one verification. */
export class Evidence {
  /** By position in the catalogue; a gap is a check that nothing was said about. */
  readonly #rows: (Row | undefined)[] = [];
  readonly #warnings: string[] = [];

  get warnings(): readonly string[] {
    return this.#warnings;
  }

  /** Notes something that deserves a look but decides nothing. */
  warn(sentence: string): void {
    const clean = plain(sentence);
    if (!this.#warnings.includes(clean)) this.#warnings.push(clean);
  }

  /** The status recorded so far, if any. */
  status(id: CheckId): CheckStatus | undefined {
    return this.#rows[POSITION.get(id)!]?.status;
  }

  /** Whether some check has failed or is unknown. */
  get isRefused(): boolean {
    return this.#rows.some((row) => row !== undefined && RANK[row.status] >= RANK.unknown);
  }

  /** Records that a check was proved. */
  pass(id: CheckId, evidence?: string): void {
    this.#write(id, { status: "pass", evidence });
  }

  /** Records that a check was waived by the policy or vouched for by the caller. */
  assume(id: CheckId, evidence: string): void {
    this.#write(id, { status: "assumed", evidence });
  }

  /** Records that a check does not apply here. */
  skip(id: CheckId, evidence: string): void {
    this.#write(id, { status: "skipped", evidence });
  }

  /**
   * Runs the proof of one check, or of several that one proof covers, and records them as passed. A LacreError is
   * recorded under the check that `locate` names (the first one unless given) and ends the verification; what this
   * platform cannot decide is recorded as unknown, and ends it too. Any other error is a fault of ours and passes through.
   */
  prove<T>(
    ids: CheckId | readonly CheckId[],
    proof: () => T,
    tell?: (proved: T) => string | undefined,
    locate?: (error: LacreError) => CheckId,
  ): T {
    let proved: T;
    try {
      proved = proof();
    } catch (error) {
      if (!(error instanceof LacreError)) throw error;
      return this.refuse(locate?.(error) ?? (typeof ids === "string" ? ids : ids[0]!), error);
    }
    const evidence = tell?.(proved);
    if (typeof ids === "string") this.pass(ids, evidence);
    else for (const id of ids) this.pass(id, evidence);
    return proved;
  }

  /** Runs part of a check that a later step completes: a LacreError refuses under it, but nothing is recorded as passed. */
  guard<T>(id: CheckId, part: () => T): T {
    try {
      return part();
    } catch (error) {
      if (error instanceof LacreError) return this.refuse(id, error);
      throw error;
    }
  }

  /** Records a failure and ends the verification. */
  refuse(id: CheckId, error: LacreError): never {
    this.fail(id, error);
    throw new Refusal(`${id}: ${error.code}`);
  }

  /** Records a failure without ending anything: for the last steps, which run on whatever came before. */
  fail(id: CheckId, error: LacreError): void {
    const status = error.code === "ALGORITHM_UNKNOWN" ? "unknown" : "fail";
    this.#write(id, { status, code: error.code, message: error.message, expected: error.expected, found: error.found });
  }

  /** Every row of the catalogue, in order. */
  checks(): Check[] {
    return NOT_REACHED.map((blank, index) => {
      const row = this.#rows[index];
      if (row === undefined) return blank;
      const { id, name } = blank;
      const { status, code, evidence } = row;
      if (code !== undefined) return failed(id, row, code);
      return evidence === undefined ? { id, name, status } : { id, name, status, evidence: plain(evidence) };
    });
  }

  #write(id: CheckId, row: Row): void {
    // A rule that the catalogue lacks (a mistake of ours in some error) must not make a refusal vanish.
    const at = POSITION.get(id) ?? POSITION.get("K4")!;
    const before = this.#rows[at];
    if (before === undefined || RANK[row.status] > RANK[before.status]) this.#rows[at] = row;
    else if (row.status === before.status && row.evidence !== undefined && row.evidence !== before.evidence) {
      if (before.evidence === undefined) before.evidence = row.evidence;
      else if (!before.evidence.endsWith(`; ${row.evidence}`)) before.evidence = `${before.evidence}; ${row.evidence}`;
    }
  }
}

const LONGEST = 300;

// Nearly every text is printable ASCII; asking is cheaper than a pattern.
function isPrintable(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code < 0x20 || code > 0x7e) return false;
  }
  return true;
}

/** Text from a bundle may hold anything; a verdict shows it cut to a size and without control characters. */
function plain(text: string): string {
  if (text.length <= LONGEST && isPrintable(text)) return text;
  const clean = text.replaceAll(/\p{C}/gu, (found) => `\\u{${found.codePointAt(0)!.toString(16)}}`);
  return clean.length > LONGEST ? `${clean.slice(0, LONGEST)}…` : clean;
}
