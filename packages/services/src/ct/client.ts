// SPDX-License-Identifier: Apache-2.0
/** The CT log as its customer holds it, when both live in one process: the client's interface without the wire. */
import { toBase64 } from "@lacre/core/bytes";
import type { CtClient } from "@lacre/core/client";
import type { CtService } from "./service.ts";

/** A client of this service. It does all that a submission by HTTP does; only the exchange is missing. */
export function createDirectCtClient(service: CtService): CtClient {
  return { url: "direct:ct", addPreChain: (chain) => service.add({ chain: chain.map(toBase64) }, "precertificate") };
}
