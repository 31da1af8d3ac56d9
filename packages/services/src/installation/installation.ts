// SPDX-License-Identifier: Apache-2.0
/**
 * An installation, opened: who it is, what is set, and what it signs with.
 *
 * Opening checks before it touches: that the path is a directory of ours or an empty one, that we own and can write it,
 * that no other process serves it, and that every part is there and fits the others. Nothing is repaired by guessing.
 */
import { accessSync, constants, existsSync, mkdirSync, readdirSync, statSync } from "node:fs";
import { resolve } from "node:path";
import { equalBytes, text } from "@lacre/core/bytes";
import { parsePem } from "@lacre/core/codec";
import { LacreError } from "@lacre/core/errors";
import { type Certificate, decodeCertificate } from "@lacre/core/x509";
import { type ConfigFile, defaultSettings, type Facts, parseConfig, type Settings } from "../config.ts";
import { ServiceError } from "../errors.ts";
import { createFileLock, storageFailure, systemCode } from "../store/index.ts";
import { completeFiles } from "./completion.ts";
import { createFiles } from "./creation.ts";
import { readWhole, storing } from "./files.ts";
import { keyTypeOf, readKey, type StoredKey } from "./keys.ts";
import { CERTIFICATE_NAMES, KEY_NAMES, type CertificateName, type KeyName, type Layout, layoutOf } from "./layout.ts";

/** What can be read of an installation without serving it. */
export interface InstallationView {
  readonly layout: Layout;
  readonly facts: Facts;
  readonly settings: Settings;
}

/** An installation that this process serves. */
export interface Installation extends InstallationView {
  /** Whole: what an older version had not decided is decided when the directory is opened for serving. */
  readonly facts: Required<Facts>;
  /** It was created by this call. */
  readonly created: boolean;
  readonly keys: Readonly<Record<KeyName, StoredKey>>;
  readonly certificates: Readonly<Record<CertificateName, Certificate>>;
  /** Gives the directory's lock back. */
  release(): void;
}

export interface OpenOptions {
  /** The data directory; made when it does not exist. */
  readonly dir: string;
  /** A configuration file in place of the settings in `lacre.json`. */
  readonly config?: string | undefined;
  readonly now: () => number;
  readonly random: (length: number) => Uint8Array;
}

/** Opens the installation in a directory for serving, or creates one there. Throws ServiceError. */
export function openInstallation(o: OpenOptions): Installation {
  const dir = resolve(o.dir);
  const layout = layoutOf(dir);
  const settings = o.config === undefined ? undefined : readSettings(resolve(o.config));
  prepareDirectory(layout);
  const release = createFileLock(layout.lock).acquire();
  try {
    const created = !existsSync(layout.config);
    if (created) createFiles({ dir, settings: settings ?? defaultSettings(), now: o.now, random: o.random });
    const found = viewInstallation(dir);
    checkOwner(layout.config);
    const view = { ...found, facts: completeFiles({ layout, facts: found.facts, now: o.now, random: o.random }) };
    const keys = readKeys(view);
    const certificates = readCertificates(view, keys);
    return { ...view, settings: settings ?? view.settings, created, keys, certificates, release };
  } catch (error) {
    release();
    throw error;
  }
}

/** Reads what an installation is, without locking it or touching a key. Throws DIRECTORY_FOREIGN, CONFIG_INVALID. */
export function viewInstallation(dir: string): InstallationView {
  const layout = layoutOf(resolve(dir));
  if (!existsSync(layout.config))
    throw new ServiceError("DIRECTORY_FOREIGN", "There is no lacre installation in this directory", { detail: layout.dir });
  const { facts, settings } = parseConfig(readWhole(layout.config), layout.config);
  if (facts === undefined)
    throw new ServiceError("DIRECTORY_DAMAGED", "lacre.json no longer says which installation this is", {
      detail: `${layout.config} has no "installation"`,
    });
  return { layout, facts, settings };
}

