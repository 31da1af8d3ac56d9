// SPDX-License-Identifier: Apache-2.0
/**
 * The configuration of one process: `lacre.json` in the data directory, or the file that `--config` names.
 *
 * Every key is optional and has a default; a key that is not known is refused, with the path to it. A file written for an
 * older version keeps its meaning: a field that is missing behaves as it did before the field existed. `lacre.json` also
 * holds, under `installation`, what was decided once when the directory was created; those facts are never edited.
 */
import { Type, type TSchema } from "typebox";
import { Value } from "typebox/value";
import { parseJson, type Json } from "@lacre/core/codec";
import { LacreError } from "@lacre/core/errors";
import { CA_DEFAULTS, CA_SCHEMA, type CaConfig } from "./ca/config.ts";
import { CT_DEFAULTS, CT_SCHEMA, type CtConfig } from "./ct/config.ts";
import { EDGE_DEFAULTS, EDGE_SCHEMA, type EdgeConfig } from "./edge/config.ts";
import { ServiceError } from "./errors.ts";
import { HEALTH_DEFAULTS, HEALTH_SCHEMA, type HealthConfig } from "./health/config.ts";
import { LEDGER_DEFAULTS, LEDGER_SCHEMA, type LedgerConfig } from "./ledger/config.ts";
import { METRICS_DEFAULTS, METRICS_SCHEMA, type MetricsConfig } from "./metrics/config.ts";
import { MONITOR_DEFAULTS, MONITOR_SCHEMA, type MonitorConfig } from "./monitor/config.ts";
import { TSA_DEFAULTS, TSA_SCHEMA, type TsaConfig } from "./tsa/config.ts";
import { TUF_DEFAULTS, TUF_SCHEMA, type TufConfig } from "./tuf/config.ts";
import { WITNESS_DEFAULTS, WITNESS_SCHEMA, type WitnessConfig } from "./witness/config.ts";
import { WITNESSES_DEFAULTS, WITNESSES_SCHEMA, type WitnessesConfig } from "./witnessing/config.ts";

/** What an operator may set, section by section; each section is documented in the `config.ts` of its room. */
export interface Settings {
  readonly ca: CaConfig;
  readonly ct: CtConfig;
  readonly ledger: LedgerConfig;
  readonly monitor: MonitorConfig;
  readonly tsa: TsaConfig;
  readonly tuf: TufConfig;
  readonly witness: WitnessConfig;
  readonly witnesses: WitnessesConfig;
  readonly edge: EdgeConfig;
  readonly health: HealthConfig;
  readonly metrics: MetricsConfig;
}

/** What was decided when the installation was created. */
export interface Facts {
  /** Eight hexadecimal digits, unique to the installation; part of every development origin. */
  readonly id: string;
  /** When it was created; nothing of it is valid before. */
  readonly createdAt: string;
  /** A development installation gives tokens to anybody and says so in every banner. */
  readonly mode: "development" | "production";
  /** Origins of the logs: the names in their checkpoints, never derived from an address. */
  readonly ledger: { readonly origin: string; readonly keyType: "Ed25519" | "P-256" };
  readonly ct: { readonly origin: string };
  /** The ledger's second log, in the v1 dialect. A directory made before there was one gets it when it is next served. */
  readonly ledgerV1?: LedgerV1Facts;
}

/** What was decided of the log in the v1 dialect. Its checkpoints have the origin `<name> - <treeId>`. */
export interface LedgerV1Facts {
  /** The name it signs under: a host. */
  readonly name: string;
  /** A positive number of 63 bits, in decimal digits; the first half of every entry's UUID. */
  readonly treeId: string;
  /** When it was made; nothing of it is valid before. */
  readonly startAt: string;
}

/** The format of `lacre.json`. A higher number is refused: it was written by a newer version. */
export const CONFIG_VERSION = 1;

const SECTIONS: Readonly<Record<keyof Settings, TSchema>> = {
  ca: CA_SCHEMA,
  ct: CT_SCHEMA,
  ledger: LEDGER_SCHEMA,
  monitor: MONITOR_SCHEMA,
  tsa: TSA_SCHEMA,
  tuf: TUF_SCHEMA,
  witness: WITNESS_SCHEMA,
  witnesses: WITNESSES_SCHEMA,
  edge: EDGE_SCHEMA,
  health: HEALTH_SCHEMA,
  metrics: METRICS_SCHEMA,
};
const DEFAULTS: Settings = {
  ca: CA_DEFAULTS,
  ct: CT_DEFAULTS,
  ledger: LEDGER_DEFAULTS,
  monitor: MONITOR_DEFAULTS,
  tsa: TSA_DEFAULTS,
  tuf: TUF_DEFAULTS,
  witness: WITNESS_DEFAULTS,
  witnesses: WITNESSES_DEFAULTS,
  edge: EDGE_DEFAULTS,
  health: HEALTH_DEFAULTS,
  metrics: METRICS_DEFAULTS,
};

