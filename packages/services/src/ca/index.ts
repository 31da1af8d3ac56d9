// SPDX-License-Identifier: Apache-2.0
/** The certificate authority: an identity token and a key in, a ten-minute certificate with its CT promise out. */
export { createAnchoredFetch } from "./anchored-fetch.ts";
export { CA_DEFAULTS, CA_SCHEMA, type CaConfig } from "./config.ts";
export { createDiscovery, type Discovery, type DiscoveryOptions } from "./discovery.ts";
export { registerAuthority } from "./http.ts";
export { createIssuerTable, decodeIssuers, emailIssuer, type IssuerEntry, type IssuerTable, type IssuerType } from "./issuers.ts";
export { CERTIFICATE_LIFE_MS, createAuthorityService, type AuthorityOptions, type AuthorityService } from "./service.ts";
