// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { toBase64, toHex, utf8 } from "../bytes/index.ts";
import { parsePem } from "../codec/index.ts";
import { LacreError } from "../errors.ts";
import { createLedgerV1Client, decodeEntryMap, type Fetch, type LoggedSeal } from "./index.ts";

type Loose = any; // oxlint-disable-line no-explicit-any -- tests break documents on purpose

const UUID = "112210f47de981159fcece0a187dad74cdb653467c95ed9aad37a377741a8495495e0704919349a3";
const BODY = utf8('{"apiVersion":"0.0.1","kind":"hashedrekord","spec":{}}');
const ENTRY = {
  [UUID]: {
    body: toBase64(BODY),
    integratedTime: 1_700_000_000,
    logID: "ab".repeat(32),
    logIndex: 12_345,
    verification: {
      inclusionProof: {
        checkpoint: "rekor.example - 1\n400\n",
        hashes: ["cd".repeat(32)],
        logIndex: 345,
        rootHash: "ef".repeat(32),
        treeSize: 400,
      },
      signedEntryTimestamp: "AQI=",
    },
  },
};
const seal: LoggedSeal = {
  digest: { algorithm: "sha384", value: new Uint8Array(48).fill(0xab) },
  signature: Uint8Array.of(1, 2),
  verifier: { kind: "certificate", der: Uint8Array.of(0x30, 0), keyDetails: "PKIX_ECDSA_P384_SHA_384" },
  envelope: undefined,
};

/** A ledger that answers in turn, and what it was asked. */
function ledger(...answers: readonly (readonly [number, unknown])[]): {
  fetch: Fetch;
  asked: { url: string; body: Loose; headers: Record<string, string> }[];
} {
  const asked: { url: string; body: Loose; headers: Record<string, string> }[] = [];
  return {
    asked,
    fetch: async (url, init) => {
      asked.push({ url, body: JSON.parse(String(init!.body)), headers: init!.headers! });
      const [status, body] = answers[asked.length - 1]!;
      const bytes = utf8(`${JSON.stringify(body)}\n`);
      return { status, headers: { get: () => null }, arrayBuffer: async () => Uint8Array.from(bytes).buffer };
    },
  };
}
const refused =
  (code: string) =>
  (error: unknown): boolean =>
    error instanceof LacreError && error.code === code;

test("a new entry becomes the entry that bundles hold", async () => {
  const { fetch, asked } = ledger([201, ENTRY]);
  const entry = await createLedgerV1Client({ url: "http://ledger.test/", fetch }).addEntry({ kind: "x" });
  assert.equal(asked[0]!.url, "http://ledger.test/api/v1/log/entries");
  assert.deepEqual([asked[0]!.headers["content-type"], asked[0]!.headers["accept"]], ["application/json", "application/json"]);
  assert.deepEqual(
    [entry.kind, entry.version, entry.logIndex, entry.integratedTime],
    ["hashedrekord", "0.0.1", 12_345n, 1_700_000_000n],
  );
  assert.deepEqual(
    [toHex(entry.logId), Buffer.from(entry.canonicalizedBody), entry.signedEntryTimestamp],
    ["ab".repeat(32), Buffer.from(BODY), Uint8Array.of(1, 2)],
  );
  const { hashes, rootHash, ...proof } = entry.inclusionProof!;
  assert.deepEqual(
    [proof, hashes.map(toHex), toHex(rootHash)],
    [{ logIndex: 345n, treeSize: 400n, checkpoint: "rekor.example - 1\n400\n" }, ["cd".repeat(32)], "ef".repeat(32)],
  );
});

test("an entry that exists is asked for by its proposal", async () => {
  const { fetch, asked } = ledger([409, { code: 409, message: "an equivalent entry already exists" }], [200, [ENTRY]]);
  const entry = await createLedgerV1Client({ url: "http://ledger.test", fetch }).addEntry({ kind: "x" });
  assert.equal(entry.logIndex, 12_345n);
  assert.deepEqual(
    [asked[1]!.url, asked[1]!.body],
    ["http://ledger.test/api/v1/log/entries/retrieve", { entries: [{ kind: "x" }] }],
  );
});

test("an entry that exists and is not given out is a wrong answer", async () => {
  for (const answer of [[], [ENTRY, ENTRY], {}, [{}]]) {
    const { fetch } = ledger([409, {}], [200, answer]);
    await assert.rejects(
      createLedgerV1Client({ url: "http://ledger.test", fetch }).addEntry({}),
      refused("SERVICE_ANSWER_INVALID"),
    );
  }
});

test("a refusal is a refusal, with the ledger's words", async () => {
  for (const status of [200, 400, 422]) {
    const { fetch } = ledger([status, { code: status, message: "kind in body is required" }]);
    await assert.rejects(
      createLedgerV1Client({ url: "http://ledger.test", fetch }).addEntry({}),
      (error) => refused("SERVICE_REFUSED")(error) && /kind in body is required/.test(String(error)),
    );
  }
});

test("a seal is proposed as hashedrekord, an envelope as dsse with its text", () => {
  const client = createLedgerV1Client({ url: "http://ledger.test", fetch: ledger().fetch });
  const plain: Loose = client.requestFor(seal);
  assert.deepEqual(
    [plain.kind, plain.apiVersion, plain.spec.data, plain.spec.signature.content],
    ["hashedrekord", "0.0.1", { hash: { algorithm: "sha384", value: "ab".repeat(48) } }, "AQI="],
  );
  assert.deepEqual(
    parsePem(Buffer.from(plain.spec.signature.publicKey.content, "base64").toString(), "CERTIFICATE"),
    Uint8Array.of(0x30, 0),
  );
  const envelope = { payload: utf8("{}"), payloadType: "a/b", keyid: "k" };
  const whole: Loose = client.requestFor({ ...seal, verifier: { ...seal.verifier, kind: "publicKey" }, envelope });
  assert.equal(whole.kind, "dsse");
  assert.deepEqual(JSON.parse(whole.spec.proposedContent.envelope), {
    payload: "e30=",
    payloadType: "a/b",
    signatures: [{ sig: "AQI=", keyid: "k" }],
  });
  assert.match(Buffer.from(whole.spec.proposedContent.verifiers[0], "base64").toString(), /^-----BEGIN PUBLIC KEY-----\n/);
});

test("answers are read strictly: any value in the place of any other is refused in words", () => {
  const bad = [null, true, -1, 1.5, "", "zz", [], {}, { a: 1 }];
  const paths = (value: unknown, path: readonly string[] = []): readonly (readonly string[])[] =>
    typeof value === "object" && value !== null
      ? Object.entries(value).flatMap(([name, inner]) => [[...path, name], ...paths(inner, [...path, name])])
      : [];
  let accepted = 0;
  for (const path of paths(ENTRY)) {
    for (const value of bad) {
      const broken: Loose = structuredClone(ENTRY);
      path.slice(0, -1).reduce((at, name) => at[name], broken)[path.at(-1)!] = value;
      try {
        decodeEntryMap(utf8(JSON.stringify(broken)));
        accepted += 1;
      } catch (error) {
        assert.ok(error instanceof LacreError, `${path.join(".")}: ${String(error)}`);
      }
    }
  }
  // What an absent promise or proof, an empty or another text and an empty list leave is for the verifier to judge.
  assert.ok(accepted < 14, `${accepted}`);
  assert.throws(() => decodeEntryMap(utf8(JSON.stringify({ ...ENTRY, ["0".repeat(80)]: ENTRY[UUID] }))), refused("BAD_JSON"));
});
