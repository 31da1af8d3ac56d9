// SPDX-License-Identifier: Apache-2.0
import { type Algorithm, ALGORITHMS } from "@lacre/core/crypto";
import { CliError } from "./errors.ts";

/** What a new key is made for: as `algorithmByFlag`, P-256 without a name. Throws USAGE for what the registry only verifies. */
export function algorithmForNewKey(name: string | undefined): Algorithm {
  const algorithm = algorithmByFlag(name ?? "ecdsa-sha2-256-nistp256");
  if (algorithm.rsaBits !== 2048) return algorithm;
  throw new CliError("USAGE", "new RSA keys have 3072 bits or more; 2048 bits are for verifying", {
    hint: "rsa-sign-pkcs1-3072-sha256 or rsa-sign-pkcs1-4096-sha256.",
  });
}

/** The algorithm of a flag's name (`ecdsa-sha2-256-nistp256`). Throws USAGE with those that exist. */
export function algorithmByFlag(name: string): Algorithm {
  const found = ALGORITHMS.find(({ flag }) => flag === name);
  if (found !== undefined) return found;
  const known = ALGORITHMS.flatMap(({ flag }) => (flag === undefined ? [] : [flag]));
  throw new CliError("USAGE", `unknown signing algorithm ${JSON.stringify(name.slice(0, 40))}`, {
    hint: `One of ${known.join(", ")}.`,
  });
}
