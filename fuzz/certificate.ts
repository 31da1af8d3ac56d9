// SPDX-License-Identifier: Apache-2.0
/** Certificates, and all that is done with a stranger's certificate before it is trusted. */
import { equalBytes, fromHex } from "../packages/core/src/bytes/index.ts";
import { defaultAlgorithm, importPrivateKey, type PrivateKey } from "../packages/core/src/crypto/index.ts";
import {
  authorityFields,
  checkChain,
  checkCodeSigningLeaf,
  CLAIMS,
  decodeCertificate,
  embeddedScts,
  encodeName,
  formatName,
  loggedTbs,
  POISON,
  prepareCertificate,
  readIdentity,
  rootFields,
  sctListExtension,
  signerFields,
  signUnsigned,
  timestampLeafFields,
  type Certificate,
  type CertificateFields,
} from "../packages/core/src/x509/index.ts";

export const name = "certificate";

/** Keys of known seeds and a scheme without randomness: the same certificates in every run. */
export function keyNumber(number: number): PrivateKey {
  return importPrivateKey(fromHex(`302e020100300506032b657004220420${number.toString(16).padStart(64, "0")}`));
}

const [rootKey, issuingKey, signerKey] = [keyNumber(1), keyNumber(2), keyNumber(3)];
const window = { notBeforeMs: Date.UTC(2026, 0, 1), notAfterMs: Date.UTC(2036, 0, 1) };
export const TIME_MS: number = Date.UTC(2026, 5, 1);

function issue(fields: CertificateFields, issuer: PrivateKey): Certificate {
  return decodeCertificate(signUnsigned(prepareCertificate(fields, defaultAlgorithm(issuer.publicKey)), issuer));
}

const serial = Uint8Array.of(0x5a, 1, 2, 3);
export const anchor: Certificate = issue(
  rootFields({ ...window, serial, publicKey: rootKey.publicKey, subject: encodeName({ O: "lacre", CN: "root" }) }),
  rootKey,
);
export const issuing: Certificate = issue(
  authorityFields({
    ...window,
    serial,
    issuer: anchor,
    publicKey: issuingKey.publicKey,
    subject: encodeName({ O: "lacre", CN: "issuing" }),
    purpose: "codeSigning",
  }),
  rootKey,
);
export const clock: Certificate = issue(
  timestampLeafFields({
    ...window,
    serial,
    issuer: anchor,
    publicKey: signerKey.publicKey,
    subject: encodeName({ O: "lacre", CN: "clock" }),
  }),
  rootKey,
);

const signer = signerFields({
  ...window,
  serial,
  issuer: issuing,
  publicKey: signerKey.publicKey,
  san: { kind: "uri", value: "https://example.com/workflow@refs/heads/main" },
  identityIssuer: "https://idp.example.com",
  claims: new Map([...CLAIMS.keys()].map((claim) => [claim, `value of ${claim}`])),
});
const sct = {
  logId: new Uint8Array(32).fill(9),
  timestampMs: TIME_MS,
  extensions: Uint8Array.of(0, 0, 5, 0, 0, 0, 0, 7),
  hashCode: 4,
  signatureCode: 3,
  signature: new Uint8Array(70).fill(3),
};
export const leaf: Certificate = issue({ ...signer, extensions: [...signer.extensions, sctListExtension([sct])] }, issuingKey);
const precertificate = issue({ ...signer, extensions: [...signer.extensions, POISON] }, issuingKey);
const userName = issue(
  signerFields({
    ...window,
    serial,
    issuer: issuing,
    publicKey: signerKey.publicKey,
    san: { kind: "other", value: "ada!example.com" },
    identityIssuer: "https://idp",
    claims: new Map(),
  }),
  issuingKey,
);

export const seeds: Uint8Array[] = [leaf, precertificate, userName, issuing, anchor, clock].map(({ der }) => der);
const genuine = new Set(seeds.map(String));

export function target(bytes: Uint8Array): void {
  const certificate = decodeCertificate(bytes);
  if (!equalBytes(certificate.der, bytes)) throw new Error("a certificate is not its bytes");
  formatName(certificate.subject);
  const path = checkChain({
    leaf: certificate,
    intermediates: [issuing, certificate],
    anchors: [anchor],
    timeMs: TIME_MS,
    purpose: "codeSigning",
  });
  if (path.length > 0 && !genuine.has(String(bytes))) throw new Error("a made-up certificate leads to the anchor");
  checkCodeSigningLeaf(certificate);
  readIdentity(certificate);
  loggedTbs(certificate.tbs);
  embeddedScts(certificate);
}
