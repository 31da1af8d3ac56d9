// SPDX-License-Identifier: Apache-2.0
/** Submissions to the CT log, and what its data tiles hold. */
import { toBase64 } from "../packages/core/src/bytes/index.ts";
import { parseJson } from "../packages/core/src/codec/index.ts";
import { algorithmOf, generateKey } from "../packages/core/src/crypto/index.ts";
import {
  authorityFields,
  decodeCertificate,
  encodeName,
  prepareCertificate,
  preparePrecertificate,
  rootFields,
  signerFields,
  signUnsigned,
} from "../packages/core/src/x509/index.ts";
import { type ChainChecker, createChainChecker } from "../packages/services/src/ct/chain.ts";
import { CT_PERSONALITY, encodeEntry } from "../packages/services/src/ct/entry.ts";
import { ServiceError } from "../packages/services/src/errors.ts";

export const name = "ct-submission";

let checker: ChainChecker | undefined;

export function seeds(): Uint8Array[] {
  const algorithm = algorithmOf("PKIX_ECDSA_P256_SHA_256");
  const [rootKey, issuingKey, key] = [generateKey("P-256"), generateKey("P-256"), generateKey("P-256")];
  const common = { notBeforeMs: 1_700_000_000_000, notAfterMs: 1_800_000_000_000 };
  const root = decodeCertificate(
    signUnsigned(
      prepareCertificate(
        rootFields({
          ...common,
          serial: Uint8Array.of(1),
          publicKey: rootKey.publicKey,
          subject: encodeName({ O: "o", CN: "r" }),
        }),
        algorithm,
      ),
      rootKey,
    ),
  );
  const below = authorityFields({
    ...common,
    serial: Uint8Array.of(2),
    publicKey: issuingKey.publicKey,
    issuer: root,
    subject: encodeName({ O: "o", CN: "i" }),
    purpose: "codeSigning",
  });
  const issuing = decodeCertificate(signUnsigned(prepareCertificate(below, algorithm), rootKey));
  const leaf = signerFields({
    ...common,
    serial: Uint8Array.of(3),
    publicKey: key.publicKey,
    issuer: issuing,
    san: { kind: "email", value: "a@b.c" },
    identityIssuer: "https://i.example",
    claims: new Map(),
  });
  const precertificate = signUnsigned(preparePrecertificate(leaf, algorithm), issuingKey);
  const certificate = signUnsigned(prepareCertificate(leaf, algorithm), issuingKey);
  checker = createChainChecker([root]);
  const submission = (...chain: Uint8Array[]): Uint8Array => Buffer.from(JSON.stringify({ chain: chain.map(toBase64) }));
  const issuers = [new Uint8Array(32), new Uint8Array(32)];
  return [
    submission(precertificate, issuing.der, root.der),
    submission(certificate, issuing.der),
    encodeEntry({
      kind: "precertificate",
      timestampMs: 1,
      issuers,
      issuerKeyHash: new Uint8Array(32),
      tbs: Buffer.from("tbs"),
      precertificate: Buffer.from("pre"),
    }),
    encodeEntry({ kind: "certificate", timestampMs: 1, issuers, certificate: Buffer.from("certificate") }),
  ];
}

export function target(bytes: Uint8Array): void {
  refusing(() => CT_PERSONALITY.unframe(bytes).forEach((record) => CT_PERSONALITY.leafInput(record)));
  const body = parseJson(bytes, { maxDepth: 4 });
  for (const kind of ["certificate", "precertificate"] as const) refusing(() => checker!.check(body, kind));
}

function refusing(work: () => void): void {
  try {
    work();
  } catch (error) {
    if (!(error instanceof ServiceError)) throw error;
  }
}
