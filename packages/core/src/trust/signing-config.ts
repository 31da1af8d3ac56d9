// SPDX-License-Identifier: Apache-2.0
/**
 * The signing config (`dev.sigstore.trustroot.v1.SigningConfig` v0.2, protobuf JSON): which services to sign with, and
 * how to choose among them.
 *
 *     caUrls, oidcUrls, rekorTlogUrls, tsaUrls   { url, majorApiVersion, validFor, operator } each
 *     rekorTlogConfig, tsaConfig                 { selector: ANY | ALL | EXACT, count }
 *
 * A list that is not empty needs its selector: official clients crash or refuse without it, so we refuse it in words.
 */
import { JsonObject, parseJson } from "../codec/index.ts";
import { LacreError } from "../errors.ts";
import { readWindow, writeWindow, type Window } from "./window.ts";

/** One service that may be asked. */
export interface Service extends Window {
  /** Base address of authority, provider and log; of a timestamp authority the complete endpoint. */
  readonly url: string;
  /** Which dialect it speaks. For the authority this is 1, although clients call paths under v2. */
  readonly majorApiVersion: number;
  /** Who runs it; services of one operator count once. */
  readonly operator: string;
}

/** How many services of a list to ask. */
export interface Selection {
  readonly selector: "ANY" | "ALL" | "EXACT";
  /** With EXACT: how many. */
  readonly count?: number;
}

/** A signing config. */
export interface SigningConfig {
  readonly caUrls: readonly Service[];
  readonly oidcUrls: readonly Service[];
  readonly rekorTlogUrls: readonly Service[];
  readonly rekorTlogConfig: Selection;
  readonly tsaUrls: readonly Service[];
  readonly tsaConfig: Selection;
}

/** The only version that is read and written. */
export const SIGNING_CONFIG_MEDIA_TYPE = "application/vnd.dev.sigstore.signingconfig.v0.2+json";

function invalid(message: string, detail: { expected?: string; found?: string } = {}): LacreError {
  return new LacreError("SIGNING_CONFIG_INVALID", message, detail);
}

/**
 * Reads a signing config. Unknown members are ignored. Throws SIGNING_CONFIG_INVALID; BAD_JSON, BAD_UTF8 and TOO_LARGE for
 * text that is no such document at all.
 */
export function decodeSigningConfig(input: Uint8Array): SigningConfig {
  return readSigningConfig(new JsonObject(parseJson(input), "signing config"));
}

/** As {@link decodeSigningConfig}, for a config within another document. */
export function readSigningConfig(config: JsonObject): SigningConfig {
  const mediaType = config.optionalString("mediaType", "media_type") ?? "";
  if (mediaType !== SIGNING_CONFIG_MEDIA_TYPE) {
    throw invalid("signing config is of a version that is not supported", {
      expected: SIGNING_CONFIG_MEDIA_TYPE,
      found: mediaType.slice(0, 100) || "no media type",
    });
  }
  const rekorTlogUrls = readServices(config, "rekorTlogUrls", "rekor_tlog_urls");
  const tsaUrls = readServices(config, "tsaUrls", "tsa_urls");
  return {
    caUrls: readServices(config, "caUrls", "ca_urls"),
    oidcUrls: readServices(config, "oidcUrls", "oidc_urls"),
    rekorTlogUrls,
    rekorTlogConfig: readSelection(config, "rekorTlogConfig", "rekor_tlog_config", rekorTlogUrls),
    tsaUrls,
    tsaConfig: readSelection(config, "tsaConfig", "tsa_config", tsaUrls),
  };
}

