// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { toHex } from "../bytes/index.ts";
import { generateKey, sha256 } from "../crypto/index.ts";
import type { Revocations } from "../trust/index.ts";
import { Evidence } from "./evidence.ts";
import { checkRevocations } from "./revocation.ts";

const { publicKey: key } = generateKey("P-256");
const signer = {
  certificate: { serial: Uint8Array.of(0, 0xab) },
  identity: { san: { value: "a@b.c" }, issuer: "https://i.example" },
} as unknown as Parameters<typeof checkRevocations>[2]["signer"];
const entries = [{ logId: "0a", log: "", kind: "dsse", version: "0.0.1", treeIndex: "7", treeSize: "9" }];
const NOTHING: Revocations = { certificates: [], identities: [], keys: [], entries: [] };

/** The check that refuses, or undefined. */
function refusing(revocations: Partial<Revocations>, timesMs: readonly number[] = [1000], isKey = false): string | undefined {
  const evidence = new Evidence();
  const times = timesMs.map((timeMs) => ({ timeMs, kind: "timestamp" as const, source: "" }));
  try {
    checkRevocations(
      evidence,
      { ...NOTHING, ...revocations },
      {
        signer: isKey ? undefined : signer,
        key,
        times: times as unknown as Parameters<typeof checkRevocations>[2]["times"],
        entries,
      },
    );
    return undefined;
  } catch {
    const [check] = evidence.checks().filter(({ status }) => status === "fail");
    assert.equal(check?.code, "REVOKED");
    return check.id;
  }
}

test("each kind of revocation refuses under its rule, and what is not named passes", () => {
  const sha = toHex(sha256(key.spki));
  assert.equal(refusing({}), undefined);
  assert.equal(refusing({ certificates: [{ serial: "ab" }] }), "I5");
  assert.equal(refusing({ certificates: [{ serial: "ac" }] }), undefined);
  assert.equal(refusing({ identities: [{ identity: "a@b.c", issuer: undefined, sinceMs: undefined }] }), "I5");
  assert.equal(refusing({ identities: [{ identity: "a@b.c", issuer: "https://i.example", sinceMs: undefined }] }), "I5");
  assert.equal(refusing({ identities: [{ identity: "a@b.c", issuer: "https://other.example", sinceMs: undefined }] }), undefined);
  assert.equal(refusing({ identities: [{ identity: "A@b.c", issuer: undefined, sinceMs: undefined }] }), undefined);
  assert.equal(refusing({ keys: [{ sha256: sha, sinceMs: undefined }] }), "J1");
  assert.equal(refusing({ keys: [{ sha256: sha, sinceMs: undefined }] }, [1000], true), "J1");
  assert.equal(refusing({ keys: [{ sha256: "00".repeat(32), sinceMs: undefined }] }), undefined);
  assert.equal(refusing({ entries: [{ logId: "0a", index: "7" }] }), "F9");
  assert.equal(refusing({ entries: [{ logId: "0a", index: "8" }] }), undefined);
  assert.equal(refusing({ entries: [{ logId: "0b", index: "7" }] }), undefined);
});

test("what is proved to be from before a revocation is spared; without a proof nothing is", () => {
  const since = (sinceMs: number): Partial<Revocations> => ({ identities: [{ identity: "a@b.c", issuer: undefined, sinceMs }] });
  assert.equal(refusing(since(1001)), undefined);
  assert.equal(refusing(since(1000)), "I5");
  assert.equal(refusing(since(1001), [1000, 1002]), "I5");
  assert.equal(refusing(since(1001), []), "I5");
});
