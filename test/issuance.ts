// SPDX-License-Identifier: Apache-2.0
/**
 * An authority with everything it needs, in one process and without a socket: identity provider, CT log on a real engine
 * in a scratch directory, real keys. For tests of the rooms between token and certificate, and for their bench.
 */
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createCtClient, type Fetch } from "@lacre/core/client";
import { algorithmOf, generateKey, type PrivateKey, sha256, signMessage } from "@lacre/core/crypto";
import {
  authorityFields,
  type Certificate,
  decodeCertificate,
  encodeName,
  prepareCertificate,
  randomSerial,
  rootFields,
  signUnsigned,
} from "@lacre/core/x509";
import {
  createAuthorityService,
  createDiscovery,
  createIssuerTable,
  emailIssuer,
  type IssuerEntry,
  registerAuthority,
} from "@lacre/services/ca";
import { createCtCheckpointSigner, createCtService, createDirectCtClient, CT_PERSONALITY, registerCt } from "@lacre/services/ct";
import { createEdge, createLocalFetch } from "@lacre/services/edge";
import { createMemoryAnchor, type Log, openLog } from "@lacre/services/engine";
import { createIdentityProvider, type IdentityKey, importIdentityKey, registerIdp } from "@lacre/services/idp";
import { createMemoryBlobStore } from "@lacre/services/store";
import type { FastifyBaseLogger, FastifyInstance } from "fastify";

export const ES256 = algorithmOf("PKIX_ECDSA_P256_SHA_256");
const HOUR = 3_600_000;
const random = (length: number): Uint8Array => randomBytes(length);

export interface Hierarchy {
  readonly rootKey: PrivateKey;
  readonly root: Certificate;
  readonly issuingKey: PrivateKey;
  readonly issuing: Certificate;
}

/** A root and an issuing authority, P-256 both. */
export function createHierarchy(nowMs = Date.now(), organization = "lacre test"): Hierarchy {
  const rootKey = generateKey("P-256");
  const issuingKey = generateKey("P-256");
  const common = { notBeforeMs: nowMs - HOUR, notAfterMs: nowMs + 10_000 * HOUR };
  const rootName = encodeName({ O: organization, CN: "root" });
  const root = decodeCertificate(
    signUnsigned(
      prepareCertificate(
        rootFields({ ...common, serial: randomSerial(random), publicKey: rootKey.publicKey, subject: rootName }),
        ES256,
      ),
      rootKey,
    ),
  );
  const fields = authorityFields({
    ...common,
    serial: randomSerial(random),
    publicKey: issuingKey.publicKey,
    issuer: root,
    subject: encodeName({ O: organization, CN: "issuing" }),
    purpose: "codeSigning",
  });
  return { rootKey, root, issuingKey, issuing: decodeCertificate(signUnsigned(prepareCertificate(fields, ES256), rootKey)) };
}

export interface IssuanceOptions {
  readonly now?: () => number;
  /** Issuers beside the development provider. */
  readonly issuers?: readonly IssuerEntry[];
  /** Answers for addresses outside. */
  readonly elsewhere?: Fetch;
  readonly log?: FastifyBaseLogger;
  /** The authority asks its CT log without HTTP and believes it, as in one process. */
  readonly direct?: boolean;
  /** Stands between authority and CT log. */
  readonly ctFetch?: (inner: Fetch) => Fetch;
  readonly sign?: (tbs: Uint8Array) => Uint8Array | Promise<Uint8Array>;
}

export interface Issuance extends Hierarchy {
  readonly app: FastifyInstance;
  readonly url: string;
  readonly issuer: string;
  readonly identityKey: IdentityKey;
  readonly ctKey: PrivateKey;
  readonly ctLogId: Uint8Array;
  readonly ctLog: Log;
  readonly fetch: Fetch;
  close(): Promise<void>;
}

const identityKey = importIdentityKey(generateKey("RSA", 2048).pkcs8);

export async function createIssuance(options: IssuanceOptions = {}): Promise<Issuance> {
  const now = options.now ?? Date.now;
  const url = "http://localhost:7800";
  const issuer = `${url}/oidc`;
  const hierarchy = createHierarchy(now());
  const ctKey = generateKey("P-256");
  const ctLogId = sha256(ctKey.publicKey.spki);
  const sign = (message: Uint8Array): Uint8Array => signMessage(ES256, ctKey, message);

  const scratch = mkdtempSync(join(tmpdir(), "lacre-issuance-"));
  const ctLog = await openLog({
    dir: join(scratch, "ct"),
    origin: "ct.test",
    personality: CT_PERSONALITY,
    signCheckpoint: createCtCheckpointSigner({ logId: ctLogId, sign }),
    now,
    anchor: createMemoryAnchor(),
    production: true,
    segmentBytes: 1 << 20,
  });
  const app = createEdge({ log: options.log });
  const fetch = createLocalFetch({
    app: () => app,
    origins: [url],
    ...(options.elsewhere === undefined ? {} : { elsewhere: options.elsewhere }),
  });
  registerIdp(app, createIdentityProvider({ issuer, key: identityKey, now }));
  const ct = createCtService({ log: ctLog, logId: ctLogId, sign, roots: [hierarchy.root], blobs: createMemoryBlobStore(), now });
  registerCt(app, ct);
  registerAuthority(
    app,
    createAuthorityService({
      chain: [hierarchy.issuing, hierarchy.root],
      algorithm: ES256,
      sign: options.sign ?? ((tbs) => signMessage(ES256, hierarchy.issuingKey, tbs)),
      ct:
        options.direct === true
          ? createDirectCtClient(ct)
          : createCtClient({ url, fetch: options.ctFetch?.(fetch) ?? fetch, retries: 0 }),
      ctLog: options.direct === true ? undefined : { logId: ctLogId, key: ctKey.publicKey },
      issuers: createIssuerTable([emailIssuer(issuer), ...(options.issuers ?? [])]),
      discovery: createDiscovery({ fetch, now }),
      now,
      random,
      log: options.log,
    }),
  );
  await app.ready();
  return {
    ...hierarchy,
    app,
    url,
    issuer,
    identityKey,
    ctKey,
    ctLogId,
    ctLog,
    fetch,
    async close() {
      await app.close();
      await ctLog.close();
      rmSync(scratch, { recursive: true, force: true });
    },
  };
}
