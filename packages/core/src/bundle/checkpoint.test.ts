// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { createPrivateKey, generateKeyPairSync, sign } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import test from "node:test";
import { concat, fromBase64, fromHex, toBase64, toHex, utf8 } from "../bytes/index.ts";
import { formatNote, parseNote } from "../codec/index.ts";
import { importPrivateKey, importPublicKey, type PrivateKey, type PublicKey } from "../crypto/index.ts";
import { LacreError, type LacreCode } from "../errors.ts";
import {
  checkNoteSignature,
  formatCheckpointText,
  noteKeyId,
  parseCheckpoint,
  rekorV1KeyId,
  signCheckpoint,
  type NoteSigner,
} from "./checkpoint.ts";

const NAME = "log.lacre.example";
const SEED = fromHex("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f");
// PKCS#8 of an Ed25519 seed (RFC 8410, section 7).
const ED25519: PrivateKey = importPrivateKey(concat(fromHex("302e020100300506032b657004220420"), SEED));
const ROOT = fromHex("3a64cb9531071b4f27a77567108161e3063bef4799aab5f3c30cb0eda4ab9ae3");
const NOTE =
  "log.lacre.example\n1\nOmTLlTEHG08np3VnEIFh4wY770eZqrXzwwyw7aSrmuM=\n\n— log.lacre.example atqHn1XNhgQVSMHC6FygZZruGRom8mJYSAZnQTGwHkdaCd5SvQG8MRUEFsZpgd+4WEVn+7yUZd+Z+1aL1nrCYoh2uA4=\n";
const V1_KEY: PublicKey = importPublicKey(
  fromBase64(
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE1lqTl3yqPRsIGFL/V6eeRl8WYFdzBLrq1QXdOkhYnPNQGF6JU3LfYiHqOhN1V+Rz/dtnVfBb1QfDxTP86ckShQ==",
  ),
);
const V1_NOTE =
  "rekor.lacre.example - 1234567890123456789\n1\nn87OChh9rXTNtlNGfJXtmq03o3d0GoSVSV4HBJGTSaM=\n\n— rekor.lacre.example v8uitzBFAiEAgBkWLdp8NLNEbni1CZuPsIhq+ETiQOzmLK/eq3Q6zPMCICYNK425+GcOVrMSYYBn9iWU/wVP6/79Hgx0jf6lZAg0\n";

function signer(note: string, more: Partial<NoteSigner> = {}): NoteSigner {
  return { note: parseNote(note), name: NAME, keyHint: noteKeyId(NAME, ED25519.publicKey), key: ED25519.publicKey, ...more };
}
function refuses(code: LacreCode, run: () => unknown): void {
  assert.throws(run, (error) => error instanceof LacreError && error.code === code);
}

test("makes the published v2 checkpoint, byte for byte", () => {
  assert.equal(toHex(ED25519.publicKey.raw), "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8");
  assert.equal(toHex(noteKeyId(NAME, ED25519.publicKey)), "6ada879f98f0d5f7e6cc8d40bcf704efdf162c61d3d0a99bfa4d15f32a04b447");
  assert.equal(signCheckpoint({ origin: NAME, size: 1n, root: ROOT, name: NAME, key: ED25519 }), NOTE);
  const checkpoint = parseCheckpoint(NOTE);
  assert.deepEqual([checkpoint.origin, checkpoint.size, checkpoint.root, checkpoint.extensions], [NAME, 1n, ROOT, []]);
  assert.equal(checkNoteSignature(signer(NOTE)).name, NAME);
});

test("accepts the published v1 checkpoint: host as name, key hash as hint", () => {
  const checkpoint = parseCheckpoint(V1_NOTE);
  assert.equal(checkpoint.origin, "rekor.lacre.example - 1234567890123456789");
  assert.equal(toHex(rekorV1KeyId(V1_KEY)), "bfcba2b742a807bbb72b522fa4694c4604ff68ebd21b048c56d53dc18a94d5c4");
  assert.deepEqual(noteKeyId("any name", V1_KEY), rekorV1KeyId(V1_KEY));
  checkNoteSignature({ note: checkpoint.note, name: "rekor.lacre.example", keyHint: rekorV1KeyId(V1_KEY), key: V1_KEY });
});

