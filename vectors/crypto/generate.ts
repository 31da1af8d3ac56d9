// SPDX-License-Identifier: Apache-2.0
// Makes signatures.json with OpenSSL's command line:
//
//     node vectors/crypto/generate.ts
//
// The keys and the random numbers of the signatures are new in every run, so the file changes as a whole; what must not
// change is that every case keeps its expected outcome. `pkeyutl -sign` signs any digest, also one that no message has.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

interface Case {
  readonly name: string;
  readonly algorithm: string;
  readonly spki: string;
  readonly message?: string;
  readonly digest?: string;
  readonly signature: string;
  readonly expected: string;
}

const work = mkdtempSync(join(tmpdir(), "lacre-vectors-"));
const cases: Case[] = [];
const MESSAGE = Buffer.from("lacre\n");
const DER = ["-outform", "DER"];

function openssl(...args: string[]): Buffer {
  return execFileSync("openssl", args, { cwd: work, stdio: ["ignore", "pipe", "pipe"] });
}

function makeKey(...options: string[]): string {
  openssl("genpkey", ...options, "-out", "key.pem");
  return openssl("pkey", "-in", "key.pem", "-pubout", ...DER).toString("hex");
}

function signDigest(digest: Buffer, ...options: string[]): Buffer {
  writeFileSync(join(work, "digest"), digest);
  return openssl("pkeyutl", "-sign", "-inkey", "key.pem", "-in", "digest", ...options.flatMap((option) => ["-pkeyopt", option]));
}

function signRaw(message: Buffer): Buffer {
  writeFileSync(join(work, "message"), message);
  return openssl("pkeyutl", "-sign", "-rawin", "-inkey", "key.pem", "-in", "message");
}

function add(name: string, algorithm: string, spki: string, signed: { message: Buffer } | { digest: Buffer }, signature: Buffer, expected: string): void {
  const input = "message" in signed ? { message: signed.message.toString("hex") } : { digest: signed.digest.toString("hex") };
  cases.push({ name, algorithm, spki, ...input, signature: signature.toString("hex"), expected });
}

// The two numbers of an ECDSA signature, and a signature of two numbers: padded with a needless zero, or bare of a needed one.
function numbers(signature: Buffer): [bigint, bigint] {
  const start = signature[1]! < 0x80 ? 2 : 3;
  const length = signature[start + 1]!;
  const r = signature.subarray(start + 2, start + 2 + length);
  const s = signature.subarray(start + 4 + length);
  return [BigInt(`0x${r.toString("hex")}`), BigInt(`0x${s.toString("hex")}`)];
}

function integer(value: bigint, form: "minimal" | "padded" | "bare" = "minimal"): Buffer {
  const digits = value.toString(16);
  let octets = Buffer.from(digits.length % 2 ? `0${digits}` : digits, "hex");
  if (octets[0]! >= 0x80 && form !== "bare") octets = Buffer.concat([Buffer.of(0), octets]);
  if (form === "padded") octets = Buffer.concat([Buffer.of(0), octets]);
  return Buffer.concat([Buffer.of(2, octets.length), octets]);
}

function pair(r: Buffer, s: Buffer): Buffer {
  const content = Buffer.concat([r, s]);
  return Buffer.concat([content.length < 0x80 ? Buffer.of(0x30, content.length) : Buffer.of(0x30, 0x81, content.length), content]);
}

const CURVES = [
  ["P-256", "PKIX_ECDSA_P256_SHA_256", "sha256", 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n, 32],
  ["P-384", "PKIX_ECDSA_P384_SHA_384", "sha384", 0xffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973n, 48],
  ["P-521", "PKIX_ECDSA_P521_SHA_512", "sha512", 2n ** 521n - 0x5ae79787c40d069948033feb708f65a2fc44a36477663b851449048e16ec79bf7n, 66],
] as const;

