// SPDX-License-Identifier: Apache-2.0
/**
 * GitLab CI: a job declares its tokens (`id_tokens: SIGSTORE_ID_TOKEN: {aud: sigstore}`) and finds them in its environment,
 * by custom under the audience's name: `<AUDIENCE>_ID_TOKEN`.
 */
import { cannot, checkAudience, type Provider, variable } from "./provider.ts";

const NAME = "gitlab";

const nameFor = (audience: string): string => `${audience.toUpperCase().replaceAll(/[^A-Z0-9]/g, "_")}_ID_TOKEN`;

export const gitlab: Provider = {
  name: NAME,
  isPresent: (context) => variable(context, "GITLAB_CI") !== undefined,
  async token(context, audience) {
    const token = variable(context, nameFor(audience));
    if (token === undefined)
      throw cannot(
        NAME,
        `${nameFor(audience)} is not set`,
        `Add \`id_tokens: { ${nameFor(audience)}: { aud: ${audience} } }\` to the job.`,
      );
    return checkAudience(NAME, token, audience);
  },
};
