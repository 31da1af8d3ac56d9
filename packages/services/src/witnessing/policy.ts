// SPDX-License-Identifier: Apache-2.0
/** The policy that a setting names: a file, or the text itself. */
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { utf8 } from "@lacre/core/bytes";
import { LacreError } from "@lacre/core/errors";
import { parseWitnessPolicy, type WitnessPolicy } from "@lacre/core/trust";
import { ServiceError } from "../errors.ts";

/** Reads `setting`, a path from `dir` or a policy of one line or more; undefined when it is empty. Throws CONFIG_INVALID. */
export function readPolicy(setting: string, dir: string, where: string): WitnessPolicy | undefined {
  if (setting === "") return undefined;
  const isText = /(?:^|\n)[ \t]*quorum[ \t]/.test(setting);
  try {
    return parseWitnessPolicy(isText ? utf8(setting) : readFileSync(resolve(dir, setting)));
  } catch (cause) {
    if (cause instanceof LacreError)
      throw new ServiceError("CONFIG_INVALID", `${where}: ${cause.message}`, {
        ...(cause.found === undefined ? {} : { detail: cause.found }),
        cause,
      });
    throw new ServiceError("CONFIG_INVALID", `${where}: the policy file cannot be read`, {
      detail: `${resolve(dir, setting)}: ${(cause as Error).message}`,
      cause,
    });
  }
}
