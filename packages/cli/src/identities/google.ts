// SPDX-License-Identifier: Apache-2.0
/**
 * Google Cloud: the metadata server of the machine gives a token of its service account; with
 * `GOOGLE_SERVICE_ACCOUNT_NAME`, one of that account, by impersonation (IAM credentials, `generateIdToken`).
 */
import { readFileSync } from "node:fs";
import type { Context } from "../context.ts";
import { ask, checkAudience, member, type Provider, variable } from "./provider.ts";

const NAME = "google";
const METADATA_HOST = "metadata.google.internal";
const IAM = "https://iamcredentials.googleapis.com";

/** Where the metadata server is; a variable of Google's own libraries moves it. */
const hostOf = (context: Context): string => variable(context, "GCE_METADATA_HOST") ?? METADATA_HOST;

async function readMetadata(context: Context, path: string): Promise<string> {
  const host = hostOf(context);
  return ask(context, {
    provider: NAME,
    url: `http://${host}/computeMetadata/v1/instance/service-accounts/default/${path}`,
    headers: { "metadata-flavor": "Google" },
    // By design without TLS: it answers within the machine's own network, and nothing secret is sent to it.
    plainHosts: [host],
  });
}

function isGoogleMachine(): boolean {
  try {
    return readFileSync("/sys/class/dmi/id/product_name", "utf8").includes("Google");
  } catch {
    return false;
  }
}

export const google: Provider = {
  name: NAME,
  isPresent: (context) =>
    variable(context, "GOOGLE_SERVICE_ACCOUNT_NAME") !== undefined ||
    variable(context, "GCE_METADATA_HOST") !== undefined ||
    isGoogleMachine(),
  async token(context, audience) {
    const account = variable(context, "GOOGLE_SERVICE_ACCOUNT_NAME");
    if (account === undefined)
      return checkAudience(
        NAME,
        await readMetadata(context, `identity?audience=${encodeURIComponent(audience)}&format=full`),
        audience,
      );
    const access = member(NAME, await readMetadata(context, "token"), "access_token");
    const answer = await ask(context, {
      provider: NAME,
      url: `${(variable(context, "CLOUDSDK_API_ENDPOINT_OVERRIDES_IAMCREDENTIALS") ?? IAM).replace(/\/+$/, "")}/v1/projects/-/serviceAccounts/${encodeURIComponent(account)}:generateIdToken`,
      method: "POST",
      headers: { authorization: `Bearer ${access}`, "content-type": "application/json", accept: "application/json" },
      body: JSON.stringify({ audience, includeEmail: true }),
    });
    return checkAudience(NAME, member(NAME, answer, "token"), audience);
  },
};
