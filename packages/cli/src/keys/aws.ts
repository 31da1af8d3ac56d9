// SPDX-License-Identifier: Apache-2.0
/**
 * `awskms://[ENDPOINT]/KEY`: keys of AWS KMS, by way of its own client (the optional package `@aws-sdk/client-kms`), which
 * finds credentials, region and proxies as every AWS tool does.
 *
 * KEY is an identifier, an ARN, or `alias/NAME`. ENDPOINT is a host and port and is spoken to by https; without one the
 * client's own configuration holds (AWS_ENDPOINT_URL_KMS for a stand-in). Only digests are sent.
 */
import { type Algorithm, importPublicKey, type KeyType, type PublicKey } from "@lacre/core/crypto";
import { algorithmForNewKey } from "../algorithms.ts";
import type { Context } from "../context.ts";
import { CliError } from "../errors.ts";
import { plain } from "../terminal.ts";
import type { KeyProvider } from "./provider.ts";
import { chooseAlgorithm, createRemoteSigner } from "./signature.ts";

type Sdk = typeof import("@aws-sdk/client-kms");

interface Kms {
  readonly sdk: Sdk;
  readonly client: InstanceType<Sdk["KMSClient"]>;
  readonly keyId: string;
}

const ARN = /^arn:aws[a-z-]*:kms:([a-z0-9-]+):\d{12}:(?:key|alias)\/[A-Za-z0-9:/_-]+$/;
const KEY_ID = /^(?:mrk-[0-9a-f]{32}|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})$/i;
const ALIAS = /^alias\/[A-Za-z0-9:/_-]{1,250}$/;

async function openKms(reference: string): Promise<Kms> {
  const [, endpoint = "", keyId = ""] = /^awskms:\/\/([^/]*)\/(.+)$/.exec(reference) ?? [];
  const arn = ARN.exec(keyId);
  if (
    (arn === null && !KEY_ID.test(keyId) && !ALIAS.test(keyId)) ||
    (endpoint !== "" && !/^[A-Za-z0-9.-]+(?::\d{1,5})?$/.test(endpoint))
  ) {
    throw new CliError("USAGE", "a key of AWS KMS is awskms:///alias/NAME, awskms:///ARN or awskms:///ID", {
      hint: "Before the third slash may stand an endpoint, HOST or HOST:PORT.",
    });
  }
  let sdk: Sdk;
  try {
    sdk = await import("@aws-sdk/client-kms");
  } catch (cause) {
    throw new CliError("PACKAGE_MISSING", "keys of AWS KMS need the package @aws-sdk/client-kms", {
      hint: "npm install @aws-sdk/client-kms",
      cause,
    });
  }
  const client = new sdk.KMSClient({
    ...(endpoint === "" ? {} : { endpoint: `https://${endpoint}` }),
    ...(arn === null ? {} : { region: arn[1]! }),
    maxAttempts: 3,
  });
  return { sdk, client, keyId };
}

/** The service's error as ours: its name and its words, never what was sent. */
function refused(error: unknown, keyId: string): never {
  const { name, message } = error as Error;
  const isConfig = /credential|region/i.test(name) || /credential|region is missing/i.test(message);
  throw new CliError("KEY_UNREACHABLE", `AWS KMS does not serve ${keyId}: ${plain(name)}, ${plain(message).slice(0, 300)}`, {
    hint: isConfig
      ? "Set AWS_REGION and credentials, as for the aws command."
      : "Check the key's name, its policy and the region.",
    cause: error,
  });
}

async function fetchPublicKey({ sdk, client, keyId }: Kms): Promise<PublicKey> {
  const answer = await client
    .send(new sdk.GetPublicKeyCommand({ KeyId: keyId }))
    .catch((error: unknown) => refused(error, keyId));
  if (answer.KeyUsage !== "SIGN_VERIFY" || answer.PublicKey === undefined)
    throw new CliError("KEY_UNREACHABLE", `${keyId} is not a key for signing`, { hint: "Its KeyUsage must be SIGN_VERIFY." });
  return importPublicKey(Uint8Array.from(answer.PublicKey));
}

