// SPDX-License-Identifier: Apache-2.0
/**
 * What two bundle texts have to share to be the same bundle. Independent of the library's decoders: the platform's JSON
 * reader, the platform's base64, and a shallow reader of DER.
 *
 * A text may be accepted in place of a good one if it says the same in every part that is signed, hashed or decides, and
 * differs only by these rules:
 *
 *  1. Spelling of JSON: white space, order of members, escapes, a number as text or the reverse (same digits), protobuf's
 *     original (snake_case) names, `null` or nothing for an empty value. Never two readings: names twice are refused.
 *  2. Members that no version defines say nothing.
 *  3. Statements that help to find things and prove nothing may be missing: messageDigest, rootHash, keyid, hint. Stated
 *     differently, only hint or keyid are tolerated, because the caller's one key is what counts.
 *  4. The version's name: any whose demands the rest of the bundle meets.
 *  5. Evidence that is not needed may be missing: the proof beside a promise in version 0.1; promise or timestamps where
 *     enough remains. The verdict then tells less, never something else.
 *  6. An integrated time without a promise, and an outer index without one, are nobody's word and are not told.
 *  7. Signature lines of a checkpoint other than the log's own, and its own twice. The text above them is not free.
 *  8. Of a timestamp: what stands outside its signed parts (status text, embedded certificates).
 *  9. Certificates behind the leaf of versions 0.1 and 0.2 are help to find a path.
 * 10. Entries of logs that the trusted root does not know count for nothing.
 * 11. Of an ECDSA signature (r, s) by a log, (r, n − s) is one by the same key over the same octets. The signature over the
 *     artifact is not free: the log has recorded its octets.
 */
import { createHash } from "node:crypto";
import { twinSignature } from "./mutation.ts";

// oxlint-disable-next-line typescript/no-explicit-any -- bundles are taken apart by the names that the formats give
type Tree = any;

/** What a bundle says, part by part. */
export type Essence = ReadonlyMap<string, string>;

const camel = (name: string): string => name.replaceAll(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());

// Rule 1: one spelling for names, nothing for null.
function tidy(value: Tree): Tree {
  if (Array.isArray(value)) return value.map(tidy);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, inner]) => inner !== null)
      .map(([name, inner]) => [camel(name), tidy(inner)]),
  );
}

const octets = (value: Tree): Buffer => Buffer.from(typeof value === "string" ? value : "", "base64");
const hex = (value: Tree): string => octets(value).toString("hex");
const number = (value: Tree): string => (typeof value === "number" ? `${value}` : typeof value === "string" ? value : "0");

// Rule 11: of a signature and its twin the one that sorts first.
function eitherTwin(signature: Buffer): string {
  const twin = twinSignature(signature);
  const own = signature.toString("hex");
  return twin === undefined ? own : [own, twin.toString("hex")].toSorted()[0]!;
}

/** Parts of a bundle text, or undefined when it is none. `knownLogs`: hexadecimal ids in the trusted root. */
export function essenceOf(text: string | Uint8Array, knownLogs: ReadonlySet<string>): Essence | undefined {
  try {
    const json = typeof text === "string" ? text : new TextDecoder("utf-8", { fatal: true }).decode(text);
    return partsOf(tidy(JSON.parse(json)), knownLogs);
  } catch {
    return undefined;
  }
}

function partsOf(tree: Tree, knownLogs: ReadonlySet<string>): Essence {
  const parts = new Map<string, string>();
  const say = (name: string, value: string | undefined): void =>
    void (value === undefined || value === "" || parts.set(name, value));
  const { verificationMaterial: material, messageSignature: message, dsseEnvelope: envelope } = tree;
  if (message !== undefined) {
    say("content", `message ${hex(message.signature)}`);
    if (message.messageDigest !== undefined)
      say("stated digest", `${message.messageDigest.algorithm} ${hex(message.messageDigest.digest)}`);
  }
  if (envelope !== undefined) {
    say(message === undefined ? "content" : "second content", `envelope ${envelope.payloadType} ${hex(envelope.payload)}`);
    say("signatures", (envelope.signatures ?? []).map(({ sig }: Tree) => hex(sig)).join(" "));
  }
  const chain: Tree[] = [
    ...(material?.certificate === undefined ? [] : [material.certificate]),
    ...(material?.x509CertificateChain?.certificates ?? []),
  ];
  say("signer", chain.length > 0 ? hex(chain[0].rawBytes) : material?.publicKey === undefined ? "nobody" : "a key");
  for (const entry of material?.tlogEntries ?? []) sayEntry(say, entry, knownLogs);
  for (const { signedTimestamp } of material?.timestampVerificationData?.rfc3161Timestamps ?? []) {
    const signed = signedParts(octets(signedTimestamp));
    say(`timestamp ${digestOf(signed)}`, signed);
  }
  return parts;
}

