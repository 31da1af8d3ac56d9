// SPDX-License-Identifier: Apache-2.0
/**
 * Which services a signature is made with.
 *
 * A signing config says (`--signing-config`, or the one of the installation that `trust.ts` finds). The flags that name a
 * service each (`--fulcio-url`, `--rekor-url`, `--timestamp-server-url`) stand instead of what it says of that service:
 *
 *     no such flag                          the config alone
 *     flags, and a config that was found    the flags' services, the rest from the config
 *     flags, and --use-signing-config=false the flags' services and nothing else
 *     flags, and a config that was asked for (--signing-config, --use-signing-config)   refused: which one is meant?
 *
 * cosign 3 takes the flags only with `--use-signing-config=false`, cosign 2 takes them always, and both put the public
 * instance in the place of what is not named. Nothing is ever sent there here without being asked for.
 */
import { selectServices, type Service, type SigningConfig } from "@lacre/core/trust";
import type { Fetch } from "@lacre/core/client";
import type { Context } from "./context.ts";
import { CliError } from "./errors.ts";
import { plain } from "./terminal.ts";
import { findSigningConfig, readNamed } from "./trust.ts";
import { choice, type FlagTable, type FlagValues, text, toggle } from "./verb.ts";

export const SERVICE_FLAGS = {
  signingConfig: text("Which services to sign with", { placeholder: "file" }),
  useSigningConfig: toggle("Whether a signing config says which services to use (default true)"),
  fulcioUrl: text("Certificate authority to use, whatever the signing config says", { placeholder: "url" }),
  rekorUrl: text("Ledger to use, whatever the signing config says", { placeholder: "url" }),
  rekorVersion: choice(["1", "2"], "Which interface the ledger of --rekor-url speaks (default 1)"),
  timestampServerUrl: text("Timestamp authority to use, its whole address", { placeholder: "url" }),
  timestampClientCacert: text("Authority of the timestamp server's TLS certificate, PEM", { placeholder: "file" }),
  timestampClientCert: text("TLS certificate to show to the timestamp server, PEM", { placeholder: "file" }),
  timestampClientKey: text("Key of --timestamp-client-cert, PEM", { placeholder: "file" }),
  timestampServerName: text("Name in the timestamp server's TLS certificate", { placeholder: "name" }),
} as const satisfies FlagTable;

export type ServiceFlags = FlagValues<typeof SERVICE_FLAGS> & {
  readonly dir?: string | undefined;
  readonly offline?: boolean | undefined;
};

/** The services to sign with. What is not needed may be missing. */
export interface Services {
  readonly authority: string | undefined;
  /** Providers to sign in with, best first. */
  readonly issuers: readonly string[];
  readonly ledgers: readonly Pick<Service, "url" | "majorApiVersion">[];
  readonly clocks: readonly string[];
  /** How the clocks are reached. */
  readonly clockFetch: Fetch;
  /** Whether they belong to an installation on this machine. */
  readonly isLocal: boolean;
}

/** What is going to be asked of the services. */
export interface Needs {
  readonly isCertified: boolean;
  readonly isLogged: boolean;
  /** Interfaces of ledgers that will do; default all that are known. */
  readonly ledgerVersions?: readonly number[] | undefined;
}

/** Finds the services. Throws USAGE for flags that contradict each other, SERVICES_MISSING for what is needed and not named. */
export async function findServices(context: Context, flags: ServiceFlags, needs: Needs): Promise<Services> {
  const named = checkFlags(flags);
  const clockFetch = await openClockFetch(context, flags);
  const chosen = flags.useSigningConfig === false ? undefined : await findConfig(context, flags, named.length > 0);
  const config = chosen?.value;
  const nowMs = context.now();
  const pick = (
    list: readonly Service[] = [],
    rule: SigningConfig["tsaConfig"] | undefined,
    supported: readonly number[],
  ): readonly Service[] =>
    rule === undefined || list.length === 0 ? [] : selectServices(list, rule, { supported: [...supported], nowMs });
  const authority = flags.fulcioUrl ?? pick(config?.caUrls, { selector: "ANY" }, [1])[0]?.url;
  if (needs.isCertified && authority === undefined) {
    throw new CliError("SERVICES_MISSING", "no certificate authority is named", {
      hint:
        config === undefined
          ? "Give --fulcio-url too, or a signing config."
          : "The signing config names none that can be used: give --fulcio-url, or another config.",
    });
  }
  const ledgers = !needs.isLogged
    ? []
    : findLedgers(flags, config, pick(config?.rekorTlogUrls, config?.rekorTlogConfig, needs.ledgerVersions ?? [1, 2]));
  if (needs.isLogged && ledgers.length === 0) {
    throw new CliError("SERVICES_MISSING", "the signing config names no ledger that can be used", {
      hint: "Use a signing config with a ledger of majorApiVersion 1 or 2, or --rekor-url, or --tlog-upload=false to do without.",
    });
  }
  const clocks =
    flags.timestampServerUrl === undefined
      ? pick(config?.tsaUrls, config?.tsaConfig, [1]).map(({ url }) => url)
      : [flags.timestampServerUrl];
  const open = clockFetch === context.fetch ? undefined : clocks.find((url) => !url.startsWith("https:"));
  if (open !== undefined) {
    throw new CliError("USAGE", `certificates are given for the timestamp server at ${plain(open)}, which is no https address`);
  }
  return {
    authority,
    issuers: pick(config?.oidcUrls, { selector: "ANY" }, [1]).map(({ url }) => url),
    ledgers,
    clocks,
    clockFetch,
    isLocal: chosen?.isLocal === true,
  };
}

