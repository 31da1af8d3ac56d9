// SPDX-License-Identifier: Apache-2.0
/**
 * Client of a ledger in the v1 dialect: Rekor's `POST /api/v1/log/entries`.
 *
 * An entry that is already logged is refused with 409 in this dialect; it is then asked for, so that a retry after a lost
 * answer, and a key that signs the same twice, both end with an entry. What comes back is an object of one member, named
 * by the entry's UUID; it is turned into the entry that bundles hold (hexadecimal becomes octets, the kind comes from the
 * body). Nothing of it is believed here.
 */
import { type InclusionProof, type LogEntry } from "../bundle/index.ts";
import { fromHex, toBase64, toHex, utf8 } from "../bytes/index.ts";
import { formatPem, JsonObject, parseJson } from "../codec/index.ts";
import { LacreError } from "../errors.ts";
import type { EntryVerifier, LedgerClient, LoggedSeal } from "./ledger.ts";
import { ask, type ClientOptions, decodeAnswer, exchange } from "./request.ts";

const SERVICE = "the ledger";
const HEADERS = { "content-type": "application/json", accept: "application/json" };
const PATH = "api/v1/log/entries";

/** A client of the ledger at `options.url`. */
export function createLedgerV1Client(options: ClientOptions): LedgerClient {
  const post = { method: "POST", headers: HEADERS, service: SERVICE } as const;
  return {
    url: options.url,
    requestFor: (seal) => (seal.envelope === undefined ? hashedRekordProposal(seal) : dsseProposal(seal, seal.envelope)),
    async addEntry(request) {
      const { status, body } = await ask(options, { ...post, path: PATH, body: JSON.stringify(request), success: [201, 409] });
      if (status === 201) return decodeAnswer(SERVICE, () => decodeEntryMap(body));
      const found = await exchange(options, {
        ...post,
        path: `${PATH}/retrieve`,
        body: JSON.stringify({ entries: [request] }),
        success: [200],
      });
      return decodeAnswer(SERVICE, () => decodeFound(found));
    },
  };
}

/** Entries looked up for one digest. */
const MAX_FOUND = 32;
const UUID = /^[0-9a-f]{64}(?:[0-9a-f]{16})?$/;

/**
 * The entries that a ledger in the v1 dialect says it has of a digest, in its order, at most 32 of them. What it leaves out
 * nobody can tell, and what it gives is a claim: it goes through the verifier. Throws as the other questions do.
 */
export async function findEntriesV1(
  options: ClientOptions,
  digest: { readonly algorithm: string; readonly value: Uint8Array },
): Promise<readonly LogEntry[]> {
  const found = await exchange(options, {
    method: "POST",
    headers: HEADERS,
    service: SERVICE,
    path: "api/v1/index/retrieve",
    body: JSON.stringify({ hash: `${digest.algorithm}:${toHex(digest.value)}` }),
    success: [200],
  });
  const uuids = decodeAnswer(SERVICE, () => {
    const list = parseJson(found);
    if (!Array.isArray(list) || !list.every((uuid): uuid is string => typeof uuid === "string" && UUID.test(uuid)))
      throw new LacreError("BAD_JSON", "the answer is not a list of UUIDs");
    return list;
  });
  const entries: LogEntry[] = [];
  for (const uuid of uuids.slice(0, MAX_FOUND)) {
    const question = { method: "GET", headers: { accept: "application/json" }, service: SERVICE } as const;
    const body = await exchange(options, { ...question, path: `${PATH}/${uuid}`, success: [200] });
    entries.push(decodeAnswer(SERVICE, () => decodeEntryMap(body)));
  }
  return entries;
}

/** The proposal of a signature over a digest (kind hashedrekord 0.0.1). */
export function hashedRekordProposal({
  digest,
  signature,
  verifier,
}: Pick<LoggedSeal, "digest" | "signature" | "verifier">): object {
  return {
    apiVersion: "0.0.1",
    kind: "hashedrekord",
    spec: {
      data: { hash: { algorithm: digest.algorithm, value: toHex(digest.value) } },
      signature: { content: toBase64(signature), publicKey: { content: pemOf(verifier) } },
    },
  };
}

/**
 * An envelope with one signature as text, members in the order in which cosign writes them. The entry holds the hash of
 * this very text: whoever stores the envelope beside the entry (cosign before 3) stores it so.
 */
export function formatLoggedEnvelope(envelope: {
  readonly payload: Uint8Array;
  readonly payloadType: string;
  readonly signature: Uint8Array;
  readonly keyid: string;
}): string {
  const { payload, payloadType, signature, keyid } = envelope;
  return JSON.stringify({ payloadType, payload: toBase64(payload), signatures: [{ keyid, sig: toBase64(signature) }] });
}

/** The proposal of an envelope with one signature (kind dsse 0.0.1). */
export function dsseProposal(
  { signature, verifier }: Pick<LoggedSeal, "signature" | "verifier">,
  { payload, payloadType, keyid }: NonNullable<LoggedSeal["envelope"]>,
): object {
  const envelope = formatLoggedEnvelope({ signature, payload, payloadType, keyid });
  return { apiVersion: "0.0.1", kind: "dsse", spec: { proposedContent: { envelope, verifiers: [pemOf(verifier)] } } };
}

function pemOf({ kind, der }: EntryVerifier): string {
  return toBase64(utf8(formatPem(kind === "certificate" ? "CERTIFICATE" : "PUBLIC KEY", der)));
}

function decodeFound(answer: Uint8Array): LogEntry {
  const list = parseJson(answer);
  if (!Array.isArray(list) || list.length !== 1)
    throw new LacreError("BAD_JSON", "the ledger says that it has the entry, and does not give it out");
  return decodeMember(new JsonObject(list[0], "entry"));
}

/** Reads an entry as the v1 dialect gives it out: an object of one member. Throws the codec's errors. */
export function decodeEntryMap(answer: Uint8Array): LogEntry {
  return decodeMember(new JsonObject(parseJson(answer), "entry"));
}

const MAX_HASHES = 64;

function decodeMember(map: JsonObject): LogEntry {
  const [uuid, ...more] = map.keys();
  if (uuid === undefined || more.length > 0)
    throw new LacreError("BAD_JSON", "the answer is not one entry", { expected: "1", found: `${map.keys().length}` });
  const entry = map.object(uuid);
  const canonicalizedBody = entry.bytes("body");
  const body = new JsonObject(parseJson(canonicalizedBody), "body");
  const verification = entry.object("verification");
  return {
    logIndex: entry.int64("logIndex"),
    logId: fromHex(entry.string("logID")),
    kind: body.string("kind"),
    version: body.string("apiVersion"),
    integratedTime: entry.int64("integratedTime"),
    signedEntryTimestamp: verification.optionalBytes("signedEntryTimestamp"),
    inclusionProof: decodeProof(verification.optionalObject("inclusionProof")),
    canonicalizedBody,
  };
}

function decodeProof(proof: JsonObject | undefined): InclusionProof | undefined {
  return (
    proof && {
      logIndex: proof.int64("logIndex"),
      rootHash: fromHex(proof.string("rootHash")),
      treeSize: proof.int64("treeSize"),
      hashes: proof.strings(MAX_HASHES, "hashes").map(fromHex),
      checkpoint: proof.string("checkpoint"),
    }
  );
}
