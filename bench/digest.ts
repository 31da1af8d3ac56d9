// SPDX-License-Identifier: Apache-2.0
/**
 * Verifying a signature over a ready digest, as the ledger must for every entry: against the platform's verification over
 * the message (which hashes 32 octets more and has the key prepared: the bound) and against @noble/curves (the peer).
 * Every operation uses another key, and the parsing of that key is part of ours.
 */
import * as crypto from "node:crypto";
import { p256, p384, p521 } from "@noble/curves/nist.js";
import { algorithmOf, checkSignatures, importPublicKey, type SignatureClaim } from "../packages/core/src/crypto/index.ts";
import { compare, type Measurement, type Work } from "./measure.ts";

const CURVES = [
  { name: "P-256", keyDetails: "PKIX_ECDSA_P256_SHA_256", peer: p256 },
  { name: "P-384", keyDetails: "PKIX_ECDSA_P384_SHA_384", peer: p384 },
  { name: "P-521", keyDetails: "PKIX_ECDSA_P521_SHA_512", peer: p521 },
] as const;

const BATCH = 16;
const NATIVE = "crypto.verify over the message, prepared key";

function expectGood(good: boolean): void {
  if (!good) throw new Error("a good signature was refused");
}

// Goes round the samples, one call each.
function inTurn<Sample>(samples: readonly Sample[], work: (sample: Sample) => void): Work {
  let next = 0;
  return () => work(samples[next++ % samples.length]!);
}

export async function run(): Promise<readonly Measurement[]> {
  const results: Measurement[] = [];
  for (const { name, keyDetails, peer } of CURVES) {
    const algorithm = algorithmOf(keyDetails);
    const samples = Array.from({ length: 4 * BATCH }, () => {
      const { publicKey, privateKey } = crypto.generateKeyPairSync("ec", { namedCurve: name });
      const spki: Uint8Array = publicKey.export({ format: "der", type: "spki" });
      const message = crypto.randomBytes(32);
      const signature: Uint8Array = crypto.sign(algorithm.hash, message, privateKey);
      const digest: Uint8Array = crypto.hash(algorithm.hash, message, "buffer");
      return { publicKey, spki, message, signature, digest, raw: importPublicKey(spki).raw };
    });
    type Sample = (typeof samples)[number];
    const claim = ({ spki, digest, signature }: Sample): SignatureClaim => ({
      algorithm,
      key: importPublicKey(spki),
      signed: { digest },
      signature,
    });
    const bound = {
      name: NATIVE,
      work: inTurn(samples, (sample) =>
        expectGood(crypto.verify(algorithm.hash, sample.message, sample.publicKey, sample.signature)),
      ),
    };
    const slow = {
      name: "@noble/curves 2.4.0, over the digest",
      work: inTurn(samples, (sample) =>
        expectGood(peer.verify(sample.signature, sample.digest, sample.raw, { prehash: false, lowS: false, format: "der" })),
      ),
    };
    let start = 0;
    const batch: Work = () => {
      start = (start + BATCH) % samples.length;
      expectGood(checkSignatures(samples.slice(start, start + BATCH).map(claim)).every((refusal) => refusal === undefined));
    };
    results.push(
      await compare({
        name: `${name} digest, one by one`,
        ours: { work: inTurn(samples, (sample) => expectGood(checkSignatures([claim(sample)])[0] === undefined)) },
        bound,
        peer: slow,
      }),
      await compare({ name: `${name} digest, ${BATCH} at once`, ours: { work: batch, operations: BATCH }, bound, peer: slow }),
    );
  }
  for (const bits of [2048, 3072, 4096]) {
    const { publicKey, privateKey } = crypto.generateKeyPairSync("rsa", { modulusLength: bits });
    const message = crypto.randomBytes(32);
    const signature = crypto.sign("sha256", message, privateKey);
    const claim: SignatureClaim = {
      algorithm: algorithmOf(`PKIX_RSA_PKCS1V15_${bits}_SHA256`),
      key: importPublicKey(publicKey.export({ format: "der", type: "spki" })),
      signed: { digest: crypto.hash("sha256", message, "buffer") },
      signature,
    };
    results.push(
      await compare({
        name: `RSA-${bits} digest, same key`,
        ours: { work: () => expectGood(checkSignatures([claim])[0] === undefined) },
        bound: { name: NATIVE, work: () => expectGood(crypto.verify("sha256", message, publicKey, signature)) },
      }),
    );
  }
  return results;
}
