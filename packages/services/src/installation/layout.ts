// SPDX-License-Identifier: Apache-2.0
/**
 * The data directory is the installation. What is in it:
 *
 *     lacre.json     configuration, and what was decided at creation; written last when a directory is created
 *     keys/*.pem     private keys, PKCS#8, mode 0600, the folder 0700
 *     certs/*.pem    certificates of the authority and the clock
 *     logs/<name>/   journal, tiles and checkpoint of one log
 *     tuf/           the trust repository as it is served
 *     trust/         files for clients: trusted root, signing config, both together, and the first TUF root
 *     .gitignore     keeps all of it out of a project's repository
 *     lock           held by the one process that serves the directory
 *     creating/      only while the directory is being created
 *
 * Not here: the anchors. What was published is also recorded outside the directory, so that an old copy of it cannot
 * pass for the present.
 */
import { join } from "node:path";

/** Names of the private keys of an installation. */
export type KeyName =
  | "ca-root"
  | "ca-issuing"
  | "tsa-root"
  | "tsa"
  | "ct"
  | "ledger"
  | "ledger-v1"
  | "tuf-root"
  | "tuf-online"
  | "idp";
/** Names of its certificates. */
export type CertificateName = "ca-root" | "ca-issuing" | "tsa-root" | "tsa";

export const KEY_NAMES: readonly KeyName[] = [
  "ca-root",
  "ca-issuing",
  "tsa-root",
  "tsa",
  "ct",
  "ledger",
  "ledger-v1",
  "tuf-root",
  "tuf-online",
  "idp",
];
export const CERTIFICATE_NAMES: readonly CertificateName[] = ["ca-root", "ca-issuing", "tsa-root", "tsa"];

export interface Layout {
  readonly dir: string;
  readonly config: string;
  readonly lock: string;
  readonly tuf: string;
  readonly trust: string;
  readonly creating: string;
  key(name: KeyName): string;
  certificate(name: CertificateName): string;
  log(name: string): string;
}

/** The paths of the data directory `dir`. */
export function layoutOf(dir: string): Layout {
  return {
    dir,
    config: join(dir, "lacre.json"),
    lock: join(dir, "lock"),
    tuf: join(dir, "tuf"),
    trust: join(dir, "trust"),
    creating: join(dir, "creating"),
    key: (name) => join(dir, "keys", `${name}.pem`),
    certificate: (name) => join(dir, "certs", `${name}.pem`),
    log: (name) => join(dir, "logs", name),
  };
}