function readServices(config: JsonObject, name: string, alias: string): readonly Service[] {
  return (config.optionalArray(name, alias) ?? []).map((value, at) => {
    const service = new JsonObject(value, `${name}[${at}]`);
    const url = service.string("url");
    if (!/^https?:\/\/[^\s/?#]/.test(url) || /\s/.test(url))
      throw invalid(`${service.where}.url is not an http or https address`, { found: url.slice(0, 200) });
    const version = service.optionalInt64("majorApiVersion", "major_api_version") ?? 0n;
    if (version < 1n || version > 0xffffffffn)
      throw invalid(`${service.where}.majorApiVersion is not a version`, { found: `${version}` });
    return {
      url,
      majorApiVersion: Number(version),
      operator: service.optionalString("operator") ?? "",
      ...readWindow(service, "SIGNING_CONFIG_INVALID"),
    };
  });
}

// dev.sigstore.trustroot.v1.ServiceSelector
const SELECTORS: ReadonlyMap<unknown, Selection["selector"]> = new Map<unknown, Selection["selector"]>([
  ["ALL", "ALL"],
  ["ANY", "ANY"],
  ["EXACT", "EXACT"],
  [1, "ALL"],
  [2, "ANY"],
  [3, "EXACT"],
]);

function readSelection(config: JsonObject, name: string, alias: string, services: readonly Service[]): Selection {
  const selection = config.optionalObject(name, alias);
  const stated = selection?.get("selector");
  const selector = SELECTORS.get(stated);
  if (selector === undefined) {
    if (services.length === 0) return { selector: "ANY" };
    throw invalid(`${config.where}.${name} does not say how many services to use`, {
      expected: "ANY, ALL or EXACT",
      found: stated === undefined ? "nothing" : JSON.stringify(stated).slice(0, 60),
    });
  }
  if (selector !== "EXACT") return { selector };
  const count = selection!.optionalInt64("count") ?? 0n;
  if (count < 1n || count > 0xffffffffn)
    throw invalid(`${config.where}.${name}.count is not a number of services`, { found: `${count}` });
  return { selector, count: Number(count) };
}

/** The JSON text of a signing config. Empty lists are left out, and their selectors with them: clients disagree on both. */
export function encodeSigningConfig(config: SigningConfig): string {
  return `${JSON.stringify(writeSigningConfig(config), null, 2)}\n`;
}

/** As {@link encodeSigningConfig}, for a config within another document. */
export function writeSigningConfig(config: SigningConfig): object {
  const services = (list: readonly Service[]): object[] =>
    list.map(({ url, majorApiVersion, operator, ...window }) => ({
      url,
      majorApiVersion,
      validFor: writeWindow(window),
      operator,
    }));
  return {
    mediaType: SIGNING_CONFIG_MEDIA_TYPE,
    ...(config.caUrls.length === 0 ? {} : { caUrls: services(config.caUrls) }),
    ...(config.oidcUrls.length === 0 ? {} : { oidcUrls: services(config.oidcUrls) }),
    ...(config.rekorTlogUrls.length === 0
      ? {}
      : { rekorTlogUrls: services(config.rekorTlogUrls), rekorTlogConfig: writeSelection(config.rekorTlogConfig) }),
    ...(config.tsaUrls.length === 0 ? {} : { tsaUrls: services(config.tsaUrls), tsaConfig: writeSelection(config.tsaConfig) }),
  };
}

function writeSelection({ selector, count }: Selection): object {
  return { selector, ...(selector === "EXACT" ? { count } : {}) };
}

/** What the client can do, and when it is. */
export interface Circumstances {
  /** Major API versions that the client speaks. */
  readonly supported: readonly number[];
  /** Milliseconds since 1970. */
  readonly nowMs: number;
}

/**
 * The services of a list to ask: of those valid now, the ones of the highest version that we speak; of each operator the
 * one that started last; ANY takes the newest of these, ALL takes all, EXACT so many. Newest first; of equals the one
 * listed first. None is an empty answer with ANY and ALL; EXACT throws SERVICE_MISSING when there are fewer operators.
 */
export function selectServices(
  services: readonly Service[],
  { selector, count }: Selection,
  { supported, nowMs }: Circumstances,
): readonly Service[] {
  const usable = services.filter(
    ({ startMs, endMs, majorApiVersion }) =>
      startMs <= nowMs && (endMs === undefined || nowMs <= endMs) && supported.includes(majorApiVersion),
  );
  const highest = Math.max(...usable.map(({ majorApiVersion }) => majorApiVersion));
  const operators = new Set<string>();
  const newest = usable
    .filter(({ majorApiVersion }) => majorApiVersion === highest)
    .toSorted((a, b) => b.startMs - a.startMs)
    .filter(({ operator, url }) => {
      // A service that does not name its operator is nobody else's.
      const who = operator === "" ? `url ${url}` : `operator ${operator}`;
      if (operators.has(who)) return false;
      operators.add(who);
      return true;
    });
  if (selector === "ALL") return newest;
  if (selector === "ANY") return newest.slice(0, 1);
  if (count === undefined || count < 1) throw new TypeError("EXACT needs a count");
  if (newest.length < count) {
    throw new LacreError("SERVICE_MISSING", "the signing config has fewer services in use than it asks for", {
      expected: `${count} operators`,
      found: `${newest.length}`,
    });
  }
  return newest.slice(0, count);
}
