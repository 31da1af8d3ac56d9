// SPDX-License-Identifier: Apache-2.0
/**
 * What clients are told to trust, and where they are told to go: the trusted root, the signing config, and both in one
 * file, in the exact forms that official clients read.
 *
 * The trusted root is a function of the installation alone. The signing config carries the address of this start; when it
 * changes, it is published anew. Clients compare a checkpoint's origin with the host of `baseUrl`, never with an address.
 *
 * Two logs, in this order everywhere: the v2 log first, because sigstore-js takes the first of equals; the v1 log last,
 * because policy-controller takes its ledger's address from the last one.
 */
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { noteKeyId, rekorV1KeyId } from "@lacre/core/bundle";
import { utf8 } from "@lacre/core/bytes";
import { formatPem } from "@lacre/core/codec";
import { defaultAlgorithm, sha256, type PublicKey } from "@lacre/core/crypto";
import {
  encodeClientTrustConfig,
  encodePython3TrustConfig,
  encodeSigningConfig,
  encodeTrustedRoot,
  TRUSTED_ROOT_MEDIA_TYPE,
  type CertificateAuthority,
  type Service,
  type SigningConfig,
  type TransparencyLog,
  type TrustedRoot,
} from "@lacre/core/trust";
import type { Facts } from "../config.ts";
import type { Target } from "../tuf/index.ts";
import { replaceFile, storing } from "./files.ts";
import type { Installation } from "./installation.ts";
import type { CertificateName } from "./layout.ts";

/** Services that clients may be sent to. */
export type Offered = "ca" | "ledger" | "tsa" | "idp";

export interface TrustDocuments {
  readonly trustedRoot: string;
  readonly signingConfig: string;
  readonly trustConfig: string;
  readonly python3Config: string;
  /** The same and more, as the trust repository offers them. */
  readonly targets: ReadonlyMap<string, Target>;
}

const OPERATOR = "lacre";

/** Writes the documents of an installation whose services answer at `url`. */
export function createTrustDocuments(installation: Installation, url: string, offered: ReadonlySet<Offered>): TrustDocuments {
  const root = createTrustedRoot(installation);
  const config = createSigningConfig(installation, url, offered);
  const documents = {
    trustedRoot: encodeTrustedRoot(root),
    signingConfig: encodeSigningConfig(config),
    trustConfig: encodeClientTrustConfig(root, config),
    python3Config: encodePython3TrustConfig(root, config),
  };
  return { ...documents, targets: createTargets(installation, root, documents) };
}

/** Puts the documents and the first TUF root where people find them. Files that are as they should be are not touched. */
export function writeTrustFiles(
  dir: string,
  documents: TrustDocuments,
  firstRoot: Uint8Array,
  more: ReadonlyMap<string, string> = new Map(),
): void {
  storing(`making ${dir}`, () => mkdirSync(dir, { recursive: true }));
  const files: readonly (readonly [string, string | Uint8Array])[] = [
    ["trusted_root.json", documents.trustedRoot],
    ["signing_config.v0.2.json", documents.signingConfig],
    ["trust_config.json", documents.trustConfig],
    ["trust_config.python3.json", documents.python3Config],
    ["root.json", firstRoot],
    ...more,
  ];
  for (const [name, content] of files) {
    const path = join(dir, name);
    if (!holds(path, content)) replaceFile(path, content);
  }
}

function holds(path: string, content: string | Uint8Array): boolean {
  try {
    return readFileSync(path).equals(typeof content === "string" ? utf8(content) : content);
  } catch {
    return false;
  }
}

