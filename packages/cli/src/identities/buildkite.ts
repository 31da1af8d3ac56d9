// SPDX-License-Identifier: Apache-2.0
/** Buildkite: the agent's API gives the job a token. `POST <endpoint>/jobs/<job>/oidc/tokens {"audience"}` → `{"token"}`. */
import { ask, cannot, checkAudience, member, type Provider, variable } from "./provider.ts";

const NAME = "buildkite-agent";
const ENDPOINT = "https://agent.buildkite.com/v3";

export const buildkite: Provider = {
  name: NAME,
  isPresent: (context) =>
    variable(context, "BUILDKITE_AGENT_ACCESS_TOKEN") !== undefined && variable(context, "BUILDKITE_JOB_ID") !== undefined,
  async token(context, audience) {
    const [access, job] = [variable(context, "BUILDKITE_AGENT_ACCESS_TOKEN"), variable(context, "BUILDKITE_JOB_ID")];
    if (access === undefined || job === undefined)
      throw cannot(NAME, "BUILDKITE_AGENT_ACCESS_TOKEN and BUILDKITE_JOB_ID are not set");
    const endpoint = (variable(context, "BUILDKITE_AGENT_ENDPOINT") ?? ENDPOINT).replace(/\/+$/, "");
    const answer = await ask(context, {
      provider: NAME,
      url: `${endpoint}/jobs/${encodeURIComponent(job)}/oidc/tokens`,
      method: "POST",
      headers: { authorization: `Token ${access}`, "content-type": "application/json", accept: "application/json" },
      body: JSON.stringify({ audience }),
    });
    return checkAudience(NAME, member(NAME, answer, "token"), audience);
  },
};
