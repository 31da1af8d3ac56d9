// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  type Checkpoint,
  cosign,
  type CosignatureKind,
  createVerifierKey,
  formatVerifierKey,
  logVerifierKey,
  parseCheckpoint,
  signCheckpoint,
} from "../bundle/index.ts";
import { utf8 } from "../bytes/index.ts";
import { formatNote, type NoteSignature } from "../codec/index.ts";
import { generateKey, sha256 } from "../crypto/index.ts";
import { LacreError, type LacreCode } from "../errors.ts";
import { checkQuorum, describeQuorum, parseWitnessPolicy, type WitnessPolicy } from "./index.ts";

const log = generateKey("Ed25519");
const ORIGIN = "log.example";
const logKey = formatVerifierKey(logVerifierKey(ORIGIN, log.publicKey));

function witness(name: string, kind: CosignatureKind = "ed25519-cosignature") {
  const key = generateKey(kind === "ed25519-cosignature" ? "Ed25519" : "ML-DSA-44");
  const verifier = createVerifierKey(`${name}.example`, kind, key.publicKey);
  return {
    name,
    vkey: formatVerifierKey(verifier),
    line: (checkpoint: Checkpoint, timeMs = 1_000_000): NoteSignature =>
      cosign(kind, { checkpoint, name: verifier.name, keyId: verifier.keyId, key, timeMs }),
  };
}

const witnesses = ["x1", "x2", "x3", "y1", "y2"].map((name) => witness(name)).concat(witness("pq", "ml-dsa-44-cosignature"));
const parse = (text: string): WitnessPolicy => parseWitnessPolicy(utf8(text));
const lines = witnesses.map(({ name, vkey }) => `witness ${name} ${vkey} https://${name}.example/`).join("\n");
const nested = parse(
  `# two operators\n\nlog ${logKey} http://log.example\n${lines}\n\t group  X 2 x1 x2 x3 \ngroup Y any y1 y2\ngroup both all X Y pq\nquorum both\n`,
);

const bare = parseCheckpoint(signCheckpoint({ origin: ORIGIN, name: ORIGIN, size: 9n, root: sha256(utf8("root")), key: log }));
function signedBy(...names: readonly string[]): Checkpoint {
  const added = witnesses.filter(({ name }) => names.includes(name)).map((one) => one.line(bare));
  return parseCheckpoint(formatNote({ ...bare.note, signatures: [...bare.note.signatures, ...added] }));
}

function refuses(code: LacreCode, work: () => unknown, saying = /./): void {
  assert.throws(work, (error) => {
    if (!(error instanceof LacreError)) throw error;
    assert.equal(error.code, code, error.message);
    assert.match(`${error.message} ${error.found ?? ""} ${error.expected ?? ""}`, saying);
    return true;
  });
}

test("a policy is read: logs, witnesses with addresses, nested groups, the quorum", () => {
  assert.deepEqual(
    nested.logs.map(({ key, url }) => [key.name, url]),
    [[ORIGIN, "http://log.example"]],
  );
  assert.deepEqual(nested.witnesses.map(({ name, url }) => [name, url])[3], ["y1", "https://y1.example/"]);
  assert.equal(describeQuorum(nested.quorum!), "3 of (2 of (x1, x2, x3), 1 of (y1, y2), pq)");
  assert.equal(parse("quorum none").quorum, undefined);
});

test("names are octets: a Kelvin sign is no K, and octets that are no text are names too", () => {
  const [one, two] = [witnesses[0]!, witnesses[1]!];
  assert.equal(parse(`witness K ${one.vkey}\nwitness \u212a ${two.vkey}\nquorum \u212a`).witnesses[1]!.name, "\u212a");
  const policy = parseWitnessPolicy(Uint8Array.of(...utf8(`witness `), 0xff, ...utf8(` ${one.vkey}\nquorum `), 0xff));
  assert.ok("witness" in policy.quorum!);
});

