// SPDX-License-Identifier: Apache-2.0
/**
 * Who signed a TUF document: keys as the specification and its implementations write them, the canonical form that is
 * signed (OLPC canonical JSON), and the threshold.
 *
 *     ed25519   ed25519                             32 octets in hexadecimal, or PEM
 *     ecdsa     ecdsa-sha2-nistp256 | -nistp384     PEM, or the point in hexadecimal (the oldest Sigstore roots)
 *     rsa       rsassa-pss-sha256|384|512, rsa-pkcs1v15-sha256|384|512   PEM, 2048 bits and more
 *
 * A threshold counts keys, not key ids: one key that is listed under two ids signs once. A key of a kind that is not known
 * signs nothing.
 */
import { constants, createPublicKey, type KeyObject, verify } from "node:crypto";
import { DocumentError, isObject, ruleOf, type TufDocument } from "./documents.ts";

/** The octets that are signed: sorted members, no space, only `"` and `\\` escaped, whole numbers alone. Throws DocumentError. */
export function encodeCanonical(value: unknown): string {
  if (value === null || typeof value === "boolean") return String(value);
  if (typeof value === "string") return `"${value.replaceAll(/["\\]/g, "\\$&")}"`;
  if (typeof value === "number") {
    if (!Number.isSafeInteger(value)) throw new DocumentError("a number is not whole, or too large, and has no canonical form");
    return String(value);
  }
  if (Array.isArray(value)) return `[${value.map(encodeCanonical).join(",")}]`;
  const members = Object.entries(value as object).toSorted(([a], [b]) => compareCodePoints(a, b));
  return `{${members.map(([name, member]) => `${encodeCanonical(name)}:${encodeCanonical(member)}`).join(",")}}`;
}

/** By code points, as the other implementations sort; JavaScript's own order differs beyond U+FFFF. */
function compareCodePoints(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

interface Key {
  /** The same text for the same key, however it is written. */
  readonly material: string;
  readonly check: (message: Buffer, signature: Buffer) => boolean;
}

const CURVES: Readonly<Record<string, { readonly name: string; readonly hash: string; readonly spki: string }>> = {
  "ecdsa-sha2-nistp256": { name: "prime256v1", hash: "sha256", spki: "3059301306072a8648ce3d020106082a8648ce3d030107034200" },
  "ecdsa-sha2-nistp384": { name: "secp384r1", hash: "sha384", spki: "3076301006072a8648ce3d020106052b81040022036200" },
};
const ED25519_SPKI = "302a300506032b6570032100";

/** Reads a key; undefined for one that cannot be used. */
function readKey(given: unknown): Key | undefined {
  const { keytype: type, scheme, keyval } = isObject(given) ? given : {};
  const text = isObject(keyval) ? keyval["public"] : undefined;
  if (typeof type !== "string" || typeof scheme !== "string" || typeof text !== "string") return undefined;
  try {
    if (type === "ed25519" && scheme === "ed25519") {
      const key = importKey(text, ED25519_SPKI);
      return key.asymmetricKeyType === "ed25519"
        ? withKey(key, (message, signature) => verify(null, message, key, signature))
        : undefined;
    }
    const curve = type === "ecdsa" || type === scheme ? CURVES[scheme] : undefined;
    if (curve !== undefined) {
      const key = importKey(text, curve.spki);
      if (key.asymmetricKeyDetails?.namedCurve !== curve.name) return undefined;
      return withKey(key, (message, signature) => verify(curve.hash, message, key, signature));
    }
    const rsa = type === "rsa" ? /^(rsassa-pss|rsa-pkcs1v15)-(sha(?:256|384|512))$/.exec(scheme) : null;
    if (rsa === null) return undefined;
    const key = importKey(text);
    if (key.asymmetricKeyType !== "rsa" || (key.asymmetricKeyDetails?.modulusLength ?? 0) < 2048) return undefined;
    const padding = rsa[1] === "rsassa-pss" ? constants.RSA_PKCS1_PSS_PADDING : constants.RSA_PKCS1_PADDING;
    return withKey(key, (message, signature) => verify(rsa[2]!, message, { key, padding }, signature));
  } catch {
    return undefined;
  }
}

function importKey(text: string, prefix?: string): KeyObject {
  if (text.includes("-----BEGIN") || prefix === undefined) return createPublicKey(text);
  if (!/^([0-9a-f]{2})+$/i.test(text)) throw new DocumentError("a key is neither PEM nor hexadecimal");
  return createPublicKey({ key: Buffer.from(prefix + text, "hex"), format: "der", type: "spki" });
}

function withKey(key: KeyObject, check: Key["check"]): Key {
  return { material: key.export({ format: "der", type: "spki" }).toString("hex"), check };
}

/** Checks that as many keys as `delegator` asks for have signed `document` as `role`. Throws DocumentError. */
export function checkSigned(delegator: TufDocument, role: string, document: TufDocument): void {
  const found = ruleOf(delegator, role);
  if (found === undefined) throw new DocumentError(`nobody is named to sign ${JSON.stringify(role.slice(0, 60))}`);
  const message = Buffer.from(encodeCanonical(document.signed));
  const signers = new Set<string>();
  for (const id of found.rule.keyIds) {
    const signature = document.signatures.get(id);
    const key = signature === undefined || !Object.hasOwn(found.keys, id) ? undefined : readKey(found.keys[id]);
    if (key?.check(message, signature!) === true) signers.add(key.material);
  }
  if (signers.size < found.rule.threshold) {
    throw new DocumentError(
      `${JSON.stringify(role.slice(0, 60))} is signed by ${signers.size} of the ${found.rule.threshold} keys it needs`,
    );
  }
}
