// SPDX-License-Identifier: Apache-2.0
/**
 * The signing flow: sign, have it dated, log it, bind it all into a bundle, and verify the bundle as a stranger would.
 *
 * The order is that of cosign: the timestamp comes before the ledger entry, so that what cannot be dated is never logged.
 * A ledger of the v2 dialect records the digest that was signed: of the artifact, or of the envelope's pre-authentication
 * encoding. One of the v1 dialect gets envelopes whole, because its verifiers look for them so.
 * Artifacts are read once, as a stream; hash and signature are made on the way.
 */
import { type Bundle, decodeStatement, encodeBundle, STATEMENT_PAYLOAD_TYPE } from "../bundle/index.ts";
import { concat, utf8 } from "../bytes/index.ts";
import type { ClockClient, LedgerClient, LoggedSeal } from "../client/index.ts";
import { pae } from "../codec/index.ts";
import { createHasher, hash, type HashName } from "../crypto/index.ts";
import { LacreError } from "../errors.ts";
import type { TrustedRoot } from "../trust/index.ts";
import { createVerifier, decidingCheck, type Policy, type Verdict } from "../verify/index.ts";
import { type Identity, readIdentity } from "../x509/index.ts";
import type { Credential } from "./credential.ts";
import type { Signer } from "./signer.ts";

/** An artifact's octets, in order. */
export type Chunks = Iterable<Uint8Array> | AsyncIterable<Uint8Array>;

/** What a sealer needs: a key with a name, clocks, a ledger, and a trusted root to check its own work against. */
export interface SealerOptions {
  /** Called for every seal: `createCredentialSource` reuses a certificate within its life. */
  readonly credential: () => Promise<Credential>;
  /** Every one of them dates each signature. */
  readonly clocks: readonly ClockClient[];
  /** Every one of them logs each signature. None: the seal is not logged, and verifiers must be told so. */
  readonly ledgers: readonly LedgerClient[];
  /** Given: no seal is returned that this root does not verify. */
  readonly trustedRoot?: TrustedRoot | undefined;
  /** Check finished seals without asking for the certificate's promise of publication. */
  readonly ignoreSct?: boolean | undefined;
  /** Wall clock, milliseconds since 1970. */
  readonly now: () => number;
}

/** A finished seal. */
export interface Sealed {
  readonly bundle: Bundle;
  /** The bundle as it is stored. */
  readonly json: string;
  /** What was signed: the digest of the artifact or of the pre-authentication encoding. */
  readonly digest: { readonly algorithm: HashName; readonly value: Uint8Array };
  /** Who signed; undefined for a key of one's own. */
  readonly identity: Identity | undefined;
  /** Our own verification; undefined without a trusted root. */
  readonly verdict: Verdict | undefined;
}

/** Seals artifacts and statements with one credential source; holds no artifact in memory, unless its algorithm asks for it. */
export interface Sealer {
  /**
   * Seals an artifact. Throws what the signer and the services' clients throw, CREDENTIAL_INVALID, ALGORITHM_UNKNOWN for
   * algorithms that the ledgers cannot take, TOO_LARGE, SELF_CHECK_FAILED when the finished bundle does not verify.
   */
  sealArtifact(chunks: Chunks): Promise<Sealed>;
  /** Seals a payload in a DSSE envelope, its octets unchanged. Throws as `sealArtifact`, and for an in-toto payload as `decodeStatement`. */
  sealEnvelope(payload: Uint8Array, payloadType: string): Promise<Sealed>;
}

/** A sealer over these services. */
export function createSealer(options: SealerOptions): Sealer {
  return {
    async sealArtifact(chunks) {
      const credential = await obtain(options);
      const { algorithm, signer } = credential;
      const { digest, signature, message } = await (algorithm.prehashed ? signStream : signWhole)(signer, chunks);
      const signed = { algorithm: algorithm.hash, value: digest };
      return finish(options, credential, signed, signature, { kind: "message", digest: signed, signature }, message);
    },
    async sealEnvelope(payload, payloadType) {
      // A statement that verifiers cannot read must not reach the log.
      if (payloadType === STATEMENT_PAYLOAD_TYPE) decodeStatement(payload);
      const credential = await obtain(options);
      const encoded = pae(payloadType, payload);
      const digest = { algorithm: credential.algorithm.hash, value: hash(credential.algorithm.hash, encoded) };
      const signature = await credential.signer.sign({ message: encoded });
      // No key id: the bundle names the key, and cosign refuses an envelope that names one (it would call it otherwise).
      return finish(options, credential, digest, signature, { kind: "dsse", payload, payloadType, signature, keyid: "" });
    },
  };
}

interface Signature {
  readonly digest: Uint8Array;
  readonly signature: Uint8Array;
  /** Only where the scheme signs, and verifiers need, the message itself. */
  readonly message?: Uint8Array;
}

