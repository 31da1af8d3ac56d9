// SPDX-License-Identifier: Apache-2.0
/**
 * Asks the witnesses of one log: `Witnessing` of the engine, over the policy that the operator wrote.
 *
 * A checkpoint comes here when it is durable and anchored. All witnesses with an address are asked at the same time, each
 * with the proof from the size it cosigned last. A conflict is believed once, if the size it names is one that this log
 * has had: the proof is made from there and sent again. What comes back counts only after its lines verified with the
 * key in the policy. When the quorum holds, those that are still under way get a moment more, then the checkpoint goes on
 * with the cosignatures that came; answers that come later only move the witness's last size.
 *
 * Without a quorum in time the checkpoint is refused with LOG_UNWITNESSED and nothing is published (unless the operator
 * chose to fail open). Why each witness did not count is kept for `/healthz` and logged when it changes.
 *
 * A witness is believed in nothing else. What it says without the log's own signature, a larger size say, is reported and
 * not acted upon: one liar must not be able to stop a log.
 */
import {
  checkLine,
  formatVerifierKey,
  linesOf,
  parseCheckpoint,
  type Checkpoint,
  type VerifierKey,
  checkSigned,
} from "@lacre/core/bundle";
import { toHex } from "@lacre/core/bytes";
import { createWitnessClient, type Fetch, type WitnessClient } from "@lacre/core/client";
import { formatNote, type NoteSignature } from "@lacre/core/codec";
import { LacreError } from "@lacre/core/errors";
import { checkQuorum, describeQuorum, isReached, type PolicyWitness, type WitnessPolicy } from "@lacre/core/trust";
import type { ForWitnesses, Logger, Witnessing } from "../engine/index.ts";
import { ServiceError } from "../errors.ts";
import type { WitnessMemory } from "./memory.ts";

/** How a witness stands, for `/healthz`. */
export interface WitnessStanding {
  readonly name: string;
  readonly status: "cosigned" | "failing" | "not asked";
  /** Size that it cosigned last. */
  readonly size: number;
  /** When, by its own clock. */
  readonly timeMs: number | undefined;
  /** Why it does not count now. */
  readonly reason: string | undefined;
}

export interface QuorumHealth {
  readonly quorum: string;
  readonly reached: boolean;
  readonly witnesses: readonly WitnessStanding[];
}

export interface WitnessQuorum extends Witnessing {
  health(): QuorumHealth;
}

export interface QuorumOptions {
  readonly policy: WitnessPolicy;
  /** The log's own key: what stored checkpoints and those that witnesses show have to be signed with. */
  readonly logKey: VerifierKey;
  readonly origin: string;
  readonly memory: WitnessMemory;
  readonly fetch: Fetch;
  readonly timeoutMs: number;
  /** How long witnesses that are under way are waited for once the quorum holds. */
  readonly graceMs?: number;
  readonly failOpen: boolean;
  readonly log?: Logger | undefined;
}

/** Signature lines of a note that any reader takes: the log's own comes first. */
const MAX_WITNESSES = 19;
const GRACE_MS = 150;

interface Asked {
  readonly witness: PolicyWitness;
  readonly id: string;
  readonly client: WitnessClient;
  timeMs: number | undefined;
  reason: string | undefined;
}

/** What one witness answered to one checkpoint. */
interface Vote {
  readonly asked: Asked;
  readonly line: NoteSignature;
  readonly timeMs: number;
}

