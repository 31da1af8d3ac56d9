// SPDX-License-Identifier: Apache-2.0
/** A whole request body of the ledger, up to the checks of its signatures. */
import { utf8 } from "../packages/core/src/bytes/index.ts";
import { LacreError } from "../packages/core/src/errors.ts";
import { ServiceError } from "../packages/services/src/errors.ts";
import { admit } from "../packages/services/src/ledger/index.ts";

export const name = "ledger-request";

const spki =
  "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEAhfmF/C2RDkoJ4+WmZ5pojpPLBUr321s32bluAKC1O0ZSn3ry5dxLS3aPKhaqHZaVvRfx1hZllLyiXxlMG5XlA==";
const signature = "MEUCIQDY+Fcb+o9PQLk7UK9FkfVLgs33ZMCC67+HPtXRZ3tkJgIgJURBgjb47Fau4K2UaLevdgW2lX36eRrGZTuMSs22wlM=";
const verifier = `{"publicKey":{"rawBytes":"${spki}"},"keyDetails":"PKIX_ECDSA_P256_SHA_256"}`;
export const seeds: Uint8Array[] = [
  `{"hashedRekordRequestV002":{"digest":"YiHWH9uHDkhlWZbtQngXGwk+PYB53EuKtsZVBlWrQjE=","signature":{"content":"${signature}","verifier":${verifier}}}}`,
  `{"hashed_rekord_request_v002":{"digest":"YiHWH9uHDkhlWZbtQngXGwk-PYB53EuKtsZVBlWrQjE","signature":{"content":"${signature}","verifier":{"public_key":{"raw_bytes":"${spki}"},"key_details":5}}}}`,
  `{"dsseRequestV002":{"envelope":{"payload":"e30=","payloadType":"application/vnd.in-toto+json","signatures":[{"sig":"${signature}","keyid":""}]},"verifiers":[${verifier}]}}`,
].map(utf8);

export function target(bytes: Uint8Array): void {
  try {
    admit(bytes);
  } catch (error) {
    if (!(error instanceof ServiceError)) throw error;
    // The runner tells refusals apart by code and sentence; the library's own say more.
    throw error.cause instanceof LacreError ? error.cause : new LacreError("BAD_JSON", error.detail ?? error.message);
  }
}
