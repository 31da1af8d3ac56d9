// SPDX-License-Identifier: Apache-2.0
/**
 * How often one client may write: a bucket of tokens for each address, filled evenly, a minute's worth deep.
 *
 * A bucket is one number, the time at which it will be full again (the generic cell rate algorithm), and a full bucket
 * need not be remembered. The table is bounded: beyond it the client that has been quiet longest is forgotten, which is a
 * gift to whoever has ten thousand addresses and no harm to anybody else.
 *
 * A client is an IPv4 address, or the first 64 bits of an IPv6 address: whoever has one of these has all. Clients on this
 * machine are not counted.
 */
import { isIPv4, isIPv6 } from "node:net";

/** Clients remembered. */
const MAX_CLIENTS = 10_000;
const MINUTE = 60_000;

/** The name under which an address is counted; undefined for this machine's own. */
export function clientOf(address: string): string | undefined {
  const plain = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1] ?? address;
  if (isIPv4(plain)) return plain.startsWith("127.") ? undefined : plain;
  const [withoutZone] = plain.split("%");
  if (!isIPv6(withoutZone!)) return "unknown";
  const groups = expand(withoutZone!);
  if (groups.every((group, at) => group === (at === 7 ? 1 : 0))) return undefined;
  return `${groups
    .slice(0, 4)
    .map((group) => group.toString(16))
    .join(":")}::/64`;
}

/** The eight groups of an IPv6 address. */
function expand(address: string): number[] {
  const parse = (part: string): number[] =>
    part === ""
      ? []
      : part.split(":").flatMap((group) => (group.includes(".") ? fromDotted(group) : [Number.parseInt(group, 16)]));
  const [left, right] = address.split("::") as [string, string | undefined];
  const head = parse(left);
  if (right === undefined) return head;
  const tail = parse(right);
  return [...head, ...Array.from({ length: 8 - head.length - tail.length }, () => 0), ...tail];
}

function fromDotted(text: string): number[] {
  const [a, b, c, d] = text.split(".").map(Number) as [number, number, number, number];
  return [(a << 8) | b, (c << 8) | d];
}

export class Limiter {
  readonly #intervalMs: number;
  readonly #maxClients: number;
  /** When each client's bucket is full again; who was seen longest ago comes first. */
  readonly #fullAt = new Map<string, number>();

  constructor(perMinute: number, maxClients: number = MAX_CLIENTS) {
    this.#intervalMs = MINUTE / perMinute;
    this.#maxClients = maxClients;
  }

  /** Clients remembered at the moment. */
  get size(): number {
    return this.#fullAt.size;
  }

  /** Takes a token from an address's bucket. Returns 0 when there was one, otherwise the seconds until there is one. */
  take(address: string, nowMs: number): number {
    const client = clientOf(address);
    if (client === undefined) return 0;
    const fullAt = Math.max(this.#fullAt.get(client) ?? 0, nowMs);
    this.#fullAt.delete(client);
    const wait = fullAt + this.#intervalMs - nowMs - MINUTE;
    // A refusal costs no token, or a client that repeats too early would never get one.
    this.#fullAt.set(client, wait > 0.001 ? fullAt : fullAt + this.#intervalMs);
    this.#forget(nowMs);
    return wait > 0.001 ? Math.max(1, Math.ceil(wait / 1000)) : 0;
  }

  #forget(nowMs: number): void {
    for (const [client, fullAt] of this.#fullAt) {
      if (fullAt > nowMs && this.#fullAt.size <= this.#maxClients) return;
      this.#fullAt.delete(client);
    }
  }
}
