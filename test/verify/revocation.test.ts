// SPDX-License-Identifier: Apache-2.0
/** What the trusted root revokes is refused though every check passes, and what it does not revoke is not. */
import { test } from "node:test";
import { toHex } from "@lacre/core/bytes";
import { JsonObject, parseJson } from "@lacre/core/codec";
import { sha256 } from "@lacre/core/crypto";
import { decodeTrustedRoot, readRevocations } from "@lacre/core/trust";
import { createVerifier, type CheckId, type Policy, type Verdict } from "@lacre/core/verify";
import { bytesOf, IDENTITY, ISSUER, NOW_MS, seal, SIGNED_MS, type Recipe, type Sealed } from "../workshop/workshop.ts";
import { assertRefused, assertVerified, POLICY, workshop } from "./trial.ts";

function judge(sealed: Sealed, revocations: object, also: Policy = {}): Verdict {
  const isKey = sealed.leaf === undefined;
  return createVerifier({
    trustedRoot: {
      ...decodeTrustedRoot(bytesOf(sealed.root)),
      revocations: readRevocations(new JsonObject(parseJson(JSON.stringify(revocations)), "revocations")),
    },
  }).verify({
    bundle: bytesOf(sealed.bundle),
    artifact: { digests: new Map(), message: sealed.artifact },
    policy: { ...(isKey ? {} : POLICY), ...also },
    ...(isKey ? { key: sealed.key.publicKey } : {}),
    nowMs: NOW_MS,
  });
}

const at = (ms: number): string => new Date(ms).toISOString();
const serialOf = ({ leaf }: Sealed): string => toHex(leaf!.serial);
const keyOf = ({ key }: Sealed): string => toHex(sha256(key.publicKey.spki));
const KEY: Recipe = { signer: "key" };
const LOG1 = toHex(workshop.rekor1.logId);
const LOG2 = toHex(workshop.rekor2.logId);

/** What is revoked, of which bundle, the check that refuses; and something near it that is not revoked. */
const CASES: Readonly<
  Record<
    string,
    { recipe?: Recipe; also?: Policy; of: (sealed: Sealed) => object; near: (sealed: Sealed) => object; check: CheckId }
  >
> = {
  "a certificate": {
    of: (sealed) => ({ certificates: [{ serial: serialOf(sealed) }] }),
    near: (sealed) => ({ certificates: [{ serial: `${serialOf(sealed)}00` }] }),
    check: "I5",
  },
  "a certificate, spelled otherwise": {
    of: (sealed) => ({ certificates: [{ serial: "ffff" }, { serial: `0000${serialOf(sealed).toUpperCase()}` }] }),
    near: () => ({ certificates: [{ serial: "00" }] }),
    check: "I5",
  },
  "an identity of any issuer": {
    of: () => ({ identities: [{ identity: IDENTITY }] }),
    near: () => ({ identities: [{ identity: `${IDENTITY}x` }, { identity: IDENTITY.slice(1) }] }),
    check: "I5",
  },
  "an identity of its issuer": {
    of: () => ({ identities: [{ identity: IDENTITY, issuer: ISSUER }] }),
    near: () => ({ identities: [{ identity: IDENTITY, issuer: `${ISSUER}/` }] }),
    check: "I5",
  },
  "an identity since the very moment": {
    of: () => ({ identities: [{ identity: IDENTITY, since: at(SIGNED_MS) }] }),
    near: () => ({ identities: [{ identity: IDENTITY, since: at(SIGNED_MS + 1) }] }),
    check: "I5",
  },
  "the key of a certificate": {
    of: (sealed) => ({ keys: [{ sha256: keyOf(sealed) }] }),
    near: (sealed) => ({ keys: [{ sha256: toHex(sha256(sealed.key.publicKey.spki.subarray(1))) }] }),
    check: "J1",
  },
  "a key": {
    recipe: KEY,
    of: (sealed) => ({ keys: [{ sha256: keyOf(sealed), since: at(SIGNED_MS) }] }),
    near: (sealed) => ({ keys: [{ sha256: keyOf(sealed), since: at(SIGNED_MS + 1) }] }),
    check: "J1",
  },
  "an entry by its index in the log": {
    of: () => ({ entries: [{ logId: LOG1, index: "79571823" }] }),
    near: () => ({
      entries: [
        { logId: LOG2, index: "79571823" },
        { logId: LOG1, index: "79571824" },
      ],
    }),
    check: "F9",
  },
  "an entry by its place in the tree": {
    recipe: { dialect: "v2" },
    of: () => ({ entries: [{ logId: LOG2, index: "4" }] }),
    near: () => ({ entries: [{ logId: LOG2, index: "5" }] }),
    check: "F9",
  },
};

for (const [what, { recipe, also, of, near, check }] of Object.entries(CASES)) {
  test(`refuses ${what} that is revoked, and no other`, () => {
    const sealed = seal(workshop, recipe);
    assertVerified(judge(sealed, {}, also));
    assertVerified(judge(sealed, near(sealed), also));
    assertRefused(judge(sealed, of(sealed), also), check, "REVOKED");
  });
}

test("of two proved times one behind the moment is enough, and without a proved time nothing is spared", () => {
  const late = seal(workshop, {
    timestamp: true,
    token: ({ fields }) => void Object.assign(fields, { timeMs: SIGNED_MS + 60_000 }),
  });
  assertVerified(judge(late, { identities: [{ identity: IDENTITY, since: at(SIGNED_MS + 60_001) }] }));
  assertRefused(judge(late, { identities: [{ identity: IDENTITY, since: at(SIGNED_MS + 30_000) }] }), "I5", "REVOKED");
  const timeless = seal(workshop, { signer: "key", dialect: "v2", timestamp: false });
  assertVerified(judge(timeless, {}));
  assertRefused(judge(timeless, { keys: [{ sha256: keyOf(timeless), since: at(NOW_MS) }] }), "J1", "REVOKED");
});

test("whoever may be anybody may still not be revoked", () => {
  const sealed = seal(workshop);
  const anybody = { identities: [], anyIdentity: true } as const;
  assertVerified(judge(sealed, {}, anybody));
  assertRefused(judge(sealed, { identities: [{ identity: IDENTITY }] }, anybody), "I5", "REVOKED");
});