test("every rule of the format is kept, and the line is named", () => {
  const [one, two] = [witnesses[0]!, witnesses[1]!];
  const w = `witness a ${one.vkey}\nwitness b ${two.vkey}\n`;
  for (const [policy, saying] of [
    ["", /quorum/],
    [`${w}`, /quorum/],
    [`${w}quorum a\nquorum b`, /line 4.*second/],
    ["quorum a", /line 1.*defined/],
    [`quorum a\n${w}`, /line 1/],
    [`${w}quorum`, /quorum <name>/],
    [`${w}quorum a b`, /quorum <name>/],
    [`${w}group g any a b`, /quorum/],
    [`${w}group g any c\nquorum g`, /line 3.*defined/],
    [`${w}group g any none\nquorum g`, /defined/],
    [`${w}group g any\nquorum g`, /group line/],
    [`${w}group g 3 a b\nquorum g`, /many/],
    [`${w}group g 0 a b\nquorum g`, /many/],
    [`${w}group g 01 a b\nquorum g`, /many/],
    [`${w}group g some a b\nquorum g`, /many/],
    [`${w}group g any a a\nquorum g`, /twice/],
    [`${w}group g any a\ngroup h any a b\nquorum h`, /line 4.*twice/],
    [`${w}group a any b\nquorum a`, /taken/],
    [`witness none ${one.vkey}\nquorum none`, /taken/],
    [`${w}witness a2 ${one.vkey}\nquorum a`, /listed twice/],
    [`log ${logKey}\nlog ${logKey}\nquorum none`, /listed twice/],
    [`log ${logKey} ftp://x\nquorum none`, /URL/],
    [`log\nquorum none`, /log line/],
    [`log ${logKey} http://x y\nquorum none`, /log line/],
    [`witness a ${logKey}\nquorum a`, /type 04/],
    [`witness a\nquorum none`, /witness line/],
    [`witness a ${one.vkey.slice(0, -2)}\nquorum none`, /line 1/],
    ["frobnicate\nquorum none", /line 1.*frobnicate|line 1/],
    ["quorum none\r\n", /control/],
    ["quorum\u0000none", /control/],
  ] as const)
    refuses("WITNESS_POLICY_INVALID", () => parse(policy), saying);
  refuses("TOO_LARGE", () => parseWitnessPolicy(new Uint8Array((1 << 20) + 1)));
  const groups = (count: number): string =>
    `${w}group g0 any a\n${Array.from({ length: count - 1 }, (_, at) => `group g${at + 1} any g${at}\n`).join("")}quorum g${count - 1}`;
  assert.equal(describeQuorum(parse(groups(2)).quorum!), "1 of (1 of (a))");
  parse(groups(256));
  refuses("TOO_LARGE", () => parse(groups(257)), /groups/);
  const logs = (count: number): string =>
    `${Array.from({ length: count }, (_, at) => `log ${formatVerifierKey(logVerifierKey(`l${at}.example`, generateKey("Ed25519").publicKey))}\n`).join("")}quorum none`;
  assert.equal(parse(logs(256)).logs.length, 256);
  refuses("TOO_LARGE", () => parse(logs(257)), /logs/);
});

test("a quorum is what the groups say, for every set of witnesses", () => {
  fc.assert(
    fc.property(fc.subarray(witnesses.map(({ name }) => name)), (names) => {
      const has = (name: string): boolean => names.includes(name);
      const expected = ["x1", "x2", "x3"].filter(has).length >= 2 && (has("y1") || has("y2")) && has("pq");
      if (!expected) return refuses("QUORUM_MISSING", () => checkQuorum(nested, signedBy(...names)), /3 of/);
      const { log: by, votes } = checkQuorum(nested, signedBy(...names));
      assert.equal(by?.key.name, ORIGIN);
      assert.deepEqual(votes.map((vote) => vote.witness.name).toSorted(), names.toSorted());
      assert.ok(votes.every(({ timeMs }) => timeMs === 1_000_000));
    }),
    { numRuns: 40 },
  );
});

test("a witness counts once, whatever it signs", () => {
  const policy = parse(`${lines}\ngroup g 2 x1 x2\nquorum g`);
  const twice = parseCheckpoint(
    formatNote({
      ...bare.note,
      signatures: [...bare.note.signatures, witnesses[0]!.line(bare, 5000), witnesses[0]!.line(bare, 6000)],
    }),
  );
  refuses("QUORUM_MISSING", () => checkQuorum(policy, twice), /x1/);
});

test("the log has to be one of the policy's and to have signed; without logs the caller knows it", () => {
  refuses(
    "CHECKPOINT_UNSIGNED",
    () =>
      checkQuorum(
        parse(`log ${formatVerifierKey(logVerifierKey("other.example", generateKey("Ed25519").publicKey))}\nquorum none`),
        bare,
      ),
    /other\.example/,
  );
  refuses("CHECKPOINT_UNSIGNED", () =>
    checkQuorum(parse(`log ${formatVerifierKey(logVerifierKey(ORIGIN, generateKey("Ed25519").publicKey))}\nquorum none`), bare),
  );
  assert.deepEqual(checkQuorum(parse("quorum none"), bare), { log: undefined, votes: [] });
});

test("a bad line of a known witness refuses the checkpoint, whether it is needed or not", () => {
  const good = signedBy("x1", "x2", "y1", "pq");
  const forged = good.note.signatures.map((line) =>
    line.name === "x1.example"
      ? { ...line, signature: line.signature.map((octet, at) => (at === 20 ? octet ^ 1 : octet)) }
      : line,
  );
  refuses("SIGNATURE_INVALID", () => checkQuorum(nested, parseCheckpoint(formatNote({ ...good.note, signatures: forged }))));
  refuses("SIGNATURE_INVALID", () =>
    checkQuorum(parse(`log ${logKey}\n${lines}\nquorum x2`), parseCheckpoint(formatNote({ ...good.note, signatures: forged }))),
  );
});
