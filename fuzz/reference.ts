// SPDX-License-Identifier: Apache-2.0
/** Image references: what is read is written and read back, and nothing in it could leave the path of a request. */
import { text, utf8 } from "../packages/core/src/bytes/index.ts";
import { formatReference, formatRepository, parseReference } from "../packages/core/src/oci/index.ts";

export const name = "reference";

export const seeds: Uint8Array[] = [
  "alpine",
  "registry.example.com:5000/team/app:v1.2-3_x",
  `localhost/a__b/c---d@sha256:${"ab".repeat(32)}`,
  `[::1]:80/app:v1@sha512:${"cd".repeat(64)}`,
].map(utf8);

export function target(bytes: Uint8Array): void {
  const reference = parseReference(text(bytes));
  const { registry, repository, tag, digest } = reference;
  const again = parseReference(
    `${formatRepository(reference)}${tag === undefined ? "" : `:${tag}`}${digest === undefined ? "" : `@${digest}`}`,
  );
  if (JSON.stringify(again) !== JSON.stringify(reference)) throw new Error("read again as something else");
  const { href, host } = new URL(`https://${registry}/v2/${repository}/manifests/${digest ?? tag!}`);
  if (!href.endsWith(`/v2/${repository}/manifests/${digest ?? tag!}`)) throw new Error("leaves its path");
  if (host.split(":")[0] === "" || href.includes("?") || href.includes("#") || href.includes("@"))
    throw new Error("not a plain address");
  if (!formatReference(reference).includes(digest ?? tag!)) throw new Error("names something else");
}
