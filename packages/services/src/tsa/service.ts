// SPDX-License-Identifier: Apache-2.0
/** The clock's rules: which policy, which serial, what time. No HTTP. */
import { formatPem } from "@lacre/core/codec";
import { ServiceError } from "../errors.ts";
import type { TsaConfig } from "./config.ts";
import type { TimestampRequest } from "./request.ts";
import { encodeTimestampReply, type TokenSigner } from "./token.ts";

export interface ClockService {
  /** The DER TimeStampResp for a request. Throws ServiceError BAD_REQUEST for a policy that is not this clock's. */
  grant(request: TimestampRequest): Uint8Array;
  /** PEM of the clock's certificate, its issuers and the root, in this order. */
  readonly certificateChain: string;
}

export interface ClockServiceOptions {
  readonly signer: TokenSigner;
  /** The trust anchor, DER. */
  readonly root: Uint8Array;
  readonly config: TsaConfig;
  readonly now: () => number;
  readonly random: (length: number) => Uint8Array;
}

export function createClockService(o: ClockServiceOptions): ClockService {
  const chain = [o.signer.certificate.der, ...o.signer.intermediates, o.root];
  return {
    grant(request) {
      if (request.policy !== undefined && request.policy !== o.config.policy) {
        throw new ServiceError("BAD_REQUEST", "unaccepted policy: requested TSA policy is not supported by the TSA");
      }
      const serial = o.random(20);
      // Positive and of full length: 159 random bits, the second highest set.
      serial[0] = (serial[0]! & 0x7f) | 0x40;
      const timeMs = Math.floor(o.now() / 1000) * 1000;
      const { policy, accuracySeconds } = o.config;
      return encodeTimestampReply(request, { policy, serial, timeMs, accuracySeconds }, o.signer);
    },
    certificateChain: chain.map((certificate) => formatPem("CERTIFICATE", certificate)).join(""),
  };
}