test("signs and accepts with every type of key that notes know", () => {
  const pairs = [
    generateKeyPairSync("ed25519"),
    generateKeyPairSync("rsa", { modulusLength: 2048 }),
    ...["P-256", "P-384", "P-521"].map((namedCurve) => generateKeyPairSync("ec", { namedCurve })),
  ];
  for (const pair of pairs) {
    const key = importPrivateKey(pair.privateKey.export({ type: "pkcs8", format: "der" }));
    const text = signCheckpoint({ origin: NAME, size: 5n, root: ROOT, name: NAME, key });
    const claim = { note: parseCheckpoint(text).note, name: NAME, keyHint: noteKeyId(NAME, key.publicKey), key: key.publicKey };
    checkNoteSignature(claim);
    // Node signs over SHA-256 whatever the curve, as the rule says; Ed25519 over the text.
    const message = formatCheckpointText(NAME, 5n, ROOT);
    const other = sign(
      key.publicKey.type === "Ed25519" ? null : "sha256",
      Buffer.from(message),
      createPrivateKey(pair.privateKey.export({ type: "pkcs8", format: "pem" })),
    );
    checkNoteSignature({
      ...claim,
      note: { text: message, signatures: [{ name: NAME, keyHint: claim.keyHint.subarray(0, 4), signature: other }] },
    });
    refuses("SIGNATURE_INVALID", () =>
      checkNoteSignature({ ...claim, note: { ...claim.note, text: message.replace("5", "6") } }),
    );
  }
});

