// SPDX-License-Identifier: Apache-2.0
/** Keys and cosignatures of witnesses, against vectors that Go's note and formats packages made. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { toBase64, utf8 } from "../bytes/index.ts";
import { formatNote, formatSignatureLine, parseSignatureLines } from "../codec/index.ts";
import { generateKey, sha256 } from "../crypto/index.ts";
import { LacreError, type LacreCode } from "../errors.ts";
import {
  checkLine,
  checkSigned,
  cosign,
  createVerifierKey,
  formatCheckpointText,
  formatVerifierKey,
  formatWitnessRequest,
  isCosigner,
  logVerifierKey,
  parseCheckpoint,
  parseVerifierKey,
  parseWitnessRequest,
  signCheckpoint,
  type VerifierKey,
} from "./index.ts";

interface Vectors {
  readonly logKey: string;
  readonly ed25519: string;
  readonly mlDsa44: string;
  readonly checkpoint: string;
  readonly extended: string;
  readonly rfc6962Key: string;
  readonly rfc6962: string;
}
const go = JSON.parse(readFileSync(join(import.meta.dirname, "../../../../vectors/cosignature/go.json"), "utf8")) as Vectors;

function refuses(code: LacreCode, work: () => unknown, saying = /./): void {
  assert.throws(work, (error) => {
    if (!(error instanceof LacreError)) throw error;
    assert.equal(error.code, code, error.message);
    assert.match(`${error.message} ${error.found ?? ""}`, saying);
    return true;
  });
}

const checkpoint = parseCheckpoint(go.checkpoint);
const extended = parseCheckpoint(go.extended);
const all = [go.logKey, go.ed25519, go.mlDsa44, go.rfc6962Key];

test("verifier keys of every type are read and written as Go writes them", () => {
  assert.deepEqual(
    all.map((line) => parseVerifierKey(line).kind),
    ["ed25519", "ed25519-cosignature", "ml-dsa-44-cosignature", "rfc6962"],
  );
  for (const line of all) assert.equal(formatVerifierKey(parseVerifierKey(line)), line);
  const ecdsa = logVerifierKey("log.example", generateKey("P-256").publicKey);
  assert.equal(ecdsa.kind, "ecdsa");
  assert.deepEqual(parseVerifierKey(formatVerifierKey(ecdsa)).keyId, ecdsa.keyId);
});

test("a verifier key of another form, type or id is refused", () => {
  const [, name, id, key] = /^([^+]+)\+([^+]+)\+(.+)$/.exec(go.ed25519) as unknown as [string, string, string, string];
  refuses("KEY_INVALID", () => parseVerifierKey(`${"x".repeat(5000)}+${id}+${key}`), /too long/);
  for (const bad of [
    "",
    "a",
    `${name}+${id}`,
    `+${id}+${key}`,
    `${name}+${id.toUpperCase()}+${key}`,
    `${name} x+${id}+${key}`,
    `${name}+${id}+${key}+`,
    `${name}+${id}+AAAA`,
    `${name}+${id}+${key.slice(0, -4)}`,
    "x".repeat(5000),
  ]) {
    refuses("KEY_INVALID", () => parseVerifierKey(bad));
  }
  refuses("KEY_INVALID", () => parseVerifierKey(`other.example+${id}+${key}`), /id/);
  refuses(
    "KEY_INVALID",
    () => parseVerifierKey(`${name}+${id}+${toBase64(Uint8Array.of(9, ...new Uint8Array(32)))}`),
    /unknown type/,
  );
  refuses("KEY_INVALID", () => createVerifierKey("w", "ml-dsa-44-cosignature", generateKey("Ed25519").publicKey));
  refuses("KEY_INVALID", () => createVerifierKey("w", "rfc6962", generateKey("P-384").publicKey));
  refuses("KEY_INVALID", () => createVerifierKey("a b", "ed25519", generateKey("Ed25519").publicKey), /malformed/);
});

test("checkpoints and cosignatures that Go made verify, with their times", () => {
  assert.equal(checkSigned(checkpoint, parseVerifierKey(go.logKey)).timeMs, undefined);
  for (const key of [go.ed25519, go.mlDsa44])
    assert.equal(new Date(checkSigned(checkpoint, parseVerifierKey(key)).timeMs!).getUTCFullYear(), 2026);
  assert.equal(checkSigned(parseCheckpoint(go.rfc6962), parseVerifierKey(go.rfc6962Key)).timeMs, 1_790_000_000_123);
  // The Ed25519 kind covers extension lines.
  checkSigned(extended, parseVerifierKey(go.ed25519));
});

test("another text, another name, another time: no cosignature", () => {
  for (const vkey of [go.ed25519, go.mlDsa44]) {
    const key = parseVerifierKey(vkey);
    const { line } = checkSigned(checkpoint, key);
    const other = parseCheckpoint(go.checkpoint.replace("\n20852163\n", "\n20852164\n"));
    refuses("SIGNATURE_INVALID", () => checkSigned(other, key));
    const later = Uint8Array.from(line.signature);
    later[7]! ^= 1;
    refuses("SIGNATURE_INVALID", () => checkLine(checkpoint, key, { ...line, signature: later }));
    refuses(
      "SIGNATURE_INVALID",
      () => checkLine(checkpoint, key, { ...line, signature: line.signature.subarray(0, -1) }),
      /length/,
    );
    refuses(
      "SIGNATURE_INVALID",
      () => checkLine(checkpoint, key, { ...line, signature: new Uint8Array(line.signature.length) }),
      /time/,
    );
    const origin = parseCheckpoint(go.checkpoint.replace("log.example/vectors\n", "log.example/Vectors\n"));
    refuses("SIGNATURE_INVALID", () => checkSigned(origin, key));
  }
  // The name is part of what ML-DSA signs; Ed25519 does not cover it.
  const mlDsa = parseVerifierKey(go.mlDsa44);
  refuses("SIGNATURE_INVALID", () =>
    checkLine(checkpoint, createVerifierKey("witness.example/w3", mlDsa.kind, mlDsa.key), checkSigned(checkpoint, mlDsa).line),
  );
});

test("a log's own signature is checked, Ed25519 and ECDSA, under its name and key alone", () => {
  for (const type of ["Ed25519", "P-256", "P-384", "P-521"] as const) {
    const key = generateKey(type);
    const vkey = logVerifierKey("log.example", key.publicKey);
    const note = signCheckpoint({ origin: "log.example", name: "log.example", size: 7n, root: sha256(utf8("r")), key });
    assert.equal(checkSigned(parseCheckpoint(note), vkey).timeMs, undefined);
    refuses("SIGNATURE_INVALID", () => checkSigned(parseCheckpoint(note.replace("\n7\n", "\n8\n")), vkey));
    // The same name with another key, and the same key under another name, are strangers.
    refuses("CHECKPOINT_UNSIGNED", () =>
      checkSigned(parseCheckpoint(note), logVerifierKey("log.example", generateKey(type).publicKey)),
    );
    refuses("CHECKPOINT_UNSIGNED", () => checkSigned(parseCheckpoint(note), logVerifierKey("other.example", key.publicKey)));
  }
  assert.deepEqual(
    all.map((line) => isCosigner(parseVerifierKey(line).kind)),
    [false, true, true, false],
  );
});

test("a tree head's line is held to its form", () => {
  const head = parseCheckpoint(go.rfc6962);
  const key = parseVerifierKey(go.rfc6962Key);
  const { line } = checkSigned(head, key);
  const edited = (at: number, value: number): Uint8Array =>
    Uint8Array.from(line.signature, (octet, index) => (index === at ? value : octet));
  for (const signature of [
    edited(8, 5),
    edited(9, 1),
    edited(0, 0xff),
    edited(7, line.signature[7]! ^ 1),
    line.signature.subarray(0, 12),
    Uint8Array.from([...line.signature, 0]),
  ]) {
    refuses("SIGNATURE_INVALID", () => checkLine(head, key, { ...line, signature }));
  }
});

test("an absent key is said to be absent, and a bad line of a known key refuses the note", () => {
  refuses("CHECKPOINT_UNSIGNED", () => checkSigned(extended, parseVerifierKey(go.mlDsa44)), /witness\.example\/w1/);
  const key = parseVerifierKey(go.ed25519);
  const { line } = checkSigned(checkpoint, key);
  const forged = { ...line, signature: line.signature.map((octet, at) => (at === 70 ? octet ^ 1 : octet)) };
  const both = parseCheckpoint(formatNote({ text: checkpoint.note.text, signatures: [line, forged] }));
  refuses("SIGNATURE_INVALID", () => checkSigned(both, key));
});

test("what we cosign verifies, and of several lines the latest counts", () => {
  const log = generateKey("Ed25519");
  const signed = parseCheckpoint(
    signCheckpoint({ origin: "log.example", name: "log.example", size: 7n, root: sha256(utf8("r")), key: log }),
  );
  for (const [kind, type] of [
    ["ed25519-cosignature", "Ed25519"],
    ["ml-dsa-44-cosignature", "ML-DSA-44"],
  ] as const) {
    const key = generateKey(type);
    const vkey: VerifierKey = createVerifierKey("w.example", kind, key.publicKey);
    const lines = [5_999, 9_000].map((timeMs) =>
      cosign(kind, { checkpoint: signed, name: vkey.name, keyId: vkey.keyId, key, timeMs }),
    );
    const cosigned = parseCheckpoint(
      formatNote({ ...signed.note, signatures: [...signed.note.signatures, lines[1]!, lines[0]!] }),
    );
    assert.equal(checkSigned(cosigned, vkey).timeMs, 9_000);
    assert.equal(checkLine(signed, vkey, lines[0]!).timeMs, 5_000);
    assert.throws(() => cosign(kind, { checkpoint: signed, name: vkey.name, keyId: vkey.keyId, key, timeMs: 999 }), TypeError);
  }
  const key = generateKey("ML-DSA-44");
  refuses(
    "CHECKPOINT_INVALID",
    () => cosign("ml-dsa-44-cosignature", { checkpoint: extended, name: "w", keyId: new Uint8Array(4), key, timeMs: 5000 }),
    /extension/,
  );
  assert.equal(
    cosign("ml-dsa-44-cosignature", { checkpoint: signed, name: "w".repeat(255), keyId: new Uint8Array(4), key, timeMs: 5000 })
      .signature.length,
    2428,
  );
  refuses(
    "CHECKPOINT_INVALID",
    () =>
      cosign("ml-dsa-44-cosignature", { checkpoint: signed, name: "w".repeat(256), keyId: new Uint8Array(4), key, timeMs: 5000 }),
    /255/,
  );
});

test("a witness's answer is signature lines and nothing else", () => {
  const lines = checkpoint.note.signatures;
  assert.deepEqual(parseSignatureLines(lines.map(formatSignatureLine).join("")), lines);
  for (const bad of ["", "\n", "— w AAAAAAA=", "— w AAAAAAA=\n\n— w AAAAAAA=\n", "x\n", "\n\n— w AAAAAAA=\n"])
    refuses("BAD_NOTE", () => parseSignatureLines(bad));
});

test("a request to a witness is read as it was written", () => {
  const proof = [sha256(utf8("a")), sha256(utf8("b"))];
  const body = formatWitnessRequest({ oldSize: 20_852_014n, proof, note: go.checkpoint });
  assert.equal(body.split("\n")[0], "old 20852014");
  const read = parseWitnessRequest(body);
  assert.deepEqual([read.oldSize, read.note, read.checkpoint.size], [20_852_014n, go.checkpoint, 20_852_163n]);
  assert.deepEqual(read.proof, proof);
  assert.equal(parseWitnessRequest(formatWitnessRequest({ oldSize: 0n, proof: [], note: go.checkpoint })).proof.length, 0);
  const long = Array.from({ length: 63 }, () => new Uint8Array(32));
  assert.equal(
    parseWitnessRequest(formatWitnessRequest({ oldSize: (1n << 63n) - 1n, proof: long, note: go.checkpoint })).proof.length,
    63,
  );
  assert.throws(
    () => formatWitnessRequest({ oldSize: 0n, proof: [...long, new Uint8Array(32)], note: go.checkpoint }),
    TypeError,
  );
});

test("a request of another form is refused", () => {
  const hash = `${toBase64(new Uint8Array(32))}\n`;
  for (const head of [
    "",
    "old\n",
    "old 1",
    "Old 1\n",
    "old 01\n",
    "old -1\n",
    "old 9223372036854775808\n",
    "old  1\n",
    "old 1 \n",
    "new 1\n",
    `old 1\n${hash.slice(4)}`,
    `old 1\n!${hash.slice(1)}`,
    `old 1\n${toBase64(new Uint8Array(31))}\n`,
    `old 1\n${hash.repeat(64)}`,
  ]) {
    refuses("REQUEST_INVALID", () => parseWitnessRequest(`${head}\n${go.checkpoint}`));
  }
  refuses("REQUEST_INVALID", () => parseWitnessRequest("old 1\n"));
  refuses("CHECKPOINT_INVALID", () => parseWitnessRequest(`old 1\n\n${go.checkpoint.replace("\n20852163\n", "\n020852163\n")}`));
  refuses("BAD_NOTE", () => parseWitnessRequest(`old 1\n\n${formatCheckpointText("log.example", 1n, new Uint8Array(32))}`));
});
