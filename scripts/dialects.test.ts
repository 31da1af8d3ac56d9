// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import { signCheckpoint } from "@lacre/core/bundle";
import { ByteWriter, fromBase64, toBase64, toHex, utf8 } from "@lacre/core/bytes";
import { algorithmOf, defaultAlgorithm, generateKey, sha256, signMessage } from "@lacre/core/crypto";
import { hashLeaf } from "@lacre/core/merkle";
import {
  authorityFields,
  decodeCertificate,
  encodeName,
  issuerKeyHash,
  loggedTbs,
  prepareCertificate,
  randomSerial,
  rootFields,
  signUnsigned,
} from "@lacre/core/x509";
import { createCertificateDialect, REKOR_V1 } from "./dialects.ts";
import { LedgerOracle } from "./load.ts";

const logKey = generateKey("P-256");

/** A v1 answer for the only entry of a log, with what is to be wrong in it. */
function answerV1(record: Uint8Array, root: Uint8Array = hashLeaf(sha256, record)): Buffer {
  const checkpoint = signCheckpoint({ origin: "log.test", size: 1n, root, name: "log.test", key: logKey });
  const inclusionProof = { checkpoint, hashes: [], logIndex: 0, rootHash: toHex(root), treeSize: 1 };
  const entry = {
    body: toBase64(record),
    integratedTime: 1,
    logID: "00",
    logIndex: 0,
    verification: { inclusionProof, signedEntryTimestamp: "AAAA" },
  };
  return Buffer.from(JSON.stringify({ [toHex(randomBytes(40))]: entry }));
}

test("a v1 answer is held to its proof and its request", () => {
  const write = REKOR_V1.createWrites()();
  const record = utf8(`{"hash":"${write.digest}"}`);
  const oracle = new LedgerOracle();
  REKOR_V1.take(oracle, write, answerV1(record));
  assert.equal(oracle.promised, 1);
  assert.throws(() => REKOR_V1.take(new LedgerOracle(), write, answerV1(record, randomBytes(32))));
  assert.throws(() => REKOR_V1.take(new LedgerOracle(), write, answerV1(utf8("{}"))), /not the one that was sent/);
});

test("a certificate that a log promised and does not hold is a problem", async () => {
  const algorithm = algorithmOf("PKIX_ECDSA_P256_SHA_256");
  const [rootKey, issuerKey] = [generateKey("P-256"), generateKey("P-256")];
  const times = { notBeforeMs: Date.now() - 60_000, notAfterMs: Date.now() + 3_600_000 };
  const common = { serial: randomSerial(randomBytes), subject: encodeName({ O: "test", CN: "test" }), ...times };
  const root = decodeCertificate(
    signUnsigned(prepareCertificate(rootFields({ ...common, publicKey: rootKey.publicKey }), algorithm), rootKey),
  );
  const fields = authorityFields({
    ...common,
    subject: encodeName({ O: "test", CN: "issuing" }),
    publicKey: issuerKey.publicKey,
    issuer: root,
    purpose: "codeSigning",
  });
  const issuer = decodeCertificate(signUnsigned(prepareCertificate(fields, algorithm), rootKey));
  const dialect = createCertificateDialect({ chain: [issuer, root], key: issuerKey }, logKey.publicKey);
  const write = dialect.createWrites()();
  const tbs = loggedTbs(decodeCertificate(fromBase64(write.digest)).tbs);
  const leaf = new ByteWriter()
    .uint(1, 0)
    .uint(1, 0)
    .uint64(5n)
    .uint(2, 1)
    .put(issuerKeyHash(issuer))
    .vector(3, tbs)
    .vector(2, new Uint8Array(0))
    .finish();
  const signature = new ByteWriter()
    .uint(1, 4)
    .uint(1, 3)
    .vector(2, signMessage(defaultAlgorithm(logKey.publicKey), logKey, leaf))
    .finish();
  const answer = (timestamp: number): Buffer =>
    Buffer.from(JSON.stringify({ sct_version: 0, id: "", timestamp, extensions: "", signature: toBase64(signature) }));

  const check = async (hash: Uint8Array): Promise<readonly string[]> => {
    const oracle = new LedgerOracle();
    dialect.take(oracle, write, answer(5));
    const checkpoint = signCheckpoint({ origin: "log.test", size: 1n, root: hash, name: "log.test", key: logKey });
    await oracle.check((path) => Promise.resolve({ status: 200, body: Buffer.from(path === "/checkpoint" ? checkpoint : hash) }));
    return oracle.problems;
  };
  assert.deepEqual(await check(hashLeaf(sha256, leaf)), []);
  assert.match((await check(randomBytes(32)))[0]!, /is lost/);
  assert.throws(() => dialect.take(new LedgerOracle(), write, answer(6)), "a promise of another time was signed");
});
