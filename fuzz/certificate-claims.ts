// SPDX-License-Identifier: Apache-2.0
/** What is read from a certificate whose signature nobody has checked: identity, promises, the logged form, its key. */
import { decodeCertificate, embeddedScts, formatName, loggedTbs, readIdentity } from "../packages/core/src/x509/index.ts";
import { LacreError } from "../packages/core/src/errors.ts";
import { seeds as certificates } from "./certificate.ts";

export const name = "certificate-claims";

export const seeds: Uint8Array[] = certificates;

export function target(bytes: Uint8Array): void {
  const certificate = decodeCertificate(bytes);
  const refusals: LacreError[] = [];
  for (const read of [
    () => readIdentity(certificate),
    () => embeddedScts(certificate),
    () => loggedTbs(certificate.tbs),
    () => certificate.publicKey.type,
    () => formatName(certificate.issuer),
  ]) {
    try {
      read();
    } catch (error) {
      if (!(error instanceof LacreError)) throw error;
      refusals.push(error);
    }
  }
  if (refusals[0] !== undefined) throw refusals[0];
}
