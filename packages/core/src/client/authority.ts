// SPDX-License-Identifier: Apache-2.0
/**
 * Client of a certificate authority: Fulcio's `POST /api/v2/signingCert` (status 200 exactly).
 *
 * The identity token travels in the Authorization header alone. Of the two requests the API knows, the PKCS#10 form
 * carries its own proof of possession; the key form carries a signature over the challenge, the token's verified email
 * address or else its subject.
 */
import { toBase64, utf8 } from "../bytes/index.ts";
import { formatPem, JsonObject, parseJson, parsePem } from "../codec/index.ts";
import { LacreError } from "../errors.ts";
import { type ClientOptions, decodeAnswer, exchange } from "./request.ts";

/** A request for a certificate: a PKCS#10 request (DER), or a key with its proof of possession. */
export type CertificateRequest =
  | { readonly token: string; readonly csr: Uint8Array }
  | {
      readonly token: string;
      readonly spki: Uint8Array;
      readonly algorithm?: "ECDSA" | "ED25519" | "RSA_PSS";
      readonly proof: Uint8Array;
    };

export interface AuthorityClient {
  readonly url: string;
  /**
   * A certificate for the token's identity: the chain in DER, leaf first. The certificates are not verified here, nor is
   * it checked whose key they certify. Throws SERVICE_REFUSED, SERVICE_UNREACHABLE, SERVICE_ANSWER_INVALID.
   */
  signingCertificate(request: CertificateRequest): Promise<Uint8Array[]>;
}

const SERVICE = "the certificate authority";
const MAX_CERTIFICATES = 10;

/** A client of the authority at `options.url`. */
export function createAuthorityClient(options: ClientOptions): AuthorityClient {
  return {
    url: options.url,
    async signingCertificate(request) {
      const body =
        "csr" in request
          ? { certificateSigningRequest: toBase64(utf8(formatPem("CERTIFICATE REQUEST", request.csr))) }
          : {
              publicKeyRequest: {
                publicKey: { algorithm: request.algorithm ?? "ECDSA", content: formatPem("PUBLIC KEY", request.spki) },
                proofOfPossession: toBase64(request.proof),
              },
            };
      const answer = await exchange(options, {
        path: "api/v2/signingCert",
        method: "POST",
        headers: { "content-type": "application/json", accept: "application/json", authorization: `Bearer ${request.token}` },
        body: JSON.stringify(body),
        success: [200],
        service: SERVICE,
      });
      return decodeAnswer(SERVICE, () => decodeCertificates(answer));
    },
  };
}

function decodeCertificates(answer: Uint8Array): Uint8Array[] {
  const document = new JsonObject(parseJson(answer), "signingCert");
  const embedded = document.optionalObject("signedCertificateEmbeddedSct", "signed_certificate_embedded_sct");
  if (embedded === undefined) {
    throw new LacreError("BAD_JSON", "there is no certificate with an embedded SCT", {
      expected: "signedCertificateEmbeddedSct",
      found: document.keys().slice(0, 5).join(", "),
    });
  }
  const list = embedded.object("chain").array("certificates");
  if (list.length === 0 || list.length > MAX_CERTIFICATES) {
    throw new LacreError("BAD_JSON", "the chain has an unusable number of certificates", {
      expected: `1 to ${MAX_CERTIFICATES}`,
      found: `${list.length}`,
    });
  }
  return list.map((pem) => {
    if (typeof pem !== "string") throw new LacreError("BAD_JSON", "a certificate of the chain is not a string");
    return parsePem(pem, "CERTIFICATE");
  });
}