/** Throws CONFIG_INVALID for a policy that this log can never satisfy. */
export function createQuorum(o: QuorumOptions): WitnessQuorum {
  const { policy, logKey, origin, memory, log } = o;
  checkPolicy(policy, logKey, origin);
  const asked: Asked[] = policy.witnesses.flatMap((witness) =>
    witness.url === undefined
      ? []
      : [
          {
            witness,
            id: `${witness.key.name} ${toHex(witness.key.keyId)}`,
            client: createWitnessClient({ url: witness.url, fetch: o.fetch, timeoutMs: o.timeoutMs, retries: 0 }),
            timeMs: undefined,
            reason: undefined,
          },
        ],
  );
  let reached = false;

  /** One witness, one checkpoint. Throws what stands in the way. */
  async function ask(one: Asked, state: ForWitnesses, checkpoint: Checkpoint): Promise<Vote> {
    let from = memory.get(one.id)?.size ?? 0;
    // A memory beyond the log is of another life of it; the witness will say what it has.
    if (from > state.size) from = 0;
    for (let attempt = 0; ; attempt++) {
      const answer = await one.client.addCheckpoint({
        oldSize: BigInt(from),
        proof: await state.prove(from),
        note: state.checkpoint,
      });
      if (answer.kind === "cosigned") return readVote(one, checkpoint, answer.lines);
      if (answer.size > BigInt(state.size)) {
        throw new LacreError(
          "SERVICE_ANSWER_INVALID",
          `it says that it has cosigned ${answer.size} entries of this log, which has ${state.size}: it lies, or this log was rolled back`,
        );
      }
      if (attempt > 0 || Number(answer.size) === from)
        throw new LacreError(
          "SERVICE_ANSWER_INVALID",
          `it says it has cosigned ${answer.size} entries, and does not take a proof from there`,
        );
      if (Number(answer.size) < from)
        log?.warn(
          { origin, witness: one.witness.name, size: Number(answer.size), cosigned: from },
          "a witness has forgotten what it cosigned",
        );
      from = Number(answer.size);
    }
  }

  function readVote(one: Asked, checkpoint: Checkpoint, lines: readonly NoteSignature[]): Vote {
    const [line] = linesOf(lines, one.witness.key);
    if (line === undefined) {
      throw new LacreError("SERVICE_ANSWER_INVALID", "it signs with another key than the policy's", {
        expected: formatVerifierKey(one.witness.key).slice(0, 120),
        found: lines
          .map(({ name, keyHint }) => `${name.slice(0, 60)}+${toHex(keyHint)}`)
          .join(", ")
          .slice(0, 200),
      });
    }
    return { asked: one, line, timeMs: checkLine(checkpoint, one.witness.key, line).timeMs! };
  }

  function fail(one: Asked, error: unknown): void {
    const said =
      error instanceof LacreError
        ? `${error.message}${error.found === undefined || error.code !== "SERVICE_ANSWER_INVALID" ? "" : ` (${error.found})`}`
        : String(error);
    if (one.reason !== said) log?.warn({ origin, witness: one.witness.name, reason: said }, "a witness does not cosign");
    one.reason = said;
  }

  function succeed({ asked: one, timeMs }: Vote, state: ForWitnesses): void {
    if (one.reason !== undefined) log?.info({ origin, witness: one.witness.name, size: state.size }, "a witness cosigns again");
    one.reason = undefined;
    one.timeMs = timeMs;
  }

  /** Asks all; resolves with what came when the quorum held and its moment was over, or when nothing more can come. */
  function collect(state: ForWitnesses, checkpoint: Checkpoint): Promise<readonly Vote[]> {
    const votes: Vote[] = [];
    let isOpen = true;
    return new Promise((resolve) => {
      const end = (): void => {
        isOpen = false;
        clearTimeout(limit);
        clearTimeout(grace);
        resolve([...votes]);
      };
      const limit = setTimeout(() => {
        for (const one of asked)
          if (!answered.has(one)) fail(one, new LacreError("SERVICE_UNREACHABLE", `no answer within ${o.timeoutMs} ms`));
        end();
      }, o.timeoutMs);
      let grace: NodeJS.Timeout | undefined;
      const answered = new Set<Asked>();
      const check = (): void => {
        if (!isOpen) return;
        if (answered.size === asked.length) end();
        else if (isReached(policy.quorum, new Set(votes.map((vote) => vote.asked.witness))))
          grace ??= setTimeout(end, o.graceMs ?? GRACE_MS);
      };
      for (const one of asked) {
        void ask(one, state, checkpoint)
          .then(
            (vote) => {
              succeed(vote, state);
              votes.push(vote);
              if (!isOpen) late(vote, state);
            },
            (error: unknown) => fail(one, error),
          )
          .then(() => {
            answered.add(one);
            check();
          });
      }
      check();
    });
  }

  /** An answer after the checkpoint went on: only its size is of use. */
  function late(vote: Vote, state: ForWitnesses): void {
    try {
      if ((memory.get(vote.asked.id)?.size ?? -1) < state.size) remember([vote], state);
    } catch (error) {
      log?.warn({ origin, err: error }, "what a witness cosigned could not be written down");
    }
  }

  function remember(votes: readonly Vote[], { size, root }: ForWitnesses): void {
    if (votes.length > 0) memory.set(new Map(votes.map(({ asked: one }) => [one.id, { size, root }])));
  }

  return {
    async cosign(state) {
      const checkpoint = parseCheckpoint(state.checkpoint);
      const votes = await collect(state, checkpoint);
      // Before anything is shown: what witnesses have seen must be known after a crash.
      remember(votes, state);
      const isEnough = isReached(policy.quorum, new Set(votes.map((vote) => vote.asked.witness)));
      if (reached !== isEnough && !isEnough)
        log?.error(
          { origin, quorum: quorumText(policy), cosigned: votes.map((vote) => vote.asked.witness.name) },
          o.failOpen ? "publishing without a quorum of witnesses" : "nothing is published: the quorum of witnesses is missing",
        );
      reached = isEnough;
      if (!isEnough && !o.failOpen) {
        const why = asked.filter(({ reason }) => reason !== undefined).map(({ witness, reason }) => `${witness.name}: ${reason}`);
        throw new ServiceError("LOG_UNWITNESSED", undefined, {
          headers: { "retry-after": "2" },
          detail: `${origin} needs ${quorumText(policy)}; cosigned by ${votes.map((vote) => vote.asked.witness.name).join(", ") || "nobody"}. ${why.join("; ")}`,
        });
      }
      return formatNote({
        text: checkpoint.note.text,
        signatures: [...checkpoint.note.signatures, ...votes.map(({ line }) => line)],
      });
    },
    cosignedMs(text) {
      try {
        const checkpoint = parseCheckpoint(text);
        if (checkpoint.origin !== origin) return undefined;
        checkSigned(checkpoint, logKey);
        const { votes } = checkQuorum({ ...policy, logs: [] }, checkpoint);
        reached = true;
        return Math.max(0, ...votes.map(({ timeMs }) => timeMs));
      } catch (error) {
        if (error instanceof LacreError) return undefined;
        throw error;
      }
    },
    async seen() {
      const known = memory.entries().map(([by, { size, root }]) => ({ by: `our record of ${by}`, size, root }));
      const shown = await Promise.all(asked.map((one) => latestOf(one, o, log)));
      return [...known, ...shown.filter((one) => one !== undefined)];
    },
    health: () => ({
      quorum: quorumText(policy),
      reached,
      witnesses: policy.witnesses.map((witness) => {
        const one = asked.find((candidate) => candidate.witness === witness);
        const status =
          one === undefined ? "not asked" : one.reason === undefined && one.timeMs !== undefined ? "cosigned" : "failing";
        return {
          name: witness.name,
          status,
          size: one === undefined ? 0 : (memory.get(one.id)?.size ?? 0),
          timeMs: one?.timeMs,
          reason: one?.reason ?? (status === "failing" ? "it has not answered since the start" : undefined),
        };
      }),
    }),
  };
}