const TIME = Type.String({ pattern: "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}Z$" });
const ORIGIN = Type.String({ pattern: "^[a-z0-9]([a-z0-9.-]{0,250}[a-z0-9])?$" });
const FACTS_SCHEMA: TSchema = Type.Object(
  {
    id: Type.String({ pattern: "^[0-9a-f]{8}$" }),
    createdAt: TIME,
    mode: Type.Union([Type.Literal("development"), Type.Literal("production")]),
    ledger: Type.Object(
      { origin: ORIGIN, keyType: Type.Union([Type.Literal("Ed25519"), Type.Literal("P-256")]) },
      { additionalProperties: false },
    ),
    ct: Type.Object({ origin: ORIGIN }, { additionalProperties: false }),
    ledgerV1: Type.Optional(
      Type.Object(
        { name: ORIGIN, treeId: Type.String({ pattern: "^[1-9][0-9]{0,18}$" }), startAt: TIME },
        { additionalProperties: false },
      ),
    ),
  },
  { additionalProperties: false, description: "Decided at creation; never edited." },
);

/** JSON Schema of a configuration file: what `--config` names, and `lacre.json` with its `installation`. */
export const CONFIG_SCHEMA: TSchema = Type.Object(
  {
    version: Type.Optional(Type.Integer({ minimum: 1, description: "Format of the file." })),
    installation: Type.Optional(FACTS_SCHEMA),
    ...Object.fromEntries(Object.entries(SECTIONS).map(([name, schema]) => [name, Type.Optional(schema)])),
  },
  { additionalProperties: false, title: "lacre configuration" },
);

/** A file as it was read: the facts if it holds any, and the settings with defaults filled in. */
export interface ConfigFile {
  readonly facts: Facts | undefined;
  readonly settings: Settings;
}

/** Reads a configuration. `where` names the file in refusals. Throws ServiceError CONFIG_INVALID, DIRECTORY_FOREIGN. */
export function parseConfig(input: Uint8Array | string, where: string): ConfigFile {
  let value: Json;
  try {
    value = parseJson(input, { maxBytes: 1 << 20, maxDepth: 16 });
  } catch (cause) {
    if (cause instanceof LacreError) throw new ServiceError("CONFIG_INVALID", `${where}: ${cause.message}`, { cause });
    throw cause;
  }
  const version =
    typeof value === "object" && value !== null && !Array.isArray(value) ? (value as { version?: unknown }).version : undefined;
  if (typeof version === "number" && version > CONFIG_VERSION) {
    throw new ServiceError("DIRECTORY_FOREIGN", `${where} was written by a newer version of lacre`, {
      detail: `format ${version}; this version reads ${CONFIG_VERSION}`,
    });
  }
  const faults = Value.Errors(CONFIG_SCHEMA, value).filter(
    (fault) => fault.keyword !== "additionalProperties" && fault.keyword !== "anyOf",
  );
  const [fault] = faults;
  if (fault !== undefined) {
    const path = fault.instancePath.slice(1).replaceAll("/", ".") || "the file";
    throw new ServiceError(
      "CONFIG_INVALID",
      `${where}: ${path} ${fault.keyword === "boolean" ? "is not a known key" : fault.message}`,
    );
  }
  const file = value as unknown as { installation?: Facts } & { [name in keyof Settings]?: Partial<Settings[name]> };
  return { facts: file.installation, settings: withDefaults(file) };
}

/** The settings of an empty file. */
export function defaultSettings(): Settings {
  return withDefaults({});
}

function withDefaults(file: { readonly [name in keyof Settings]?: Partial<Settings[name]> }): Settings {
  return {
    ca: { ...DEFAULTS.ca, ...file.ca },
    ct: { ...DEFAULTS.ct, ...file.ct },
    ledger: { ...DEFAULTS.ledger, ...file.ledger },
    monitor: { ...DEFAULTS.monitor, ...file.monitor },
    tsa: { ...DEFAULTS.tsa, ...file.tsa },
    tuf: { ...DEFAULTS.tuf, ...file.tuf },
    witness: { ...DEFAULTS.witness, ...file.witness },
    witnesses: { ...DEFAULTS.witnesses, ...file.witnesses },
    edge: { ...DEFAULTS.edge, ...file.edge },
    health: { ...DEFAULTS.health, ...file.health },
    metrics: { ...DEFAULTS.metrics, ...file.metrics },
  };
}