const ALGORITHMS: Readonly<Record<string, "ECDSA_SHA_256" | "ECDSA_SHA_384" | "ECDSA_SHA_512" | "RSASSA_PKCS1_V1_5_SHA_256">> = {
  PKIX_ECDSA_P256_SHA_256: "ECDSA_SHA_256",
  PKIX_ECDSA_P384_SHA_384: "ECDSA_SHA_384",
  PKIX_ECDSA_P521_SHA_512: "ECDSA_SHA_512",
  PKIX_RSA_PKCS1V15_2048_SHA256: "RSASSA_PKCS1_V1_5_SHA_256",
  PKIX_RSA_PKCS1V15_3072_SHA256: "RSASSA_PKCS1_V1_5_SHA_256",
  PKIX_RSA_PKCS1V15_4096_SHA256: "RSASSA_PKCS1_V1_5_SHA_256",
};

function canSign({ keyDetails }: Algorithm): boolean {
  return Object.hasOwn(ALGORITHMS, keyDetails);
}

const SPECS: Readonly<Partial<Record<KeyType, "ECC_NIST_P256" | "ECC_NIST_P384" | "ECC_NIST_P521">>> = {
  "P-256": "ECC_NIST_P256",
  "P-384": "ECC_NIST_P384",
  "P-521": "ECC_NIST_P521",
};

/** The key is in AWS KMS. */
export const awsKeys: KeyProvider = {
  async openSigner(_context: Context, reference, asked) {
    const kms = await openKms(reference);
    const { sdk, client, keyId } = kms;
    const publicKey = await fetchPublicKey(kms);
    const algorithm = chooseAlgorithm(publicKey, asked, canSign);
    return createRemoteSigner(publicKey, algorithm, async (input) => {
      if (!("digest" in input)) throw new TypeError("every algorithm here signs a digest");
      const answer = await client
        .send(
          new sdk.SignCommand({
            KeyId: keyId,
            Message: input.digest,
            MessageType: "DIGEST",
            SigningAlgorithm: ALGORITHMS[algorithm.keyDetails]!,
          }),
        )
        .catch((error: unknown) => refused(error, keyId));
      if (answer.Signature === undefined) throw new CliError("KEY_UNREACHABLE", "AWS KMS returned no signature");
      return Uint8Array.from(answer.Signature);
    });
  },

  async readPublicKey(_context, reference) {
    return fetchPublicKey(await openKms(reference));
  },

  async generate(_context, reference, asked) {
    const algorithm = asked ?? algorithmForNewKey(undefined);
    const spec = algorithm.keyType === "RSA" ? (`RSA_${algorithm.rsaBits}` as "RSA_3072" | "RSA_4096") : SPECS[algorithm.keyType];
    if (spec === undefined || !canSign(algorithm))
      throw new CliError("UNSUPPORTED_FLAG", `AWS KMS is not asked for ${algorithm.keyDetails} keys here`);
    const kms = await openKms(reference);
    const { sdk, client, keyId } = kms;
    if (!ALIAS.test(keyId))
      throw new CliError("USAGE", "AWS chooses the identifier of a new key: name an alias, awskms:///alias/NAME");
    const isTaken = await client.send(new sdk.DescribeKeyCommand({ KeyId: keyId })).then(
      () => true,
      (error: unknown) => ((error as Error).name === "NotFoundException" ? false : refused(error, keyId)),
    );
    if (isTaken) throw new CliError("FILE_EXISTS", `AWS KMS has a key ${keyId} already`, { hint: "Choose another alias." });
    const made = await client
      .send(new sdk.CreateKeyCommand({ KeySpec: spec, KeyUsage: "SIGN_VERIFY", Description: "Made by lacre" }))
      .catch((error: unknown) => refused(error, keyId));
    await client
      .send(new sdk.CreateAliasCommand({ AliasName: keyId, TargetKeyId: made.KeyMetadata?.KeyId }))
      .catch((error: unknown) => refused(error, keyId));
    return fetchPublicKey(kms);
  },
};
