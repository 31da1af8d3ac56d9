// SPDX-License-Identifier: Apache-2.0
/**
 * What clients are told to trust, and where they are told to go: the trusted root, the signing config, and both in one
 * file, in the exact forms that official clients read (contracts 6.3 to 6.6).
 *
 * The trusted root is a function of the installation alone. The signing config carries the address of this start; when it
 * changes, it is published anew. Clients compare a checkpoint's origin with the host of `baseUrl`, never with an address.
 */
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { noteKeyId } from "@lacre/core/bundle";
import { toBase64, utf8 } from "@lacre/core/bytes";
import { formatPem } from "@lacre/core/codec";
import { defaultAlgorithm, sha256, type PublicKey } from "@lacre/core/crypto";
import type { Facts } from "../config.ts";
import type { Target } from "../tuf/index.ts";
import { replaceFile, storing } from "./files.ts";
import type { Installation } from "./installation.ts";

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
  const root = trustedRoot(installation);
  const config = signingConfig(installation, url, offered);
  const [trustedRootText, signingConfigText] = [pretty(root), pretty(config)];
  return {
    trustedRoot: trustedRootText,
    signingConfig: signingConfigText,
    trustConfig: clientConfig(root, config),
    python3Config: clientConfig(root, python3SigningConfig(url)),
    targets: targets(installation, trustedRootText, signingConfigText, root),
  };
}

/** Puts the documents and the first TUF root where people find them. Files that are as they should be are not touched. */
export function writeTrustFiles(dir: string, documents: TrustDocuments, firstRoot: Uint8Array): void {
  storing(`making ${dir}`, () => mkdirSync(dir, { recursive: true }));
  const files: readonly (readonly [string, string | Uint8Array])[] = [
    ["trusted_root.json", documents.trustedRoot],
    ["signing_config.v0.2.json", documents.signingConfig],
    ["trust_config.json", documents.trustConfig],
    ["trust_config.python3.json", documents.python3Config],
    ["root.json", firstRoot],
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

function trustedRoot({ facts, keys, certificates }: Installation): object {
  const validFor = { start: facts.createdAt };
  const instance = (baseUrl: string, key: PublicKey, keyId: Uint8Array): object => ({
    baseUrl,
    hashAlgorithm: "SHA2_256",
    publicKey: { rawBytes: toBase64(key.spki), keyDetails: defaultAlgorithm(key).keyDetails, validFor },
    logId: { keyId: toBase64(keyId) },
  });
  const chain = (...names: readonly (keyof typeof certificates)[]): object => ({
    certificates: names.map((name) => ({ rawBytes: toBase64(certificates[name].der) })),
  });
  const ledger = keys.ledger.publicKey;
  const ct = keys.ct.publicKey;
  return {
    mediaType: "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
    tlogs: [instance(`http://${facts.ledger.origin}`, ledger, noteKeyId(facts.ledger.origin, ledger))],
    certificateAuthorities: [
      { subject: { organization: "lacre", commonName: `lacre authority ${facts.id}` }, uri: nameOf(facts, "ca"), certChain: chain("ca-issuing", "ca-root"), validFor },
    ],
    ctlogs: [instance(`http://${facts.ct.origin}`, ct, sha256(ct.spki))],
    timestampAuthorities: [
      { subject: { organization: "lacre", commonName: `lacre clock ${facts.id}` }, uri: nameOf(facts, "tsa"), certChain: chain("tsa", "tsa-root"), validFor },
    ],
  };
}

/** A name for what has no origin of its own. Clients show it and do not go there. */
function nameOf({ id }: Facts, service: string): string {
  return `http://${service}.${id}.lacre.localhost`;
}

/** An empty list is read differently by every client, and a list without its selector crashes cosign: both or neither. */
function signingConfig({ facts }: Installation, url: string, offered: ReadonlySet<Offered>): object {
  const service = (address: string, majorApiVersion: number): object[] => [{ url: address, majorApiVersion, validFor: { start: facts.createdAt }, operator: OPERATOR }];
  return {
    mediaType: "application/vnd.dev.sigstore.signingconfig.v0.2+json",
    ...(offered.has("ca") && { caUrls: service(url, 1) }),
    ...(offered.has("idp") && { oidcUrls: service(`${url}/oidc`, 1) }),
    ...(offered.has("ledger") && { rekorTlogUrls: service(url, 2), rekorTlogConfig: { selector: "ANY" } }),
    ...(offered.has("tsa") && { tsaUrls: service(`${url}/api/v1/timestamp`, 1), tsaConfig: { selector: "ANY" } }),
  };
}

/** The form that sigstore-python 3 reads inside a client trust config, and nothing else does. */
function python3SigningConfig(url: string): object {
  return {
    mediaType: "application/vnd.dev.sigstore.signingconfig.v0.1+json",
    caUrl: url,
    oidcUrl: `${url}/oidc`,
    tlogUrls: [url],
    tsaUrls: [`${url}/api/v1/timestamp`],
  };
}

function clientConfig(root: object, config: object): string {
  return pretty({ mediaType: "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json", trustedRoot: root, signingConfig: config });
}

function targets(installation: Installation, trusted: string, signing: string, root: object): Map<string, Target> {
  const { facts, keys, certificates } = installation;
  const legacy = (usage: string, uri: string): Pick<Target, "custom"> => ({ custom: { sigstore: { usage, status: "Active", uri } } });
  const publicKey = (key: PublicKey): Uint8Array => utf8(formatPem("PUBLIC KEY", key.spki));
  const certificate = (name: keyof typeof certificates): Uint8Array => utf8(formatPem("CERTIFICATE", certificates[name].der));
  const out = new Map<string, Target>([
    ["trusted_root.json", { bytes: utf8(trusted) }],
    ["signing_config.v0.2.json", { bytes: utf8(signing) }],
    ["rekor.pub", { bytes: publicKey(keys.ledger.publicKey), ...legacy("Rekor", `http://${facts.ledger.origin}`) }],
    ["ctfe.pub", { bytes: publicKey(keys.ct.publicKey), ...legacy("CTFE", `http://${facts.ct.origin}`) }],
    ["fulcio_v1.crt.pem", { bytes: certificate("ca-root"), ...legacy("Fulcio", nameOf(facts, "ca")) }],
    ["fulcio_intermediate_v1.crt.pem", { bytes: certificate("ca-issuing"), ...legacy("Fulcio", nameOf(facts, "ca")) }],
  ]);
  // For policy-controller, whose trust roots refuse a log key that is not ECDSA. Without such a log there is no such root.
  if (keys.ledger.publicKey.type === "P-256") out.set("trusted_root.v1.json", { bytes: utf8(pretty(root)) });
  return out;
}

function pretty(value: object): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}
