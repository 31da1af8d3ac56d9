// SPDX-License-Identifier: Apache-2.0
/**
 * Certificates issued in one process: token verified (RS256), proof checked, precertificate signed, logged durably and
 * published in the CT log, promise signed, certificate signed; through the HTTP edge, without a socket. The first bound is
 * the platform's rate of P-256 signatures; the second the bare operations that one certificate consists of: two signatures by the
 * authority, one by the log, the proof with a key not seen before, the precertificate's signature, the token's.
 */
import * as crypto from "node:crypto";
import { mintDevelopmentToken } from "../packages/services/src/idp/index.ts";
import { createIssuance } from "../test/issuance.ts";
import { compare, type Measurement, type Work } from "./measure.ts";

export async function run(): Promise<readonly Measurement[]> {
  const bed = await createIssuance({ direct: true });
  const { privateKey, publicKey } = crypto.generateKeyPairSync("ec", { namedCurve: "P-256" });
  const email = "dev@example.com";
  const payload = JSON.stringify({
    publicKeyRequest: {
      publicKey: { algorithm: "ECDSA", content: publicKey.export({ type: "spki", format: "pem" }) },
      proofOfPossession: crypto.sign("sha256", Buffer.from(email), privateKey).toString("base64"),
    },
  });
  const tokens = Array.from({ length: 64 }, () =>
    mintDevelopmentToken({
      issuer: bed.issuer,
      key: bed.identityKey,
      email,
      audience: "sigstore",
      now: Date.now,
      lifetimeMs: 3_600_000,
    }),
  );
  let next = 0;
  const issue = async (): Promise<void> => {
    const authorization = `Bearer ${tokens[next++ % tokens.length]}`;
    const answer = await bed.app.inject({
      method: "POST",
      url: "/api/v2/signingCert",
      headers: { "content-type": "application/json", authorization },
      payload,
    });
    if (answer.statusCode !== 200) throw new Error(`${answer.statusCode} ${answer.body}`);
  };
  const together =
    (count: number): Work =>
    () =>
      Promise.all(Array.from({ length: count }, issue)) as Promise<unknown> as never;
  const bound = { name: "crypto.sign, P-256 with SHA-256", work: () => crypto.sign("sha256", Buffer.from(email), privateKey) };
  const bare = { name: "bare operations of one certificate", work: bareOperations() };
  try {
    return [
      await compare({ name: "certificates, one by one", ours: { work: issue }, bound, repetitions: 3 }),
      await compare({
        name: "certificates, 32 at once",
        ours: { work: together(32), operations: 32 },
        bound,
        repetitions: 3,
        sliceMs: 1000,
      }),
      await compare({
        name: "certificates, 128 at once",
        ours: { work: together(128), operations: 128 },
        bound: bare,
        repetitions: 3,
        sliceMs: 1000,
      }),
      await latency(issue),
    ];
  } finally {
    await bed.close();
  }
}

/** Three signatures, two verifications of P-256, one of them with a key not seen before, one of RSA-2048. */
function bareOperations(): Work {
  const ec = crypto.generateKeyPairSync("ec", { namedCurve: "P-256" });
  const rsa = crypto.generateKeyPairSync("rsa", { modulusLength: 2048 });
  const message = crypto.randomBytes(700);
  const pem = ec.publicKey.export({ type: "spki", format: "pem" });
  const [bySigner, byIssuer] = [crypto.sign("sha256", message, ec.privateKey), crypto.sign("sha256", message, rsa.privateKey)];
  return () => {
    for (let i = 0; i < 3; i++) crypto.sign("sha256", message, ec.privateKey);
    crypto.verify("sha256", message, crypto.createPublicKey(pem), bySigner);
    crypto.verify("sha256", message, ec.publicKey, bySigner);
    crypto.verify("sha256", message, rsa.publicKey, byIssuer);
  };
}

/** What one requester waits when nobody else asks. */
async function latency(issue: () => Promise<void>): Promise<Measurement> {
  const times: number[] = [];
  for (let i = 0; i < 200; i++) {
    const start = performance.now();
    await issue();
    times.push(performance.now() - start);
  }
  times.sort((a, b) => a - b);
  const [median, slow] = [times[100]!, times[190]!];
  return {
    name: "one certificate, waiting (p50; spread to p95)",
    unit: "ms",
    value: median,
    bound: null,
    peer: null,
    ratio: null,
    peerRatio: null,
    boundName: null,
    peerName: null,
    repetitions: 200,
    spread: (slow - median) / median,
  };
}
