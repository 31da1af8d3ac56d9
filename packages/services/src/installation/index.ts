// SPDX-License-Identifier: Apache-2.0
/** A data directory: created whole or not at all, opened by one process, read by anybody. */
export {
  openInstallation,
  viewInstallation,
  type Installation,
  type InstallationView,
  type OpenOptions,
} from "./installation.ts";
export { openKey, readKey, type StoredKey } from "./keys.ts";
export { layoutOf, type CertificateName, type KeyName, type Layout } from "./layout.ts";
export { createTrustDocuments, writeTrustFiles, type Offered, type TrustDocuments } from "./trust.ts";
