// SPDX-License-Identifier: Apache-2.0
/**
 * Loads a module of core as a page would, with `#platform` bound to `crypto/page.ts`, beside the same module bound to
 * Node: so that one test can ask both.
 *
 * Every module below gets a second instance under the query `?page`; only `errors.ts` stays shared, so that a LacreError
 * is one class.
 */
import { registerHooks } from "node:module";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";

const CORE = pathToFileURL(join(dirname(import.meta.dirname), "packages", "core", "src")).href;
const QUERY = "?page";

registerHooks({
  resolve(specifier, context, next) {
    if (context.parentURL === undefined || !context.parentURL.endsWith(QUERY)) return next(specifier, context);
    if (specifier === "#platform") return { url: `${CORE}/crypto/page.ts${QUERY}`, shortCircuit: true };
    const found = next(specifier, context);
    return found.url.startsWith(CORE) && !found.url.endsWith("/errors.ts") ? { ...found, url: found.url + QUERY } : found;
  },
});

/** A module of core by its path below `packages/core/src`, bound to the page's platform. */
export async function importOnPage<Module>(path: string): Promise<Module> {
  return (await import(`${CORE}/${path}${QUERY}`)) as Module;
}
