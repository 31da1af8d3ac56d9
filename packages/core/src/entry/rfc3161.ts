// SPDX-License-Identifier: Apache-2.0
/**
 * rfc3161 0.0.1 (Rekor v1): a timestamp, as its authority gave it out. Taken in, not read: no bundle is verified with it.
 *
 * The response must be granted and whole, its attributes must bind what it states, and where it carries its signer's
 * certificate it must be signed by it. Whom to trust with the time is the reader's question.
 */
import { toBase64 } from "../bytes/index.ts";
import { LacreError } from "../errors.ts";
import { checkEmbeddedSigner, decodeTimestampResponse } from "../x509/index.ts";
import { requiredBytes } from "./admit.ts";
import type { ProposedForm } from "./proposed.ts";

/** As upstream: no honest timestamp is longer. */
const MAX_RESPONSE = 10 << 10;

export const rfc3161Request: ProposedForm = {
  kind: "rfc3161",
  version: "0.0.1",
  admit(spec) {
    const response = requiredBytes(spec.object("tsr"), "content");
    if (response.length > MAX_RESPONSE)
      throw new LacreError("TOO_LARGE", "timestamp is too large", {
        expected: `at most ${MAX_RESPONSE} octets`,
        found: `${response.length}`,
      });
    checkEmbeddedSigner(decodeTimestampResponse(response));
    return { spec: { tsr: { content: toBase64(response) } }, checks: [] };
  },
};
