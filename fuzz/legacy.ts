// SPDX-License-Identifier: Apache-2.0
/** Signatures of the old kind: whatever the parts are, they make a bundle or a refusal, and never one with a key inside. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { assembleLegacy, decodeLegacyBundle, isLegacyBundle, LEGACY_MEDIA_TYPE } from "../packages/core/src/bundle/index.ts";
import { fromBase64, utf8 } from "../packages/core/src/bytes/index.ts";

export const name = "legacy";

const made = JSON.parse(readFileSync(join(import.meta.dirname, "..", "vectors", "legacy", "cosign-2.6.json"), "utf8")) as {
  readonly layers: readonly { readonly annotations: Readonly<Record<string, string>>; readonly layer: string }[];
} & Readonly<Record<"bundle" | "keyBundle" | "signature" | "certificate" | "timestamp", string>>;

export const seeds: Uint8Array[] = [
  made.bundle,
  made.keyBundle,
  made.signature,
  made.certificate,
  made.timestamp,
  ...made.layers.flatMap(({ annotations }) => Object.values(annotations)),
]
  .map(utf8)
  .concat(made.layers.map(({ layer }) => fromBase64(layer)));

/** The bytes stand for each part in turn, beside others that are good. */
export function target(bytes: Uint8Array): void {
  const mediaType = LEGACY_MEDIA_TYPE;
  const content = { kind: "message", signature: made.signature } as const;
  const attempts = [
    () => (isLegacyBundle(bytes) ? decodeLegacyBundle(bytes).signature : undefined),
    () => assembleLegacy({ mediaType, content: { kind: "message", signature: bytes } }),
    () => assembleLegacy({ mediaType, content: { kind: "envelope", envelope: bytes } }),
    () => assembleLegacy({ mediaType, content, certificate: bytes }),
    () => assembleLegacy({ mediaType, content, certificate: made.certificate, chain: bytes }),
    () => assembleLegacy({ mediaType, content, rekorBundle: bytes }),
    () => assembleLegacy({ mediaType, content, timestamp: bytes }),
  ];
  let refusal: unknown;
  for (const attempt of attempts) {
    try {
      const bundle = attempt();
      if (bundle === undefined || typeof bundle === "string") continue;
      if (bundle.version !== "0.1" || bundle.content.signature.length === 0)
        throw new TypeError("an empty signature was taken in");
    } catch (error) {
      if (error instanceof TypeError || error instanceof RangeError) throw error;
      refusal = error;
    }
  }
  if (refusal !== undefined) throw refusal;
}
