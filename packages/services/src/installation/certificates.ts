// SPDX-License-Identifier: Apache-2.0
/**
 * The certificates that an installation starts with: two roots, the issuing authority under the one, the clock under the
 * other. Profiles are the library's; lives and names are decided here. Names carry the
 * installation's id, so that a certificate of one is never taken for that of another.
 */
import { defaultAlgorithm, type PrivateKey } from "@lacre/core/crypto";
import {
  authorityFields,
  decodeCertificate,
  encodeName,
  prepareCertificate,
  randomSerial,
  rootFields,
  signUnsigned,
  timestampLeafFields,
  type CertificateFields,
} from "@lacre/core/x509";

const YEAR_MS = 31_536_000_000;
const ROOT_LIFE_MS = 20 * YEAR_MS;
const AUTHORITY_LIFE_MS = 10 * YEAR_MS;

interface Common {
  readonly id: string;
  readonly createdMs: number;
  readonly root: PrivateKey;
  readonly random: (length: number) => Uint8Array;
}

/** The authority's root, and the certificate of the key that issues. */
export function createAuthorityCertificates(o: Common & { readonly issuing: PrivateKey }): {
  readonly "ca-root": Uint8Array;
  readonly "ca-issuing": Uint8Array;
} {
  const root = createRoot(o, `lacre authority ${o.id} root`);
  const issuing = seal(
    authorityFields({
      serial: randomSerial(o.random),
      issuer: decodeCertificate(root),
      subject: encodeName({ O: "lacre", CN: `lacre authority ${o.id}` }),
      purpose: "codeSigning",
      publicKey: o.issuing.publicKey,
      notBeforeMs: o.createdMs,
      notAfterMs: o.createdMs + AUTHORITY_LIFE_MS,
    }),
    o.root,
  );
  return { "ca-root": root, "ca-issuing": issuing };
}

/** The clock's root, and the certificate of the key that signs timestamps. */
export function createClockCertificates(o: Common & { readonly clock: PrivateKey }): {
  readonly "tsa-root": Uint8Array;
  readonly tsa: Uint8Array;
} {
  const root = createRoot(o, `lacre clock ${o.id} root`);
  const tsa = seal(
    timestampLeafFields({
      serial: randomSerial(o.random),
      issuer: decodeCertificate(root),
      subject: encodeName({ O: "lacre", CN: `lacre clock ${o.id}` }),
      publicKey: o.clock.publicKey,
      notBeforeMs: o.createdMs,
      notAfterMs: o.createdMs + AUTHORITY_LIFE_MS,
    }),
    o.root,
  );
  return { "tsa-root": root, tsa };
}

function createRoot(o: Common, commonName: string): Uint8Array {
  const subject = encodeName({ O: "lacre", CN: commonName });
  const fields = rootFields({
    serial: randomSerial(o.random),
    subject,
    publicKey: o.root.publicKey,
    notBeforeMs: o.createdMs,
    notAfterMs: o.createdMs + ROOT_LIFE_MS,
  });
  return seal(fields, o.root);
}

function seal(fields: CertificateFields, key: PrivateKey): Uint8Array {
  return signUnsigned(prepareCertificate(fields, defaultAlgorithm(key.publicKey)), key);
}