for (const [curve, algorithm, hash, order, octets] of CURVES) {
  const spki = makeKey("-algorithm", "EC", "-pkeyopt", `ec_paramgen_curve:${curve}`);
  const digest = createHash(hash).update(MESSAGE).digest();
  const signature = signDigest(digest);
  const [r, s] = numbers(signature);
  const both = (name: string, value: Buffer, expected: string): void => {
    add(`${name}, message`, algorithm, spki, { message: MESSAGE }, value, expected);
    add(`${name}, digest`, algorithm, spki, { digest }, value, expected);
  };
  const raw = Buffer.from(r.toString(16).padStart(2 * octets, "0") + s.toString(16).padStart(2 * octets, "0"), "hex");
  both("good", signature, "valid");
  both("s and its complement are both good", pair(integer(r), integer(order - s)), "valid");
  both("r and s exchanged", pair(integer(s), integer(r)), "SIGNATURE_INVALID");
  both("r plus one", pair(integer(r + 1n), integer(s)), "SIGNATURE_INVALID");
  both("s plus one", pair(integer(r), integer(s + 1n)), "SIGNATURE_INVALID");
  both("r zero", pair(integer(0n), integer(s)), "SIGNATURE_INVALID");
  both("s zero", pair(integer(r), integer(0n)), "SIGNATURE_INVALID");
  both("r is the order", pair(integer(order), integer(s)), "SIGNATURE_INVALID");
  both("r above the order", pair(integer(r + order), integer(s)), "SIGNATURE_INVALID");
  both("s above the order", pair(integer(r), integer(s + order)), "SIGNATURE_INVALID");
  both("r padded", pair(integer(r, "padded"), integer(s)), "SIGNATURE_INVALID");
  // One of s and its complement has the high bit set, except on P-521, whose numbers start with seven zero bits.
  const tall = s > order / 2n ? s : order - s;
  if (octets < 66) both("s negative, for want of a zero", pair(integer(r), integer(tall, "bare")), "SIGNATURE_INVALID");
  both("an octet behind", Buffer.concat([signature, Buffer.of(0)]), "SIGNATURE_INVALID");
  both("long form of a short length", Buffer.concat([Buffer.of(0x30, 0x82, 0), signature.subarray(signature[1]! < 0x80 ? 1 : 2)]), "SIGNATURE_INVALID");
  both("raw numbers", raw, "SIGNATURE_INVALID");
  both("empty", Buffer.alloc(0), "SIGNATURE_INVALID");
  add("another message", algorithm, spki, { message: Buffer.from("Lacre\n") }, signature, "SIGNATURE_INVALID");
  add("another digest", algorithm, spki, { digest: createHash(hash).digest() }, signature, "SIGNATURE_INVALID");
  add("digest of the empty message", algorithm, spki, { digest: createHash("sha256").digest().subarray(0, digest.length) }, signature, "SIGNATURE_INVALID");
  const zero = Buffer.alloc(digest.length);
  const ones = Buffer.alloc(digest.length, 0xff);
  add("digest zero", algorithm, spki, { digest: zero }, signDigest(zero), "valid");
  add("digest zero, wrong", algorithm, spki, { digest: zero }, signature, "SIGNATURE_INVALID");
  add("digest all ones", algorithm, spki, { digest: ones }, signDigest(ones), "valid");
  add("digest all ones, wrong", algorithm, spki, { digest: ones }, signature, "SIGNATURE_INVALID");
  if (octets <= digest.length) {
    const exact = Buffer.from(order.toString(16).padStart(2 * octets, "0"), "hex");
    add("digest is the order", algorithm, spki, { digest: exact }, signDigest(exact), "valid");
    add("digest is the order, zero signed", algorithm, spki, { digest: exact }, signDigest(zero), "valid");
  }
  const short = createHash("sha256").digest();
  add("digest whose number our own message has", algorithm, spki, { digest: Buffer.concat([Buffer.alloc(digest.length - 32), short]) },
    signDigest(Buffer.concat([Buffer.alloc(digest.length - 32), short])), "valid");
  add("digest cut short", algorithm, spki, { digest: digest.subarray(1) }, signature, "SIGNATURE_INVALID");
  if (curve !== "P-256") {
    const sha256 = createHash("sha256").update(MESSAGE).digest();
    const row = curve === "P-384" ? "PKIX_ECDSA_P384_SHA_256" : "PKIX_ECDSA_P521_SHA_256";
    const small = signDigest(sha256);
    add("SHA-256 on a larger curve", row, spki, { digest: sha256 }, small, "valid");
    add("SHA-256 on a larger curve, message", row, spki, { message: MESSAGE }, small, "valid");
    add("SHA-256 on a larger curve, another digest", row, spki, { digest: createHash("sha256").digest() }, small, "SIGNATURE_INVALID");
    add("SHA-256 where the row says more", algorithm, spki, { message: MESSAGE }, small, "SIGNATURE_INVALID");
  }
  add("key of another type", curve === "P-256" ? "PKIX_ECDSA_P384_SHA_384" : "PKIX_ECDSA_P256_SHA_256", spki, { message: MESSAGE }, signature, "KEY_INVALID");
  const off = Buffer.from(spki, "hex");
  off[off.length - 1]! ^= 1;
  add("point off the curve", algorithm, off.toString("hex"), { digest }, signature, "KEY_INVALID");
  openssl("ec", "-in", "key.pem", "-pubout", ...DER, "-conv_form", "compressed", "-out", "compressed.der");
  add("compressed point", algorithm, readFileSync(join(work, "compressed.der")).toString("hex"), { digest }, signature, "KEY_INVALID");
}

