// SPDX-License-Identifier: Apache-2.0
/** PKCS#10 requests and their proof of possession. */
import { defaultAlgorithm } from "../packages/core/src/crypto/index.ts";
import {
  checkRequest,
  decodeRequest,
  EMPTY_NAME,
  encodeName,
  prepareRequest,
  signUnsigned,
} from "../packages/core/src/x509/index.ts";
import { keyNumber } from "./certificate.ts";

export const name = "request";

const key = keyNumber(5);

export const seeds: Uint8Array[] = [EMPTY_NAME, encodeName({ O: "lacre", CN: "ada" })].map((subject) =>
  signUnsigned(prepareRequest({ publicKey: key.publicKey, algorithm: defaultAlgorithm(key.publicKey), subject }), key),
);
const genuine = new Set(seeds.map(String));

export function target(bytes: Uint8Array): void {
  checkRequest(decodeRequest(bytes));
  if (!genuine.has(String(bytes))) throw new Error("a made-up request is proven");
}