/** The settings of a configuration file; what it may say of an installation does not count. */
function readSettings(path: string): ConfigFile["settings"] {
  try {
    accessSync(path, constants.R_OK);
  } catch (cause) {
    throw new ServiceError("CONFIG_INVALID", `${path} cannot be read`, { cause });
  }
  return parseConfig(readWhole(path), path).settings;
}

/** What an empty directory may hold: a lock from an earlier try, and what a fresh file system comes with. */
const NOBODYS: ReadonlySet<string> = new Set(["lock", "lock.holder", "lost+found"]);

/** Ours or empty, existing, writable. Leaves nothing in a directory that it refuses. */
function prepareDirectory({ dir, config, creating }: Layout): void {
  try {
    makeDirectory(dir);
  } catch (cause) {
    const code = systemCode(cause);
    if (code === "EEXIST" || code === "ENOTDIR")
      throw new ServiceError("DIRECTORY_UNWRITABLE", "The path of the data directory is a file", { detail: dir, cause });
    throw storageFailure(`making ${dir}`, cause);
  }
  const names = storing(`reading ${dir}`, () => readdirSync(dir));
  const known = existsSync(config) || existsSync(creating) || names.every((name) => NOBODYS.has(name));
  if (!known)
    throw new ServiceError("DIRECTORY_FOREIGN", undefined, {
      detail: `${dir} has no lacre.json, but ${names.slice(0, 3).join(", ")}`,
    });
  try {
    accessSync(dir, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (cause) {
    throw new ServiceError("DIRECTORY_UNWRITABLE", undefined, { detail: dir, cause });
  }
}

function makeDirectory(path: string): void {
  try {
    mkdirSync(path, { recursive: true });
  } catch (error) {
    if (systemCode(error) !== "ENOENT") throw error;
    // On a read-only file system the recursive form says "no such file"; the plain one says what it is.
    mkdirSync(path);
  }
}

/** Files written by another user would be left unreadable to their owner. */
function checkOwner(path: string): void {
  const user = process.geteuid?.();
  const owner = statSync(path).uid;
  if (user !== undefined && owner !== user) {
    throw new ServiceError("DIRECTORY_OWNER", undefined, {
      detail: `${path} belongs to user id ${owner}; this process runs as ${user}`,
    });
  }
}

function readKeys({ layout, facts }: InstallationView): Record<KeyName, StoredKey> {
  const keys: Partial<Record<KeyName, StoredKey>> = {};
  for (const name of KEY_NAMES) {
    const key = readKey(layout.dir, name);
    const { type } = keyTypeOf(name, facts.ledger.keyType);
    if (key.publicKey.type !== type) {
      throw new ServiceError("DIRECTORY_DAMAGED", "A private key is of another kind than the installation's", {
        detail: `${layout.key(name)}: expected ${type}, found ${key.publicKey.type}`,
      });
    }
    keys[name] = key;
  }
  return keys as Record<KeyName, StoredKey>;
}

function readCertificates({ layout }: InstallationView, keys: Record<KeyName, StoredKey>): Record<CertificateName, Certificate> {
  const certificates: Partial<Record<CertificateName, Certificate>> = {};
  for (const name of CERTIFICATE_NAMES) {
    const path = layout.certificate(name);
    let certificate: Certificate;
    try {
      certificate = decodeCertificate(parsePem(text(readWhole(path)), "CERTIFICATE"));
    } catch (cause) {
      if (cause instanceof LacreError)
        throw new ServiceError("DIRECTORY_DAMAGED", "A certificate cannot be read", { detail: `${path}: ${cause.code}`, cause });
      throw cause;
    }
    if (!equalBytes(certificate.publicKey.spki, keys[name].publicKey.spki)) {
      throw new ServiceError("DIRECTORY_DAMAGED", "A certificate and its private key do not belong together", { detail: path });
    }
    certificates[name] = certificate;
  }
  return certificates as Record<CertificateName, Certificate>;
}
