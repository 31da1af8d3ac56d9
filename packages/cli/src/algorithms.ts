// SPDX-License-Identifier: Apache-2.0
import { type Algorithm, ALGORITHMS } from "@lacre/core/crypto";
import { CliError } from "./errors.ts";

/** The algorithm of a flag's name (`ecdsa-sha2-256-nistp256`). Throws USAGE with those that exist. */
export function algorithmByFlag(name: string): Algorithm {
  const found = ALGORITHMS.find(({ flag }) => flag === name);
  if (found !== undefined) return found;
  const known = ALGORITHMS.flatMap(({ flag }) => (flag === undefined ? [] : [flag]));
  throw new CliError("USAGE", `unknown signing algorithm ${JSON.stringify(name.slice(0, 40))}`, {
    hint: `One of ${known.join(", ")}.`,
  });
}
