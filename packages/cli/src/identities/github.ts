// SPDX-License-Identifier: Apache-2.0
/**
 * GitHub Actions: the runner's token service, for jobs with the permission `id-token: write`.
 * `GET $ACTIONS_ID_TOKEN_REQUEST_URL&audience=…` → `{"value"}`.
 */
import { ask, cannot, checkAudience, member, type Provider, variable } from "./provider.ts";

const NAME = "github-actions";
const URL_NAME = "ACTIONS_ID_TOKEN_REQUEST_URL";
const TOKEN_NAME = "ACTIONS_ID_TOKEN_REQUEST_TOKEN";

export const github: Provider = {
  name: NAME,
  isPresent: (context) => variable(context, TOKEN_NAME) !== undefined && variable(context, URL_NAME) !== undefined,
  async token(context, audience) {
    const [url, access] = [variable(context, URL_NAME), variable(context, TOKEN_NAME)];
    if (url === undefined || access === undefined)
      throw cannot(NAME, "this job may not have a token", "Add `permissions: id-token: write` to the job.");
    const answer = await ask(context, {
      provider: NAME,
      url: `${url}${url.includes("?") ? "&" : "?"}audience=${encodeURIComponent(audience)}`,
      headers: { authorization: `bearer ${access}`, accept: "application/json" },
    });
    return checkAudience(NAME, member(NAME, answer, "value"), audience);
  },
};
