// SPDX-License-Identifier: Apache-2.0
/** Files of rules, and entries of logs held against them: read or refused, and no entry breaks a rule. */
import { utf8 } from "../packages/core/src/bytes/index.ts";
import { ServiceError } from "../packages/services/src/errors.ts";
import { CERTIFICATE_ENTRIES, LEDGER_ENTRIES, parseRules, type RuleFile } from "../packages/services/src/monitor/index.ts";

export const name = "monitor-rules";

const RULES = JSON.stringify({
  rules: [
    {
      name: "a",
      identity: "you@example.com",
      issuer: { pattern: "^https://" },
      key: `sha256:${"0".repeat(64)}`,
      extensions: { sourceRepositoryURI: { pattern: "x" }, "1.2.3": "y" },
    },
    { name: "b", digest: `sha512:${"0".repeat(128)}` },
  ],
  sinks: {
    file: "f",
    webhooks: [{ url: "https://h.example/", tokenFile: "t" }],
    email: { host: "h", port: 25, secure: true, user: "u", passwordFile: "p", from: "a@b", to: ["c@d"] },
  },
  heartbeat: "h",
});
const ENTRY = `{"apiVersion":"0.0.1","kind":"hashedrekord","spec":{"data":{"hash":{"algorithm":"sha256","value":"${"0".repeat(64)}"}},"signature":{"content":"AA==","publicKey":{"content":"AA=="}}}}`;

export const seeds: Uint8Array[] = [
  utf8(RULES),
  utf8(ENTRY),
  Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0x30, 0, 0, 0, 0),
];

const { rules } = parseRules(RULES, "rules");

export function target(bytes: Uint8Array): void {
  for (const reader of [LEDGER_ENTRIES, CERTIFICATE_ENTRIES]) {
    const traits = reader.traits(bytes);
    if (traits !== undefined) for (const rule of rules) rule.test(traits);
  }
  let file: RuleFile;
  try {
    file = parseRules(bytes, "rules");
  } catch (error) {
    if (!(error instanceof ServiceError)) throw error;
    return;
  }
  if (file.rules.some(({ name: one }) => typeof one !== "string")) throw new Error("a rule without a name");
}
