// SPDX-License-Identifier: Apache-2.0
/**
 * What a registry asks for in `WWW-Authenticate` (RFC 9110, section 11.6.1): Basic, or a bearer token from a realm
 * (distribution specification, "token authentication"). Other schemes are not known here and are passed over.
 */

/** What a registry wants to see before it answers. */
export type Challenge =
  | { readonly kind: "basic" }
  | { readonly kind: "bearer"; readonly realm: string; readonly service: string | undefined };

const MAX_LENGTH = 4096;
const TOKEN = /[!#$%&'*+.^_`|~0-9A-Za-z-]+/y;
const SCHEME_END = /[ \t]+(?=[^ \t])|[ \t]*(?=,|$)/y;
const PARAMETER = /([!#$%&'*+.^_`|~0-9A-Za-z-]+)[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))/y;
const BETWEEN = /[ \t,]*/y;

/** The strongest challenge of the header that can be met; undefined when there is none. Never throws. */
export function parseChallenge(header: string | null): Challenge | undefined {
  if (header === null || header.length > MAX_LENGTH) return undefined;
  const found: { readonly scheme: string; readonly parameters: ReadonlyMap<string, string> }[] = [];
  let at = 0;
  const take = (pattern: RegExp): RegExpExecArray | undefined => {
    pattern.lastIndex = at;
    const match = pattern.exec(header);
    if (match === null) return undefined;
    at = pattern.lastIndex;
    return match;
  };
  take(BETWEEN);
  while (at < header.length) {
    const scheme = take(TOKEN)?.[0];
    if (scheme === undefined || take(SCHEME_END) === undefined) return undefined;
    const parameters = new Map<string, string>();
    for (;;) {
      take(BETWEEN);
      const parameter = take(PARAMETER);
      if (parameter === undefined) break;
      parameters.set(parameter[1]!.toLowerCase(), parameter[2]?.replaceAll(/\\(.)/g, "$1") ?? parameter[3]!);
    }
    found.push({ scheme: scheme.toLowerCase(), parameters });
  }
  const bearer = found.find(({ scheme, parameters }) => scheme === "bearer" && parameters.has("realm"));
  if (bearer !== undefined)
    return { kind: "bearer", realm: bearer.parameters.get("realm")!, service: bearer.parameters.get("service") };
  return found.some(({ scheme }) => scheme === "basic") ? { kind: "basic" } : undefined;
}
