// SPDX-License-Identifier: Apache-2.0
/** Signing configs: what is read can be chosen from, can be written, and is read again the same. */
import { utf8 } from "../packages/core/src/bytes/index.ts";
import { decodeSigningConfig, encodeSigningConfig, selectServices } from "../packages/core/src/trust/index.ts";

export const name = "signing-config";

const mediaType = "application/vnd.dev.sigstore.signingconfig.v0.2+json";
const service = (url: string, majorApiVersion: number): object => ({
  url,
  majorApiVersion,
  validFor: { start: "2026-01-01T00:00:00Z" },
  operator: "example",
});
const documents: object[] = [
  {
    mediaType,
    caUrls: [service("https://fulcio.example.com", 1)],
    oidcUrls: [service("https://oidc.example.com/auth", 1)],
    rekorTlogUrls: [service("https://log.example.com", 2), service("https://rekor.example.com", 1)],
    rekorTlogConfig: { selector: "ANY" },
    tsaUrls: [service("https://tsa.example.com/api/v1/timestamp", 1)],
    tsaConfig: { selector: "EXACT", count: 1 },
  },
  { mediaType, tsaUrls: [service("https://tsa.example.com", 1)], tsaConfig: { selector: "ALL" } },
];

export const seeds: Uint8Array[] = documents.map((document) => utf8(JSON.stringify(document)));

export function target(bytes: Uint8Array): void {
  const config = decodeSigningConfig(bytes);
  const text = encodeSigningConfig(config);
  if (encodeSigningConfig(decodeSigningConfig(utf8(text))) !== text) throw new Error("read again, it is another config");
  selectServices(config.rekorTlogUrls, config.rekorTlogConfig, { supported: [1, 2], nowMs: Date.UTC(2026, 5, 1) });
}
