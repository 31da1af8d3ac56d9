// SPDX-License-Identifier: Apache-2.0
/**
 * The names of what is attached to an image by tag: `sha256-<hex>` with `.sig`, `.att` or `.sbom` (cosign's scheme), and
 * without a suffix for the list of referrers (distribution specification 1.1). A tag is a locator and proves nothing.
 */
import { splitDigest } from "./descriptor.ts";

/** What cosign's tags attach. */
export type Attachment = "sig" | "att" | "sbom";

/**
 * The tag of an attachment of a digest; of a longer digest the first 64 digits, as the specification says for lists.
 * `prefix`: cosign's `--attachment-tag-prefix`.
 */
export function attachmentTag(digest: string, attachment?: Attachment, prefix = ""): string {
  const { algorithm, hex } = splitDigest(digest);
  return `${prefix}${algorithm}-${hex.slice(0, 64)}${attachment === undefined ? "" : `.${attachment}`}`;
}