test("RSA key ids commit to name, type and key", () => {
  const { publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const key = importPublicKey(publicKey.export({ type: "spki", format: "der" }));
  assert.notDeepEqual(noteKeyId("a", key), noteKeyId("b", key));
});

test("keys without a rule are unknown, not accepted", () => {
  const key = importPublicKey(generateKeyPairSync("ml-dsa-44").publicKey.export({ type: "spki", format: "der" }));
  refuses("ALGORITHM_UNKNOWN", () => noteKeyId(NAME, key));
  refuses("ALGORITHM_UNKNOWN", () => checkNoteSignature(signer(NOTE, { key })));
});

test("ignores lines of others, in any order", () => {
  const mine = parseNote(NOTE);
  const witness = { name: "witness.example/w1", keyHint: Uint8Array.of(1, 2, 3, 4), signature: new Uint8Array(72) };
  const sameName = { ...mine.signatures[0]!, keyHint: Uint8Array.of(9, 9, 9, 9) };
  const collision = { ...mine.signatures[0]!, signature: new Uint8Array(64) };
  for (const signatures of [
    [witness, mine.signatures[0]!],
    [mine.signatures[0]!, witness],
    [sameName, witness, mine.signatures[0]!],
    [collision, mine.signatures[0]!],
  ]) {
    assert.deepEqual(checkNoteSignature(signer(formatNote({ ...mine, signatures }))).signature, mine.signatures[0]!.signature);
  }
  refuses("CHECKPOINT_UNSIGNED", () => checkNoteSignature(signer(formatNote({ ...mine, signatures: [witness] }))));
  refuses("CHECKPOINT_UNSIGNED", () => checkNoteSignature(signer(formatNote({ ...mine, signatures: [sameName] }))));
});

test("the name is compared as a whole string, never as a pattern or a part", () => {
  for (const name of [
    "log.lacre",
    "lacre.example",
    "log.lacre.example.evil",
    "xlog.lacre.example",
    "log-lacre.example",
    "log.lacre.exampl.",
    "LOG.lacre.example",
    ".*",
    "",
  ]) {
    refuses("CHECKPOINT_UNSIGNED", () => checkNoteSignature(signer(NOTE, { name })));
  }
  refuses("CHECKPOINT_UNSIGNED", () =>
    checkNoteSignature(signer(NOTE.replace("— log.lacre.example ", "— log.lacre.example.evil "))),
  );
});

test("a wrong signature, a wrong key and another hint are refused", () => {
  const note = parseNote(NOTE);
  const bad = note.signatures[0]!.signature.with(0, note.signatures[0]!.signature[0]! ^ 1);
  refuses("SIGNATURE_INVALID", () =>
    checkNoteSignature(signer(formatNote({ ...note, signatures: [{ ...note.signatures[0]!, signature: bad }] }))),
  );
  refuses("SIGNATURE_INVALID", () =>
    checkNoteSignature(
      signer(NOTE, { key: importPublicKey(generateKeyPairSync("ed25519").publicKey.export({ type: "spki", format: "der" })) }),
    ),
  );
  refuses("CHECKPOINT_UNSIGNED", () => checkNoteSignature(signer(NOTE, { keyHint: Uint8Array.of(0, 0, 0, 0) })));
  refuses("CHECKPOINT_UNSIGNED", () => checkNoteSignature(signer(NOTE, { keyHint: new Uint8Array(0) })));
  refuses("SIGNATURE_INVALID", () => checkNoteSignature(signer(NOTE.replace("\n1\n", "\n2\n"))));
});

test("sizes and roots have one spelling", () => {
  const size = (written: string): string => NOTE.replace("\n1\n", `\n${written}\n`);
  for (const wrong of [
    "01",
    "+1",
    "-1",
    " 1",
    "1 ",
    "",
    "1.0",
    "1e3",
    "0x1",
    "１",
    "9223372036854775808",
    "99999999999999999999",
  ])
    refuses("CHECKPOINT_INVALID", () => parseCheckpoint(size(wrong)));
  assert.equal(parseCheckpoint(size("0")).size, 0n);
  assert.equal(parseCheckpoint(size("9007199254740993")).size, 9007199254740993n);
  assert.equal(parseCheckpoint(size("9223372036854775807")).size, (1n << 63n) - 1n);
  const root = (written: string): string => NOTE.replace("OmTLlTEHG08np3VnEIFh4wY770eZqrXzwwyw7aSrmuM=", written);
  for (const wrong of [
    "",
    "AAAA",
    toBase64(new Uint8Array(31)),
    toBase64(new Uint8Array(33)),
    "OmTLlTEHG08np3VnEIFh4wY770eZqrXzwwyw7aSrmuN=",
    "OmTLlTEHG08np3VnEIFh4wY770eZqrXzwwyw7aSrmuM",
    " OmTLlTEHG08np3VnEIFh4wY770eZqrXzwwyw7aSrmuM=",
  ]) {
    refuses("CHECKPOINT_INVALID", () => parseCheckpoint(root(wrong)));
  }
});

test("refuses blank lines, carriage returns, missing lines and text behind", () => {
  for (const wrong of ["log.lacre.example", "log.lacre.example\n1", ""])
    refuses("CHECKPOINT_INVALID", () => parseCheckpoint(NOTE.replace(/^[^]*?(?=\n\n)/, wrong)));
  refuses("CHECKPOINT_INVALID", () => parseCheckpoint(NOTE.replace("log.lacre.example\n1\n", "\n1\n")));
  for (const wrong of [
    NOTE.replace("\n\n", "\n\n\n"),
    NOTE.replace("\n1\n", "\n\n1\n"),
    `\n${NOTE}`,
    NOTE.replace("log.lacre.example\n1\n", "1\n"),
    NOTE.replace("\n\n", "\nextension\n\nmore\n\n"),
  ]) {
    refuses("CHECKPOINT_INVALID", () => parseCheckpoint(wrong));
  }
  for (const wrong of [NOTE.replaceAll("\n", "\r\n"), `${NOTE}text\n`, NOTE.slice(0, -1), NOTE.split("\n\n")[0]!, ""])
    refuses("BAD_NOTE", () => parseCheckpoint(wrong));
  assert.deepEqual(parseCheckpoint(NOTE.replace("\n\n", "\nTimestamp: 1\n\n")).extensions, ["Timestamp: 1"]);
});

test("writing what is no checkpoint is misuse", () => {
  for (const [origin, size, root] of [
    ["", 1n, ROOT],
    ["a\nb", 1n, ROOT],
    ["a", -1n, ROOT],
    ["a", 1n << 63n, ROOT],
    ["a", 1n, ROOT.subarray(1)],
  ] as const) {
    assert.throws(() => formatCheckpointText(origin, size, root), TypeError);
  }
});

test("checkpoints of the public instance's bundles verify with the keys of its trusted root", (t) => {
  const vectors = new URL("../../../../../shared/vectors/", import.meta.url);
  if (!existsSync(vectors)) return t.diagnostic("the vectors are not at hand");
  const root = JSON.parse(readFileSync(new URL("public-good-trusted_root.json", vectors), "utf8"));
  const bundle = JSON.parse(readFileSync(new URL("bundle-verify/happy-path-v0.3/bundle.sigstore.json", vectors), "utf8"));
  const entry = bundle.verificationMaterial.tlogEntries[0];
  const log = root.tlogs.find((candidate: { logId: { keyId: string } }) => candidate.logId.keyId === entry.logId.keyId);
  const key = importPublicKey(fromBase64(log.publicKey.rawBytes));
  const { note, root: hash } = parseCheckpoint(entry.inclusionProof.checkpoint.envelope);
  checkNoteSignature({ note, name: new URL(log.baseUrl).host, keyHint: rekorV1KeyId(key), key });
  assert.equal(toBase64(hash), entry.inclusionProof.rootHash);
  refuses("SIGNATURE_INVALID", () =>
    checkNoteSignature({
      note: { ...note, text: `${note.text}x\n` },
      name: new URL(log.baseUrl).host,
      keyHint: rekorV1KeyId(key),
      key,
    }),
  );
  assert.ok(utf8(note.text).length > 0);
});
