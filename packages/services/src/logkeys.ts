// SPDX-License-Identifier: Apache-2.0
/**
 * What others need to check our logs: each one's origin and key, and a policy file for each log that witnesses may know
 * (`trust/<log>.policy`, C2SP tlog-policy), which any reader of checkpoints takes as it is.
 */
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { createVerifierKey, formatVerifierKey, logVerifierKey, type VerifierKey } from "@lacre/core/bundle";
import type { Installation } from "./installation/index.ts";
import { originV1 } from "./ledger/index.ts";

/** A log as its readers know it. */
export interface LogIdentity {
  /** First line of its checkpoints. */
  readonly origin: string;
  readonly key: VerifierKey;
  /** Where its tiles are, below the installation's address; undefined where they are not served. */
  readonly path: string | undefined;
}

/** The logs of an installation. Only the first two may be witnessed: checkpoints of the v1 dialect have one signature. */
export function logIdentities({
  facts,
  keys,
}: Pick<Installation, "facts" | "keys">): Readonly<Record<"ledger" | "ct" | "ledger-v1", LogIdentity>> {
  const { ledger, ct, ledgerV1 } = facts;
  return {
    ledger: { origin: ledger.origin, key: logVerifierKey(ledger.origin, keys.ledger.publicKey), path: "/api/v2" },
    ct: { origin: ct.origin, key: createVerifierKey(ct.origin, "rfc6962", keys.ct.publicKey), path: "/ct" },
    "ledger-v1": {
      origin: originV1(ledgerV1.name, ledgerV1.treeId),
      key: logVerifierKey(ledgerV1.name, keys["ledger-v1"].publicKey),
      path: undefined,
    },
  };
}

/** The policy for readers of one log: the log itself, and the witnesses that the operator's policy asks for. */
function formatPolicy({ key, path }: LogIdentity, setting: string, dir: string, url: string): string {
  const written =
    setting === ""
      ? "quorum none\n"
      : /(?:^|\n)[ \t]*quorum[ \t]/.test(setting)
        ? setting
        : readFileSync(resolve(dir, setting), "utf8");
  const rest = written.split("\n").filter((line) => !/^[ \t]*log[ \t]/.test(line));
  return `log ${formatVerifierKey(key)} ${url}${path ?? ""}\n${rest.join("\n").trimEnd()}\n`;
}

/** The policy files of the logs that are served, by name in the trust folder. */
export function formatPolicies(
  installation: Installation,
  served: ReadonlySet<string>,
  url: string,
): ReadonlyMap<string, string> {
  const identities = logIdentities(installation);
  const { settings, layout } = installation;
  return new Map(
    (["ledger", "ct"] as const)
      .filter((name) => served.has(name))
      .map((name) => [`${name}.policy`, formatPolicy(identities[name], settings.witnesses[name], layout.dir, url)]),
  );
}