function createTrustedRoot({ facts, keys, certificates }: Installation): TrustedRoot {
  const window = { startMs: Date.parse(facts.createdAt), endMs: undefined };
  const log = (name: string, key: PublicKey, logId: Uint8Array): TransparencyLog => {
    const { keyDetails } = defaultAlgorithm(key);
    return { ...window, baseUrl: `http://${name}`, name, key, keyDetails, logId };
  };
  const authority = (kind: string, name: string, ...chain: readonly CertificateName[]): CertificateAuthority => ({
    ...window,
    subject: { organization: "lacre", commonName: `lacre ${kind} ${facts.id}` },
    uri: nameOf(facts, name),
    chain: chain.map((one) => certificates[one]),
  });
  const ledger = keys.ledger.publicKey;
  const ledgerV1 = keys["ledger-v1"].publicKey;
  const ct = keys.ct.publicKey;
  return {
    mediaType: TRUSTED_ROOT_MEDIA_TYPE,
    tlogs: [
      log(facts.ledger.origin, ledger, noteKeyId(facts.ledger.origin, ledger)),
      { ...log(facts.ledgerV1.name, ledgerV1, rekorV1KeyId(ledgerV1)), startMs: Date.parse(facts.ledgerV1.startAt) },
    ],
    ctlogs: [log(facts.ct.origin, ct, sha256(ct.spki))],
    certificateAuthorities: [authority("authority", "ca", "ca-issuing", "ca-root")],
    timestampAuthorities: [authority("clock", "tsa", "tsa", "tsa-root")],
    warnings: [],
  };
}

/** A name for what has no origin of its own. Clients show it and do not go there. */
function nameOf({ id }: Facts, service: string): string {
  return `http://${service}.${id}.lacre.localhost`;
}

function createSigningConfig({ facts }: Installation, url: string, offered: ReadonlySet<Offered>): SigningConfig {
  const service = (name: Offered, address: string, majorApiVersion: number): readonly Service[] =>
    offered.has(name)
      ? [{ url: address, majorApiVersion, operator: OPERATOR, startMs: Date.parse(facts.createdAt), endMs: undefined }]
      : [];
  return {
    // 1, although clients call paths under v2.
    caUrls: service("ca", url, 1),
    oidcUrls: service("idp", `${url}/oidc`, 1),
    // One address, two dialects. Both from the beginning: of a later start sigstore-js would make a preference.
    rekorTlogUrls: [...service("ledger", url, 2), ...service("ledger", url, 1)],
    rekorTlogConfig: { selector: "ANY" },
    tsaUrls: service("tsa", `${url}/api/v1/timestamp`, 1),
    tsaConfig: { selector: "ANY" },
  };
}

function createTargets(
  installation: Installation,
  root: TrustedRoot,
  documents: Pick<TrustDocuments, "trustedRoot" | "signingConfig">,
): Map<string, Target> {
  const { facts, keys, certificates } = installation;
  const legacy = (usage: string, uri: string): Pick<Target, "custom"> => ({
    custom: { sigstore: { usage, status: "Active", uri } },
  });
  const publicKey = (key: PublicKey): Uint8Array => utf8(formatPem("PUBLIC KEY", key.spki));
  const certificate = (name: CertificateName): Uint8Array => utf8(formatPem("CERTIFICATE", certificates[name].der));
  const targets = new Map<string, Target>([
    ["trusted_root.json", { bytes: utf8(documents.trustedRoot) }],
    ["signing_config.v0.2.json", { bytes: utf8(documents.signingConfig) }],
    // Clients old enough to read keys one by one know the v1 dialect alone.
    ["rekor.pub", { bytes: publicKey(keys["ledger-v1"].publicKey), ...legacy("Rekor", `http://${facts.ledgerV1.name}`) }],
    ["ctfe.pub", { bytes: publicKey(keys.ct.publicKey), ...legacy("CTFE", `http://${facts.ct.origin}`) }],
    ["fulcio_v1.crt.pem", { bytes: certificate("ca-root"), ...legacy("Fulcio", nameOf(facts, "ca")) }],
    ["fulcio_intermediate_v1.crt.pem", { bytes: certificate("ca-issuing"), ...legacy("Fulcio", nameOf(facts, "ca")) }],
  ]);
  // For policy-controller, whose trust roots refuse a log key that is not ECDSA.
  const tlogs = root.tlogs.filter(({ key }) => key.type.startsWith("P-"));
  targets.set("trusted_root.v1.json", { bytes: utf8(encodeTrustedRoot({ ...root, tlogs })) });
  return targets;
}