/** The service flags that are given, after checks that need no file. */
function checkFlags(flags: ServiceFlags): readonly string[] {
  const urls = {
    "--fulcio-url": flags.fulcioUrl,
    "--rekor-url": flags.rekorUrl,
    "--timestamp-server-url": flags.timestampServerUrl,
  };
  const named = Object.entries(urls).filter(([, url]) => url !== undefined);
  for (const [flag, url] of named) {
    if (!URL.canParse(url!) || !/^https?:$/.test(new URL(url!).protocol))
      throw new CliError("USAGE", `${flag} is not an http or https address: ${plain(url!).slice(0, 100)}`);
  }
  if (flags.signingConfig !== undefined && flags.useSigningConfig !== undefined) {
    throw new CliError("USAGE", "--signing-config and --use-signing-config exclude each other", {
      hint: "--signing-config FILE alone uses that file.",
    });
  }
  if (named.length > 0 && (flags.signingConfig !== undefined || flags.useSigningConfig === true)) {
    throw new CliError("USAGE", `${named.map(([flag]) => flag).join(", ")} and a signing config say two things`, {
      hint: "Leave one of them out. --use-signing-config=false with the addresses uses those alone.",
    });
  }
  if (flags.rekorVersion !== undefined && flags.rekorUrl === undefined)
    throw new CliError("USAGE", "--rekor-version says which interface --rekor-url speaks, and that is not given");
  return named.map(([flag]) => flag);
}

async function findConfig(context: Context, flags: ServiceFlags, isOptional: boolean): ReturnType<typeof findOrNothing> {
  return isOptional ? findOrNothing(context, flags) : findSigningConfig(context, flags);
}

async function findOrNothing(
  context: Context,
  flags: ServiceFlags,
): Promise<Awaited<ReturnType<typeof findSigningConfig>> | undefined> {
  try {
    return await findSigningConfig(context, flags);
  } catch (error) {
    if (error instanceof CliError && error.code === "SERVICES_MISSING") return undefined;
    throw error;
  }
}

/** A ledger that the config knows by its address speaks what the config says; any other, v1, as cosign has it. */
function findLedgers(flags: ServiceFlags, config: SigningConfig | undefined, chosen: readonly Service[]): Services["ledgers"] {
  const { rekorUrl: url, rekorVersion } = flags;
  if (url === undefined) return chosen;
  const bare = (address: string): string => address.replace(/\/+$/, "");
  const versions = (config?.rekorTlogUrls ?? [])
    .filter((one) => bare(one.url) === bare(url))
    .map(({ majorApiVersion }) => majorApiVersion);
  const known = versions.length === 1 ? versions[0]! : 1;
  return [{ url, majorApiVersion: rekorVersion === undefined ? known : Number(rekorVersion) }];
}

async function openClockFetch(context: Context, flags: ServiceFlags): Promise<Fetch> {
  const read = async (path: string | undefined): Promise<string | undefined> =>
    path === undefined ? undefined : Buffer.from(await readNamed(context, path)).toString("utf8");
  const {
    timestampClientCacert: ca,
    timestampClientCert: certificate,
    timestampClientKey: key,
    timestampServerName: serverName,
  } = flags;
  if ([ca, certificate, key, serverName].every((one) => one === undefined)) return context.fetch;
  if ((certificate === undefined) !== (key === undefined))
    throw new CliError("USAGE", "--timestamp-client-cert and --timestamp-client-key are given together or not at all");
  const { createTlsFetch } = await import("./transport.ts");
  return createTlsFetch({ ca: await read(ca), certificate: await read(certificate), key: await read(key), serverName });
}