for (const bits of [1024, 2048, 3072, 4096]) {
  const spki = makeKey("-algorithm", "RSA", "-pkeyopt", `rsa_keygen_bits:${bits}`);
  const digest = createHash("sha256").update(MESSAGE).digest();
  const pkcs1 = signDigest(digest, "digest:sha256", "rsa_padding_mode:pkcs1");
  const row = `PKIX_RSA_PKCS1V15_${bits === 1024 ? 2048 : bits}_SHA256`;
  const pssRow = row.replace("PKCS1V15", "PSS");
  if (bits === 1024) {
    add("RSA of 1024 bits", row, spki, { digest }, pkcs1, "KEY_INVALID");
    continue;
  }
  const both = (name: string, algorithm: string, value: Buffer, expected: string): void => {
    add(`${name}, message`, algorithm, spki, { message: MESSAGE }, value, expected);
    add(`${name}, digest`, algorithm, spki, { digest }, value, expected);
  };
  const flipped = Buffer.from(pkcs1);
  flipped[20]! ^= 4;
  both("PKCS#1", row, pkcs1, "valid");
  both("PKCS#1, a bit flipped", row, flipped, "SIGNATURE_INVALID");
  both("PKCS#1, an octet short", row, pkcs1.subarray(1), "SIGNATURE_INVALID");
  both("PKCS#1, a zero octet in front", row, Buffer.concat([Buffer.of(0), pkcs1]), "SIGNATURE_INVALID");
  both("PKCS#1, not below the modulus", row, Buffer.alloc(bits / 8, 0xff), "SIGNATURE_INVALID");
  both("PKCS#1, zero", row, Buffer.alloc(bits / 8), "SIGNATURE_INVALID");
  both("PKCS#1 without DigestInfo", row, signDigest(digest, "rsa_padding_mode:pkcs1"), "SIGNATURE_INVALID");
  both("PKCS#1 with the DigestInfo of SHA-512/256", row, signDigest(digest, "digest:sha512-256", "rsa_padding_mode:pkcs1"), "SIGNATURE_INVALID");
  const pss = (salt: string, mgf = "sha256"): Buffer =>
    signDigest(digest, "digest:sha256", "rsa_padding_mode:pss", `rsa_pss_saltlen:${salt}`, `rsa_mgf1_md:${mgf}`);
  both("PSS", pssRow, pss("32"), "valid");
  both("PSS, no salt", pssRow, pss("0"), "SIGNATURE_INVALID");
  both("PSS, salt of 20", pssRow, pss("20"), "SIGNATURE_INVALID");
  both("PSS, longest salt", pssRow, pss("max"), "SIGNATURE_INVALID");
  both("PSS, MGF1 with SHA-1", pssRow, pss("32", "sha1"), "SIGNATURE_INVALID");
  both("PSS where PKCS#1 is stated", row, pss("32"), "SIGNATURE_INVALID");
  both("PKCS#1 where PSS is stated", pssRow, pkcs1, "SIGNATURE_INVALID");
  add("another size than stated", bits === 2048 ? "PKIX_RSA_PKCS1V15_3072_SHA256" : "PKIX_RSA_PKCS1V15_2048_SHA256", spki, { digest }, pkcs1, "KEY_INVALID");
  add("PKCS#1, another digest", row, spki, { digest: createHash("sha256").digest() }, pkcs1, "SIGNATURE_INVALID");
  if (bits === 2048) {
    // The exponent is the last INTEGER, 02 03 01 00 01: the same key with e = 1 and with e = 65536.
    add("RSA with exponent 1", row, spki.replace(/0203010001$/, "0203000001"), { digest }, pkcs1, "BAD_DER");
    const one = Buffer.from(spki.replace(/0203010001$/, "020101"), "hex");
    for (const at of [2, 21, 26]) one.writeUInt16BE(one.readUInt16BE(at) - 2, at);
    add("RSA with exponent 1, minimal", row, one.toString("hex"), { digest }, pkcs1, "KEY_INVALID");
    add("RSA with an even exponent", row, spki.replace(/0203010001$/, "0203010000"), { digest }, pkcs1, "KEY_INVALID");
  }
}

