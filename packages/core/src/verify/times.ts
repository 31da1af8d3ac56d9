// SPDX-License-Identifier: Apache-2.0
/**
 * Proved times (blocks D and E): RFC 3161 tokens over the signature, and the times that logs promised.
 *
 * A time is the word of somebody the trusted root names, signed, about this very signature. What a bundle merely states
 * (an integrated time without promise, GHSA-xgjw-pm74-86q4) is no time. A bad token refuses the bundle even beside a good
 * one: a bundle that carries false evidence is not a good bundle.
 */
import type { Bundle } from "../bundle/index.ts";
import { LacreError } from "../errors.ts";
import type { TransparencyLog } from "../trust/index.ts";
import { checkTimestamp, decodeTimestampResponse } from "../x509/index.ts";
import { operatorOf, SKEW_MS, showTime, type Anchors } from "./anchors.ts";
import type { Evidence } from "./evidence.ts";
import type { CheckId, VerdictTime } from "./verdict.ts";

/** A proved time, and who vouches for it. */
export interface ProvedTime extends VerdictTime {
  readonly operator: string;
}

/** A promise that a log's key signed. */
export interface LogPromise {
  readonly log: TransparencyLog;
  /** Undefined when the log promised inclusion without saying when. */
  readonly timeMs: number | undefined;
}

const TOKEN_PROOF: readonly CheckId[] = ["E3", "E4", "E5", "E6", "E7", "E8"];

/** E: every token in the bundle, each over the raw signature. */
export function proveTimestamps(evidence: Evidence, anchors: Anchors | undefined, bundle: Bundle): readonly ProvedTime[] {
  const tokens = bundle.timestamps;
  if (tokens.length === 0 || anchors === undefined) {
    const why = tokens.length === 0 ? "not applicable: no timestamps in the bundle" : "not applicable: no trusted root";
    if (tokens.length > 0) evidence.warn("timestamps in the bundle were not looked at, because there is no trusted root");
    for (const id of ["E1", "E2", ...TOKEN_PROOF, "E9"] as const) evidence.skip(id, why);
    return [];
  }
  const times = tokens.map((token): ProvedTime => {
    const response = evidence.prove(
      ["E2", "E1"],
      () => decodeTimestampResponse(token),
      undefined,
      (error) => (error.rule === "E1" ? "E1" : "E2"),
    );
    const { timeMs, authority } = evidence.prove(
      TOKEN_PROOF,
      () => checkTimestamp({ response, signedBytes: bundle.content.signature, authorities: anchors.root.timestampAuthorities }),
      (proven) => `${showTime(proven.timeMs)} by ${proven.authority.uri}`,
      (error) => (error.code === "TIMESTAMP_MISMATCH" ? "E3" : ((error.rule ?? "E6") as CheckId)),
    );
    return { timeMs, kind: "timestamp", source: authority.uri, operator: operatorOf(authority, authority.uri) };
  });
  evidence.pass("E9", `${tokens.length} of ${tokens.length} good`);
  return times;
}

/** D: enough times, by enough different operators, none of them in the future. */
export function checkTimes(
  evidence: Evidence,
  timestamps: readonly ProvedTime[],
  promises: readonly (LogPromise | undefined)[],
  needed: { readonly times: number; readonly timestamps: number },
  nowMs: number | undefined,
): readonly ProvedTime[] {
  evidence.pass("D1");
  const promised = promises.flatMap((promise): ProvedTime[] =>
    promise?.timeMs === undefined
      ? []
      : [
          {
            timeMs: promise.timeMs,
            kind: "log",
            source: promise.log.baseUrl,
            operator: operatorOf(promise.log, promise.log.baseUrl),
          },
        ],
  );
  const times = [...timestamps, ...promised];
  evidence.pass(
    "D2",
    times.length === 0 ? "no time was proved" : times.map((time) => `${showTime(time.timeMs)} by ${time.source}`).join(", "),
  );
  evidence.prove(
    "D3",
    () => {
      expectOperators(times, needed.times, "times");
      expectOperators(timestamps, needed.timestamps, "timestamps");
    },
    () => `${countOperators(times)} of ${needed.times}`,
  );
  if (nowMs === undefined) evidence.assume("D4", "no clock was handed in");
  else {
    evidence.prove("D4", () => {
      for (const { timeMs } of times) {
        if (timeMs <= nowMs + SKEW_MS) continue;
        throw new LacreError("TIME_IN_FUTURE", "a proved time lies in the future", {
          expected: `at most ${showTime(nowMs + SKEW_MS)}`,
          found: showTime(timeMs),
        });
      }
    });
  }
  return times;
}

function countOperators(times: readonly ProvedTime[]): number {
  return new Set(times.map((time) => time.operator)).size;
}

// Two tokens of one authority, or a token and a promise of one operator, are one witness.
function expectOperators(times: readonly ProvedTime[], needed: number, what: string): void {
  const count = countOperators(times);
  if (count < needed) {
    throw new LacreError("TIME_MISSING", `fewer independent ${what} were proved than are required`, {
      expected: `${needed}`,
      found: `${count}`,
    });
  }
}
