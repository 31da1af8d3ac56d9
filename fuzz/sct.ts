// SPDX-License-Identifier: Apache-2.0
/** The value of an SCT list extension, and each promise in it. */
import { equalBytes } from "../packages/core/src/bytes/index.ts";
import {
  checkSct,
  decodeSct,
  decodeSctList,
  encodeSct,
  EXTENSION,
  issuerKeyHash,
  loggedTbs,
  sctListExtension,
} from "../packages/core/src/x509/index.ts";
import { LacreError } from "../packages/core/src/errors.ts";
import { issuing, keyNumber, leaf } from "./certificate.ts";

export const name = "sct";

const [sct] = decodeSctList(leaf.extensions.get(EXTENSION.sctList)!.value);

export const seeds: Uint8Array[] = [[sct!], [sct!, { ...sct!, extensions: new Uint8Array() }]].map(
  (scts) => sctListExtension(scts).value,
);

const key = keyNumber(4).publicKey;
const logged = { tbs: loggedTbs(leaf.tbs), issuerKeyHash: issuerKeyHash(issuing) };

export function target(bytes: Uint8Array): void {
  const scts = decodeSctList(bytes);
  if (!equalBytes(sctListExtension(scts).value, bytes)) throw new Error("a list has two encodings");
  for (const one of scts) {
    decodeSct(encodeSct(one));
    try {
      checkSct({ sct: one, logged, log: { logId: one.logId, key } });
    } catch (error) {
      if (error instanceof LacreError) continue;
      throw error;
    }
    throw new Error("a made-up promise is believed");
  }
}
