// SPDX-License-Identifier: Apache-2.0
/** Trust packs: what is read has a root, an expiry and revocations that can be applied. */
import { utf8 } from "../packages/core/src/bytes/index.ts";
import { LacreError } from "../packages/core/src/errors.ts";
import { encodeTrustedRoot } from "../packages/core/src/trust/index.ts";
import { CliError } from "../packages/cli/src/errors.ts";
import { decodePack, encodePack } from "../packages/cli/src/pack.ts";

export const name = "trust-pack";

const facts = {
  name: "site",
  issuedMs: 1_767_225_600_000,
  expiresMs: 1_775_001_600_000,
  trustedRoot: encodeTrustedRoot({ tlogs: [], ctlogs: [], certificateAuthorities: [], timestampAuthorities: [] }),
};
export const seeds: Uint8Array[] = [
  encodePack({ ...facts, revocations: {} }),
  encodePack({
    ...facts,
    revocations: {
      certificates: [{ serial: "00ab" }],
      identities: [{ identity: "a@b.c", issuer: "https://i.example", since: "2026-01-01T00:00:00Z" }],
      keys: [{ sha256: "aa".repeat(32) }],
      entries: [{ logId: "0a", index: "12" }],
    },
  }),
  utf8("{}"),
];

export function target(bytes: Uint8Array): void {
  try {
    const pack = decodePack(bytes);
    if (!Number.isFinite(pack.expiresMs)) throw new Error("an expiry that is none");
  } catch (error) {
    if (error instanceof CliError) throw new LacreError("BAD_JSON", error.message);
    throw error;
  }
}
