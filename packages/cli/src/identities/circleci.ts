// SPDX-License-Identifier: Apache-2.0
/**
 * CircleCI: every job has a token for its organisation (`CIRCLE_OIDC_TOKEN_V2`); one for another audience is made by the
 * job's own program: `circleci run oidc get --claims '{"aud": …}'`.
 */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { cannot, checkAudience, type Provider, variable } from "./provider.ts";

const NAME = "circleci";

export const circleci: Provider = {
  name: NAME,
  isPresent: (context) => variable(context, "CIRCLECI") !== undefined,
  async token(context, audience) {
    const given = variable(context, "CIRCLE_OIDC_TOKEN_V2") ?? variable(context, "CIRCLE_OIDC_TOKEN");
    let failure: unknown;
    if (given !== undefined) {
      try {
        return checkAudience(NAME, given, audience);
      } catch (error) {
        failure = error;
      }
    }
    try {
      const line = ["run", "oidc", "get", "--claims", JSON.stringify({ aud: audience })];
      const { stdout } = await promisify(execFile)("circleci", line, {
        env: { ...context.env },
        timeout: 30_000,
        maxBuffer: 1 << 16,
      });
      return checkAudience(NAME, stdout, audience);
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== "ENOENT")
        throw cannot(NAME, "the program circleci gave no token for this audience");
      throw failure ?? cannot(NAME, "CIRCLE_OIDC_TOKEN_V2 is not set, and the program circleci is not here");
    }
  },
};
