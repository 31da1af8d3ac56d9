// SPDX-License-Identifier: Apache-2.0
/**
 * Trusted root and signing config in one file (`dev.sigstore.trustroot.v1.ClientTrustConfig` v0.1, protobuf JSON), as
 * sigstore-python and sigstore-rust take it.
 *
 * The signing config within is v0.2, except for sigstore-python 3, which knows v0.1 alone: one authority, one provider,
 * and lists of plain addresses.
 */
import { JsonObject, parseJson } from "../codec/index.ts";
import { LacreError } from "../errors.ts";
import { readSigningConfig, type SigningConfig, writeSigningConfig } from "./signing-config.ts";
import { readTrustedRoot, type TrustedRoot, writeTrustedRoot } from "./trusted-root.ts";

const MEDIA_TYPE = "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json";
const OLD_SIGNING_CONFIG = "application/vnd.dev.sigstore.signingconfig.v0.1+json";

/** Whom to trust, and whom to ask. */
export interface ClientTrustConfig {
  readonly trustedRoot: TrustedRoot;
  /** Undefined when the file holds one of v0.1, with which only sigstore-python 3 signs. */
  readonly signingConfig: SigningConfig | undefined;
}

/** Reads a client trust config. Throws what its two parts throw, and SIGNING_CONFIG_INVALID for another media type. */
export function decodeClientTrustConfig(input: Uint8Array): ClientTrustConfig {
  const config = new JsonObject(parseJson(input), "client trust config");
  const mediaType = config.optionalString("mediaType", "media_type") ?? "";
  if (mediaType !== MEDIA_TYPE) {
    throw new LacreError("SIGNING_CONFIG_INVALID", "client trust config is of a version that is not supported", {
      expected: MEDIA_TYPE,
      found: mediaType.slice(0, 100) || "no media type",
    });
  }
  const signing = config.object("signingConfig", "signing_config");
  const isOld = signing.optionalString("mediaType", "media_type") === OLD_SIGNING_CONFIG;
  return {
    trustedRoot: readTrustedRoot(config.object("trustedRoot", "trusted_root")),
    signingConfig: isOld ? undefined : readSigningConfig(signing),
  };
}

/** The JSON text of a client trust config. */
export function encodeClientTrustConfig(root: TrustedRoot, config: SigningConfig): string {
  return encode(root, writeSigningConfig(config));
}

/**
 * The same for sigstore-python 3: the first authority and provider, every timestamp authority, and the logs of the v1
 * dialect, which is the only one that it speaks (all logs where there is none, so that at least the root can be used).
 */
export function encodePython3TrustConfig(root: TrustedRoot, config: SigningConfig): string {
  const ofV1 = config.rekorTlogUrls.filter(({ majorApiVersion }) => majorApiVersion === 1);
  return encode(root, {
    mediaType: OLD_SIGNING_CONFIG,
    caUrl: config.caUrls[0]?.url ?? "",
    oidcUrl: config.oidcUrls[0]?.url ?? "",
    tlogUrls: (ofV1.length > 0 ? ofV1 : config.rekorTlogUrls).map(({ url }) => url),
    tsaUrls: config.tsaUrls.map(({ url }) => url),
  });
}

function encode(root: TrustedRoot, signingConfig: object): string {
  return `${JSON.stringify({ mediaType: MEDIA_TYPE, trustedRoot: writeTrustedRoot(root), signingConfig }, null, 2)}\n`;
}
