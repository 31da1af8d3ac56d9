// SPDX-License-Identifier: Apache-2.0
/**
 * What the provider remembers: codes, sessions, grants, for minutes. Bounded: each kind keeps at most `limit` records and
 * drops its oldest when it would grow further; an expired record is gone when it is asked for. Nothing is worth a disk:
 * after a restart people sign in again.
 */

interface Held {
  readonly payload: Record<string, unknown>;
  readonly expiresMs: number;
}

/** The storage interface that oidc-provider asks for, one instance a kind of record. */
export interface Memory {
  upsert(id: string, payload: Record<string, unknown>, expiresIn: number | undefined): Promise<void>;
  find(id: string): Promise<Record<string, unknown> | undefined>;
  findByUid(uid: string): Promise<Record<string, unknown> | undefined>;
  findByUserCode(userCode: string): Promise<Record<string, unknown> | undefined>;
  consume(id: string): Promise<void>;
  destroy(id: string): Promise<void>;
  revokeByGrantId(grantId: string): Promise<void>;
  /** Records held, expired ones included. */
  readonly size: number;
}

const LONGEST_MS = 60 * 60 * 1000;

/** A memory for one kind of record. */
export function createMemory(limit: number, now: () => number): Memory {
  const records = new Map<string, Held>();

  function get(id: string): Record<string, unknown> | undefined {
    const held = records.get(id);
    if (held === undefined) return undefined;
    if (held.expiresMs > now()) return held.payload;
    records.delete(id);
    return undefined;
  }

  /** Both indexed kinds (sessions, device codes) are few and asked for by hand: a scan is enough. */
  function findBy(name: string, value: string): Record<string, unknown> | undefined {
    for (const [id, held] of records) if (held.payload[name] === value) return get(id);
    return undefined;
  }

  return {
    async upsert(id, payload, expiresIn) {
      records.delete(id);
      if (records.size >= limit) records.delete(records.keys().next().value!);
      records.set(id, { payload, expiresMs: now() + Math.min((expiresIn ?? Infinity) * 1000, LONGEST_MS) });
    },
    find: async (id) => get(id),
    findByUid: async (uid) => findBy("uid", uid),
    findByUserCode: async (userCode) => findBy("userCode", userCode),
    async consume(id) {
      const payload = get(id);
      if (payload !== undefined) payload.consumed = Math.floor(now() / 1000);
    },
    async destroy(id) {
      records.delete(id);
    },
    async revokeByGrantId(grantId) {
      for (const [id, held] of records) if (held.payload.grantId === grantId) records.delete(id);
    },
    get size() {
      return records.size;
    },
  };
}
