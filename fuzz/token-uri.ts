// SPDX-License-Identifier: Apache-2.0
/** PKCS#11 URIs: what is read and written again names the same key. */
import { text, utf8 } from "../packages/core/src/bytes/index.ts";
import { formatTokenUri, parseTokenUri } from "../packages/cli/src/keys/pkcs11/uri.ts";

export const name = "token-uri";

export const seeds: Uint8Array[] = [
  "pkcs11:token=The%20Software;manufacturer=Snake%20Oil,%20Inc.;model=1.0;object=key;type=private;id=%69%95;serial=?pin-source=file:/etc/pin",
  "pkcs11:slot-id=327;object=k?module-path=/lib/x.so&pin-value=1%26",
].map(utf8);

export function target(bytes: Uint8Array): void {
  const { token, object, id } = parseTokenUri(text(bytes));
  if (token === undefined) return;
  const again = parseTokenUri(
    formatTokenUri({ token, ...(object === undefined ? {} : { object }), ...(id === undefined ? {} : { id }) }),
  );
  if (again.token !== token || again.object !== object) throw new Error("a key is named otherwise after writing");
}
