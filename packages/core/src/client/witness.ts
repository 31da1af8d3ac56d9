// SPDX-License-Identifier: Apache-2.0
/**
 * A client of a witness (C2SP tlog-witness). What it gives back is shape only: whose signatures the lines are is for the
 * caller to check, and sizes that a witness states are its word alone.
 */
import { formatWitnessRequest, parseLogSize } from "../bundle/index.ts";
import { text, toHex, utf8 } from "../bytes/index.ts";
import { type NoteSignature, parseSignatureLines } from "../codec/index.ts";
import { sha256 } from "../crypto/index.ts";
import { ask, type ClientOptions, decodeAnswer, readResource } from "./request.ts";

const SERVICE = "the witness";
/** A note with twenty of the largest signatures stays below it. */
const MAX_BYTES = 128 << 10;

/** A witness's answer to a checkpoint. */
export type WitnessAnswer =
  /** Its signature lines. */
  | { readonly kind: "cosigned"; readonly lines: readonly NoteSignature[] }
  /** It has cosigned this size, not the one that was stated. */
  | { readonly kind: "conflict"; readonly size: bigint };

export interface WitnessClient {
  readonly url: string;
  /**
   * Submits a checkpoint with the proof from the size that the witness is believed to be at. Throws SERVICE_REFUSED,
   * SERVICE_UNREACHABLE, SERVICE_ANSWER_INVALID.
   */
  addCheckpoint(request: {
    readonly oldSize: bigint;
    readonly proof: readonly Uint8Array[];
    readonly note: string;
  }): Promise<WitnessAnswer>;
  /** The checkpoint of a log that the witness cosigned last, as it shows it to monitors; undefined when there is none. */
  latest(origin: string): Promise<string | undefined>;
}

/** A client of the witness at `options.url`, its submission prefix; its monitoring prefix is taken to be the same. */
export function createWitnessClient(options: ClientOptions): WitnessClient {
  const bounded: ClientOptions = { maxBytes: MAX_BYTES, ...options };
  return {
    url: options.url,
    async addCheckpoint(request) {
      const { status, contentType, body } = await ask(bounded, {
        path: "add-checkpoint",
        method: "POST",
        headers: { "content-type": "text/plain; charset=utf-8" },
        body: formatWitnessRequest(request),
        success: [200, 409],
        service: SERVICE,
      });
      return decodeAnswer(SERVICE, (): WitnessAnswer => {
        if (status === 200) return { kind: "cosigned", lines: parseSignatureLines(text(body)) };
        // A conflict without a size: same size, other root. There is nothing to adopt.
        const size = /^text\/x\.tlog\.size *(?:;|$)/.test(contentType) ? text(body) : "";
        return { kind: "conflict", size: parseLogSize(size.endsWith("\n") ? size.slice(0, -1) : "") };
      });
    },
    async latest(origin) {
      const body = await readResource(bounded, `${toHex(sha256(utf8(origin)))}/checkpoint`, SERVICE);
      return body === undefined ? undefined : decodeAnswer(SERVICE, () => text(body));
    },
  };
}
