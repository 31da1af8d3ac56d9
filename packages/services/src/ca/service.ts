// SPDX-License-Identifier: Apache-2.0
/**
 * The authority's rules: identity token and key in, certificate out. No HTTP.
 *
 * A certificate leaves only after its promise is in it: the precertificate is signed, handed to the CT log, which answers
 * when it is durable there and published, and the answer is verified against the log's key. Then the certificate is
 * signed, from the same fields. A crash in between leaves a logged precertificate that nobody ever got: harmless, and
 * visible.
 */
import type { CtClient } from "@lacre/core/client";
import { LacreError } from "@lacre/core/errors";
import type { Algorithm, PublicKey } from "@lacre/core/crypto";
import { toHex } from "@lacre/core/bytes";
import {
  type Certificate,
  checkSct,
  issuerKeyHash,
  loggedTbs,
  prepareLoggedCertificate,
  preparePrecertificate,
  randomSerial,
  type Sct,
  signerFields,
  type Unsigned,
} from "@lacre/core/x509";
import type { FastifyBaseLogger } from "fastify";
import { ServiceError } from "../errors.ts";
import type { Discovery } from "./discovery.ts";
import type { IssuerTable } from "./issuers.ts";
import { principalOf } from "./principal.ts";
import { checkPossession, type SigningRequest } from "./request.ts";
import { verifyToken } from "./token.ts";

/** How long a signer's certificate is valid. */
export const CERTIFICATE_LIFE_MS: number = 10 * 60 * 1000;

export interface AuthorityOptions {
  /** Issuing authority first, root last; all of it goes into every answer. */
  readonly chain: readonly Certificate[];
  /** How the issuing key signs. */
  readonly algorithm: Algorithm;
  readonly sign: (tbs: Uint8Array) => Promise<Uint8Array> | Uint8Array;
  readonly ct: CtClient;
  /**
   * The log that must have made the promise. Left out only where the log is part of this very process and its promise was
   * signed a moment ago by a key in this memory: checking it would prove nothing and cost as much as two certificates.
   */
  readonly ctLog?: { readonly logId: Uint8Array; readonly key: PublicKey } | undefined;
  readonly issuers: IssuerTable;
  readonly discovery: Discovery;
  readonly now: () => number;
  readonly random: (length: number) => Uint8Array;
  readonly log?: FastifyBaseLogger | undefined;
}

/** The authority. */
export interface AuthorityService {
  readonly chain: readonly Certificate[];
  readonly issuers: IssuerTable;
  /** The certificate for the token's owner and the request's key: DER, leaf first, root last. Throws ServiceError. */
  issue(token: string | undefined, request: SigningRequest): Promise<Uint8Array[]>;
}

/** An authority over a key, a CT log and a table of issuers. */
export function createAuthorityService(options: AuthorityOptions): AuthorityService {
  const [issuing] = options.chain;
  if (issuing === undefined) throw new TypeError("an authority needs a chain");
  const keyHash = issuerKeyHash(issuing);

  async function sign(unsigned: Unsigned): Promise<Uint8Array> {
    try {
      return unsigned.assemble(await options.sign(unsigned.toBeSigned));
    } catch (cause) {
      throw new ServiceError("CA_FAILED", undefined, { cause });
    }
  }

  async function log(precertificate: Uint8Array, unsigned: Unsigned): Promise<Sct> {
    try {
      const sct = await options.ct.addPreChain([precertificate, ...options.chain.map(({ der }) => der)]);
      if (options.ctLog !== undefined)
        checkSct({ sct, logged: { tbs: loggedTbs(unsigned.toBeSigned), issuerKeyHash: keyHash }, log: options.ctLog });
      return sct;
    } catch (cause) {
      throw new ServiceError("CT_FAILED", undefined, {
        detail:
          cause instanceof LacreError || cause instanceof ServiceError
            ? `${cause.code}: ${cause.message}`
            : "the CT log could not be asked",
        cause,
      });
    }
  }

  return {
    chain: options.chain,
    issuers: options.issuers,
    async issue(token, request) {
      if (token === undefined || token === "") throw new ServiceError("TOKEN_MISSING");
      const { claims, entry, issuer } = await verifyToken(token, options);
      const principal = principalOf(claims, entry, issuer);
      const publicKey = checkPossession(request, principal.challenge);
      const notBeforeMs = options.now();
      const fields = describe(() =>
        signerFields({
          serial: randomSerial(options.random),
          publicKey,
          notBeforeMs,
          notAfterMs: notBeforeMs + CERTIFICATE_LIFE_MS,
          issuer: issuing,
          san: principal.san,
          identityIssuer: principal.issuer,
          claims: principal.claims,
        }),
      );
      const unsigned = preparePrecertificate(fields, options.algorithm);
      const sct = await log(await sign(unsigned), unsigned);
      const certificate = await sign(prepareLoggedCertificate(fields, options.algorithm, [sct]));
      options.log?.info(
        { serial: toHex(fields.serial), issuer: principal.issuer, key: publicKey.type, loggedMs: sct.timestampMs },
        "issued",
      );
      return [certificate, ...options.chain.map(({ der }) => der)];
    },
  };
}

/** Fields that cannot be written are the token's fault (a name) or ours (an authority about to expire). */
function describe<T>(work: () => T): T {
  try {
    return work();
  } catch (cause) {
    if (cause instanceof LacreError && cause.code === "IDENTITY_INVALID")
      throw new ServiceError("TOKEN_CLAIMS", undefined, { detail: "the name cannot be certified", cause });
    if (cause instanceof LacreError) throw new ServiceError("CA_FAILED", undefined, { detail: cause.message, cause });
    throw cause;
  }
}