function quorumText({ quorum }: WitnessPolicy): string {
  return quorum === undefined ? "nobody" : describeQuorum(quorum);
}

/**
 * The checkpoint that a witness shows of our log, if our own key signed it: then it is proof of what was published, whoever
 * shows it. A witness that shows none, or nothing, proves nothing.
 */
async function latestOf(
  one: Asked,
  { origin, logKey }: QuorumOptions,
  log: Logger | undefined,
): Promise<{ readonly by: string; readonly size: number; readonly root: Uint8Array } | undefined> {
  try {
    const note = await one.client.latest(origin);
    if (note === undefined) return undefined;
    const checkpoint = parseCheckpoint(note);
    if (checkpoint.origin !== origin)
      throw new LacreError("CHECKPOINT_INVALID", "it shows another log's checkpoint", { found: checkpoint.origin.slice(0, 120) });
    checkSigned(checkpoint, logKey);
    return { by: `witness ${one.witness.name}`, size: Number(checkpoint.size), root: checkpoint.root };
  } catch (error) {
    if (!(error instanceof LacreError)) throw error;
    log?.warn(
      { origin, witness: one.witness.name, reason: error.message },
      "a witness could not be asked what it has seen of this log",
    );
    return undefined;
  }
}

/** What can be known to be wrong before anybody is asked. */
function checkPolicy(policy: WitnessPolicy, logKey: VerifierKey, origin: string): void {
  const refuse = (message: string, detail?: string): never => {
    throw new ServiceError("CONFIG_INVALID", `witnesses: ${message}`, detail === undefined ? {} : { detail });
  };
  if (policy.logs.length > 0 && !policy.logs.some(({ key }) => formatVerifierKey(key) === formatVerifierKey(logKey))) {
    refuse("the policy lists logs, and this one is not among them", `add the line: log ${formatVerifierKey(logKey)}`);
  }
  if (policy.witnesses.length > MAX_WITNESSES)
    refuse(`a checkpoint has room for ${MAX_WITNESSES} witnesses`, `${policy.witnesses.length}`);
  if (!isReached(policy.quorum, new Set(policy.witnesses.filter(({ url }) => url !== undefined)))) {
    refuse(`the witnesses of ${origin} that have an address are too few for the quorum`, describeQuorum(policy.quorum!));
  }
}