{
  const spki = makeKey("-algorithm", "ED25519");
  const signature = signRaw(MESSAGE);
  const head = spki.slice(0, 24);
  const addEd = (name: string, value: Buffer, expected: string, key = spki, message = MESSAGE): void =>
    add(name, "PKIX_ED25519", key, { message }, value, expected);
  addEd("Ed25519", signature, "valid");
  addEd("Ed25519, another message", signature, "SIGNATURE_INVALID", spki, Buffer.from("Lacre\n"));
  addEd("Ed25519, an octet short", signature.subarray(1), "SIGNATURE_INVALID");
  addEd("Ed25519, an octet more", Buffer.concat([signature, Buffer.of(0)]), "SIGNATURE_INVALID");
  const order = 2n ** 252n + 27742317777372353535851937790883648493n;
  const s = BigInt(`0x${Buffer.from(signature.subarray(32).toReversed()).toString("hex")}`);
  const high = Buffer.from(Buffer.from((s + order).toString(16).padStart(64, "0"), "hex").toReversed());
  addEd("Ed25519, s not below the order", Buffer.concat([signature.subarray(0, 32), high]), "SIGNATURE_INVALID");
  add("Ed25519 over a digest alone", "PKIX_ED25519", spki, { digest: createHash("sha512").update(MESSAGE).digest() }, signature, "ALGORITHM_UNKNOWN");
  // The eight points of small order, and the other spellings of their y (RFC 8032 section 5.1.3 decodes y below p only).
  const small = {
    "order 1": "01".padEnd(64, "0"),
    "order 1, sign bit": `01${"0".repeat(60)}80`,
    "order 2": `ec${"f".repeat(60)}7f`,
    "order 2, sign bit": `ec${"f".repeat(60)}ff`,
    "order 4": "0".repeat(64),
    "order 4, sign bit": `${"0".repeat(62)}80`,
    "order 8": "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "order 8, sign bit": "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "order 8, other": "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "order 8, other, sign bit": "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    "order 4, not canonical": `ed${"f".repeat(60)}7f`,
    "order 1, not canonical": `ee${"f".repeat(60)}7f`,
  };
  // Under a key of order 1 this signature (R the neutral element, s zero) would verify every message.
  const forged = Buffer.from(`01${"0".repeat(126)}`, "hex");
  for (const [name, key] of Object.entries(small)) addEd(`Ed25519 key of ${name}`, forged, "KEY_INVALID", head + key);
  addEd("Ed25519 key that is no point", forged, "KEY_INVALID", `${head}02${"0".repeat(62)}`);
}

const version = openssl("version").toString().trim();
writeFileSync(
  join(import.meta.dirname, "signatures.json"),
  `${JSON.stringify({ origin: `vectors/crypto/generate.ts with ${version}`, encoding: "hexadecimal; spki, signature of ECDSA: DER", cases }, null, 1)}\n`,
);
rmSync(work, { recursive: true });
console.log(`${cases.length} cases`);