async function signStream(signer: Signer, chunks: Chunks): Promise<Signature> {
  const hasher = createHasher(signer.algorithm.hash);
  const stream = signer.stream?.();
  for await (const chunk of chunks) {
    hasher.update(chunk);
    stream?.update(chunk);
  }
  const digest = hasher.digest();
  return { digest, signature: stream === undefined ? await signer.sign({ digest }) : stream.finish() };
}

/** Pure schemes read the message twice: it is held, up to this. */
const MAX_MESSAGE_BYTES = 256 << 20;

async function signWhole(signer: Signer, chunks: Chunks): Promise<Signature> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of chunks) {
    length += chunk.length;
    if (length > MAX_MESSAGE_BYTES) {
      throw new LacreError(
        "TOO_LARGE",
        "an algorithm that signs the message itself holds it in memory, and this one is too large",
        {
          expected: `at most ${MAX_MESSAGE_BYTES} octets, or an algorithm that signs a digest, as ECDSA`,
          found: signer.algorithm.keyDetails,
        },
      );
    }
    // A stream may reuse its buffer.
    parts.push(Uint8Array.from(chunk));
  }
  const message = concat(...parts);
  return { digest: hash(signer.algorithm.hash, message), signature: await signer.sign({ message }), message };
}

async function obtain(options: SealerOptions): Promise<Credential> {
  const credential = await options.credential();
  if (options.ledgers.length > 0 && !credential.algorithm.prehashed) {
    throw new LacreError("ALGORITHM_UNKNOWN", "signatures of this algorithm cannot be logged: a ledger sees digests alone", {
      expected: "an algorithm that signs a digest, as ECDSA P-256",
      found: credential.algorithm.keyDetails,
    });
  }
  return credential;
}

async function finish(
  options: SealerOptions,
  credential: Credential,
  digest: Sealed["digest"],
  signature: Uint8Array,
  content: Bundle["content"],
  message?: Uint8Array,
): Promise<Sealed> {
  const timestamps: Uint8Array[] = [];
  for (const clock of options.clocks) timestamps.push(await clock.timestamp(signature));
  const seal: LoggedSeal = {
    digest,
    signature,
    verifier: credential.verifier,
    envelope: content.kind === "dsse" ? content : undefined,
  };
  const logEntries = [];
  for (const ledger of options.ledgers) logEntries.push(await ledger.addEntry(ledger.requestFor(seal)));
  const bundle: Bundle = {
    mediaType: "application/vnd.dev.sigstore.bundle.v0.3+json",
    version: "0.3",
    key:
      credential.certificate === undefined
        ? { kind: "publicKey", hint: credential.hint }
        : { kind: "certificate", chain: [credential.certificate.der] },
    logEntries,
    timestamps,
    content,
    unknownFields: [],
  };
  const json = encodeBundle(bundle);
  const identity = credential.certificate === undefined ? undefined : readIdentity(credential.certificate);
  const verdict =
    options.trustedRoot === undefined
      ? undefined
      : checkOwn(options, options.trustedRoot, credential, digest, json, content, identity, message);
  return { bundle, json, digest, identity, verdict };
}

/** Verifies the finished bundle from its stored form. Throws SELF_CHECK_FAILED. */
function checkOwn(
  options: SealerOptions,
  trustedRoot: TrustedRoot,
  credential: Credential,
  digest: Sealed["digest"],
  json: string,
  content: Bundle["content"],
  identity: Identity | undefined,
  message: Uint8Array | undefined,
): Verdict {
  const isKey = identity === undefined;
  const policy: Policy = {
    ...(isKey
      ? { allowCurrentTime: true }
      : { identities: [{ identity: { exact: identity.san.value }, issuer: { exact: identity.issuer ?? "" } }] }),
    ...(content.kind === "dsse" ? { checkClaims: false, payloadTypes: [content.payloadType] } : {}),
    ...(options.ledgers.length === 0 ? { ignoreTlog: true } : {}),
    ...(options.ignoreSct === true && !isKey ? { ignoreSct: true } : {}),
  };
  const verdict = createVerifier({ trustedRoot }).verify({
    bundle: utf8(json),
    artifact:
      content.kind === "dsse"
        ? undefined
        : { digests: new Map([[digest.algorithm, digest.value]]), ...(message === undefined ? {} : { message }) },
    policy,
    ...(isKey ? { key: credential.signer.publicKey } : {}),
    nowMs: options.now(),
  });
  if (verdict.outcome === "verified") return verdict;
  const check = decidingCheck(verdict);
  throw new LacreError(
    "SELF_CHECK_FAILED",
    `the finished seal does not verify: ${check === undefined ? "unknown reason" : `${check.id}, ${check.message ?? check.name}`}`,
    {
      ...(check?.expected === undefined ? {} : { expected: check.expected }),
      ...(check?.found === undefined ? {} : { found: check.found }),
    },
  );
}