function sayEntry(say: (name: string, value: string) => void, entry: Tree, knownLogs: ReadonlySet<string>): void {
  const log = hex(entry?.logId?.keyId);
  if (!knownLogs.has(log)) return;
  const body = hex(entry.canonicalizedBody);
  const name = `entry ${digestOf(body)}`;
  say(name, `${log} ${entry.kindVersion?.kind} ${entry.kindVersion?.version} ${body}`);
  const promise = octets(entry.inclusionPromise?.signedEntryTimestamp);
  if (promise.length > 0)
    say(`${name} promise`, `${eitherTwin(promise)} at ${number(entry.integratedTime)} as ${number(entry.logIndex)}`);
  const { inclusionProof: proof } = entry;
  const note = proof?.checkpoint?.envelope;
  if (typeof note !== "string" || note === "") return;
  // The text up to the blank line, octet for octet; below it the log's own line.
  const [text, lines] = [note.slice(0, note.lastIndexOf("\n\n") + 1), note.slice(note.lastIndexOf("\n\n") + 2)];
  const signed = lines
    .split("\n")
    .map((line) => line.split(" "))
    .filter(([, , blob]) => octets(blob).subarray(0, 4).toString("hex") === log.slice(0, 8))
    .map(([dash, signer, blob]) => `${dash} ${signer} ${eitherTwin(octets(blob).subarray(4))}`);
  const own = [...new Set(signed)];
  say(
    `${name} proof`,
    `${number(proof.logIndex)} of ${number(proof.treeSize)} ${(proof.hashes ?? []).map(hex).join(" ")} ${text} ${own.join("\n")}`,
  );
  say(`${name} stated root`, hex(proof.rootHash));
}

// Rule 8: TSTInfo, the signer's signed attributes, and the signature. TimeStampResp is (status, ContentInfo (type, [0]
// SignedData (version, digests, (type, [0] content), [0] certificates…, signers))). Read no deeper than that: what an
// embedded certificate looks like inside is of no interest.
function signedParts(response: Buffer): string {
  try {
    const [outer] = valuesIn(response);
    const [, token] = valuesIn(outer!.content);
    const [, wrapped] = valuesIn(token!.content);
    const [data] = valuesIn(wrapped!.content);
    const fields = valuesIn(data!.content);
    const [, content] = valuesIn(fields[2]!.content);
    const [info] = valuesIn(content!.content);
    const signer = valuesIn(valuesIn(fields.at(-1)!.content)[0]!.content);
    const attributes = signer.find(({ tag }) => tag === 0xa0)!;
    const signature = signer.findLast(({ tag }) => tag === 0x04)!;
    return [info!.content.toString("hex"), attributes.content.toString("hex"), eitherTwin(signature.content)].join(" ");
  } catch {
    return "no timestamp";
  }
}

interface Value {
  readonly tag: number;
  readonly content: Buffer;
}

// The DER values that stand side by side in these octets.
function valuesIn(bytes: Buffer): readonly Value[] {
  const values: Value[] = [];
  for (let at = 0; at < bytes.length;) {
    const tag = bytes[at]!;
    const first = bytes[at + 1]!;
    const digits = first < 0x80 ? 0 : first & 0x7f;
    const size = first < 0x80 ? first : bytes.readUIntBE(at + 2, digits);
    const from = at + 2 + digits;
    if (from + size > bytes.length) throw new RangeError("a value is longer than what holds it");
    values.push({ tag, content: bytes.subarray(from, from + size) });
    at = from + size;
  }
  return values;
}

function digestOf(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 16);
}

/**
 * Why an accepted text is not the good one by the rules above; undefined when it is. Whether what is missing was needed
 * (rule 5) is the verifier's own question: it tells less then, and the caller compares what it tells.
 */
export function difference(good: Essence, other: Essence | undefined): string | undefined {
  if (other === undefined) return "it is no bundle";
  for (const [name, value] of other) {
    const expected = good.get(name);
    if (expected === undefined) return `it has something more: ${name}`;
    if (expected !== value) return `${name} is another: ${value.slice(0, 200)} instead of ${expected.slice(0, 200)}`;
  }
  for (const name of ["content", "signatures", "signer"]) if (good.has(name) && !other.has(name)) return `${name} is missing`;
  const entries = (essence: Essence): number => [...essence.keys()].filter((name) => /^entry \w+$/.test(name)).length;
  if (entries(good) > 0 && entries(other) === 0) return "no log entry is left";
  return undefined;
}
