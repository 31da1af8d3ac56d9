// SPDX-License-Identifier: Apache-2.0
/**
 * The creation of an installation: all or nothing.
 *
 * Everything is first made in `creating/`, synced, and sealed with the file `complete`; then the folders are moved to
 * their places, and `lacre.json` last: a directory with `lacre.json` is an installation, one without is not. A crash
 * before the seal leaves nothing that was ever used, and the next start begins again. A crash after it leaves a whole
 * installation on its way, and the next start finishes the moves. Keys that are in place are never removed.
 */
import { existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { formatPem } from "@lacre/core/codec";
import { CONFIG_VERSION, type Facts, type Settings } from "../config.ts";
import { createAuthorityCertificates, createClockCertificates } from "./certificates.ts";
import { decideLedgerV1 } from "./completion.ts";
import { createFile, storing, syncDirectory } from "./files.ts";
import { createKey, keyTypeOf, type StoredKey } from "./keys.ts";
import { CERTIFICATE_NAMES, KEY_NAMES, layoutOf, type CertificateName, type KeyName } from "./layout.ts";

export interface CreationOptions {
  readonly dir: string;
  readonly settings: Settings;
  readonly now: () => number;
  readonly random: (length: number) => Uint8Array;
}

/** What is moved, in this order; the last makes it an installation. */
const PARTS = [".gitignore", "keys", "certs", "lacre.json"] as const;

/** Creates the installation in `dir`, which exists, is locked by us and holds none. */
export function createFiles(o: CreationOptions): void {
  const { creating } = layoutOf(o.dir);
  if (existsSync(join(creating, "complete"))) return finish(o.dir);
  storing(`clearing ${creating}`, () => rmSync(creating, { recursive: true, force: true }));
  prepare(o, creating);
  finish(o.dir);
}

function prepare(o: CreationOptions, creating: string): void {
  const place = layoutOf(creating);
  storing(`making ${creating}`, () => {
    mkdirSync(creating, { mode: 0o700 });
    mkdirSync(join(creating, "keys"), { mode: 0o700 });
    mkdirSync(join(creating, "certs"));
  });
  const createdMs = Math.floor(o.now() / 1000) * 1000;
  const facts = decide(o, createdMs);
  const keys = Object.fromEntries(
    KEY_NAMES.map((name) => [name, createKey(place.key(name), keyTypeOf(name, facts.ledger.keyType))]),
  ) as Record<KeyName, StoredKey>;
  const certificates: Record<CertificateName, Uint8Array> = {
    ...createAuthorityCertificates({
      id: facts.id,
      createdMs,
      root: keys["ca-root"],
      issuing: keys["ca-issuing"],
      random: o.random,
    }),
    ...createClockCertificates({ id: facts.id, createdMs, root: keys["tsa-root"], clock: keys.tsa, random: o.random }),
  };
  for (const name of CERTIFICATE_NAMES) createFile(place.certificate(name), formatPem("CERTIFICATE", certificates[name]), 0o644);
  createFile(place.config, `${JSON.stringify({ version: CONFIG_VERSION, installation: facts }, null, 2)}\n`, 0o644);
  for (const folder of ["keys", "certs", ""]) syncDirectory(join(creating, folder));
  // Made where the keys are safe from `git add`: the default place is a folder of a project.
  createFile(join(creating, ".gitignore"), "*\n", 0o644);
  createFile(join(creating, "complete"), "", 0o600);
  syncDirectory(creating);
}

function decide(o: CreationOptions, createdMs: number): Facts {
  const id = Buffer.from(o.random(4)).toString("hex");
  const createdAt = new Date(createdMs).toISOString().replace(".000Z", "Z");
  return {
    id,
    createdAt,
    mode: "development",
    ledger: { origin: `ledger.${id}.lacre.localhost`, keyType: o.settings.ledger.keyType },
    ct: { origin: `ct.${id}.lacre.localhost` },
    ledgerV1: decideLedgerV1(id, createdAt, o.random),
  };
}

function finish(dir: string): void {
  const { creating } = layoutOf(dir);
  storing(`finishing the creation of ${dir}`, () => {
    for (const part of PARTS) if (existsSync(join(creating, part))) renameSync(join(creating, part), join(dir, part));
    syncDirectory(dir);
    rmSync(creating, { recursive: true, force: true });
  });
}
