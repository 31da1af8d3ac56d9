// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { importOnPage } from "../../../../test/page.ts";
import { fromHex } from "../bytes/index.ts";
import { LacreError } from "../errors.ts";
import * as node from "./index.ts";

const page = await importOnPage<typeof node>("crypto/index.ts");
const BINDINGS = { node, page };
const ROOT = new URL("../../../../", import.meta.url);

/** "valid", or the code of the refusal; anything else that is thrown fails the test. */
function verdict(binding: typeof node, keyDetails: string, spki: string, signed: node.Signed, signature: string): string {
  try {
    binding.checkSignature(binding.algorithmOf(keyDetails), binding.importPublicKey(fromHex(spki)), signed, fromHex(signature));
    return "valid";
  } catch (error) {
    if (error instanceof LacreError) return error.code;
    throw error;
  }
}

interface Vector {
  readonly name: string;
  readonly algorithm: string;
  readonly spki: string;
  readonly message?: string;
  readonly digest?: string;
  readonly signature: string;
  readonly expected: string;
}

const OWN = JSON.parse(readFileSync(new URL("vectors/crypto/signatures.json", ROOT), "utf8")) as { cases: Vector[] };

for (const [name, binding] of Object.entries(BINDINGS)) {
  test(`${name}: every signature of vectors/crypto gets its verdict`, () => {
    for (const vector of OWN.cases) {
      const signed = vector.message === undefined ? { digest: fromHex(vector.digest!) } : { message: fromHex(vector.message) };
      assert.equal(
        verdict(binding, vector.algorithm, vector.spki, signed, vector.signature),
        vector.expected,
        `${vector.algorithm}: ${vector.name}`,
      );
    }
  });
}

test("vectors/crypto has good and bad cases of every algorithm but ML-DSA and Ed25519ph", () => {
  for (const { keyDetails, family } of node.ALGORITHMS) {
    if (family === "ml-dsa" || family === "ed25519ph") continue;
    const outcomes = OWN.cases.filter((vector) => vector.algorithm === keyDetails).map((vector) => vector.expected);
    assert.ok(outcomes.includes("valid") && outcomes.includes(outcomes.find((code) => code !== "valid") ?? "none"), keyDetails);
  }
});

interface Wycheproof {
  readonly testGroups: readonly {
    readonly publicKeyDer: string;
    readonly tests: readonly {
      readonly tcId: number;
      readonly comment: string;
      readonly msg: string;
      readonly sig: string;
      readonly result: string;
      readonly flags: readonly string[];
    }[];
  }[];
}

// The published vectors beside the repository, where they are; vectors/crypto gates in any case.
const WYCHEPROOF: readonly (readonly [string, string])[] = [
  ["ecdsa_secp256r1_sha256", "PKIX_ECDSA_P256_SHA_256"],
  ["ecdsa_secp384r1_sha384", "PKIX_ECDSA_P384_SHA_384"],
  ["ecdsa_secp521r1_sha512", "PKIX_ECDSA_P521_SHA_512"],
  ["ed25519", "PKIX_ED25519"],
  ["rsa_signature_2048_sha256", "PKIX_RSA_PKCS1V15_2048_SHA256"],
  ["rsa_signature_3072_sha256", "PKIX_RSA_PKCS1V15_3072_SHA256"],
];

// What Wycheproof leaves open ("acceptable") is refused here: one DigestInfo, with NULL, is the signature's only form.
const ACCEPTABLE: ReadonlyMap<string, string> = new Map([["MissingNull", "SIGNATURE_INVALID"]]);

for (const [file, keyDetails] of WYCHEPROOF) {
  const source = new URL(`../shared/vectors/wycheproof/${file}_test.json`, ROOT);
  const skip = existsSync(source) ? false : "Wycheproof's vectors are not here";
  for (const [name, binding] of Object.entries(BINDINGS)) {
    test(`${name}: agrees with Wycheproof's ${file}`, { skip }, () => {
      const { testGroups } = JSON.parse(readFileSync(source, "utf8")) as Wycheproof;
      const algorithm = node.algorithmOf(keyDetails);
      let count = 0;
      for (const group of testGroups) {
        for (const vector of group.tests) {
          const expected = vector.result === "acceptable" ? ACCEPTABLE.get(vector.flags[0]!) : vector.result;
          const message = fromHex(vector.msg);
          const forms: node.Signed[] = [{ message }];
          // The page hashes a message and goes on as with a digest: once is enough for slow arithmetic.
          if (algorithm.prehashed && name === "node") forms.push({ digest: node.hash(algorithm.hash, message) });
          for (const signed of forms) {
            const found = verdict(binding, keyDetails, group.publicKeyDer, signed, vector.sig);
            const agrees = expected === "invalid" ? found === "SIGNATURE_INVALID" : found === expected;
            assert.ok(agrees, `${file} ${vector.tcId} (${vector.comment}): expected ${expected}, found ${found}`);
            count++;
          }
        }
      }
      assert.ok(count > 100);
    });
  }
}

test("a batch judges each claim on its own and keeps their order", () => {
  const claims: node.SignatureClaim[] = [];
  const expected: string[] = [];
  for (const vector of OWN.cases) {
    if (vector.digest === undefined) continue;
    try {
      const key = node.importPublicKey(fromHex(vector.spki));
      claims.push({
        algorithm: node.algorithmOf(vector.algorithm),
        key,
        signed: { digest: fromHex(vector.digest) },
        signature: fromHex(vector.signature),
      });
      expected.push(vector.expected);
    } catch {
      continue;
    }
  }
  assert.deepEqual(
    node.checkSignatures(claims).map((refusal) => refusal?.code ?? "valid"),
    expected,
  );
  assert.deepEqual(node.checkSignatures([]), []);
});

test("a digest of another length is refused, even where its number is the same", () => {
  const key = node.generateKey("P-256");
  const algorithm = node.algorithmOf("PKIX_ECDSA_P256_SHA_256");
  // A message whose digest starts with a zero octet: cut off, the rest is the same number.
  let message = node.random(8);
  while (node.sha256(message)[0] !== 0) message = node.random(8);
  const signature = node.signMessage(algorithm, key, message);
  const digest = node.sha256(message);
  for (const binding of Object.values(BINDINGS)) {
    const claim = { algorithm, key: binding.importPublicKey(key.publicKey.spki), signature };
    const verdicts = binding.checkSignatures([
      { ...claim, signed: { digest } },
      { ...claim, signed: { digest: digest.subarray(1) } },
    ]);
    assert.deepEqual(
      verdicts.map((refusal) => refusal?.code),
      [undefined, "SIGNATURE_INVALID"],
    );
    assert.match(verdicts[1]!.message, /length/);
  }
});

test("both bindings make signatures that the other verifies, in every form", () => {
  const message = node.random(1000);
  for (const algorithm of node.ALGORITHMS) {
    if (algorithm.rsaBits > 2048) continue;
    const outcomes: Record<string, string> = {};
    for (const [maker, making] of Object.entries(BINDINGS)) {
      let signatures: Uint8Array[];
      let spki: Uint8Array;
      try {
        const key = making.generateKey(algorithm.keyType, algorithm.rsaBits || undefined);
        assert.deepEqual(making.importPrivateKey(key.pkcs8).publicKey.spki, key.publicKey.spki);
        spki = key.publicKey.spki;
        signatures = [making.signMessage(algorithm, key, message)];
        if (algorithm.prehashed && algorithm.family !== "ed25519ph") {
          const stream = making.createStreamSigner(algorithm, key);
          stream.update(message.subarray(0, 400));
          stream.update(message.subarray(400));
          signatures.push(stream.finish());
        } else assert.throws(() => making.createStreamSigner(algorithm, key), code("ALGORITHM_UNKNOWN"));
      } catch (error) {
        outcomes[maker] = error instanceof LacreError ? error.code : String(error);
        continue;
      }
      for (const [judge, judging] of Object.entries(BINDINGS)) {
        const key = judging.importPublicKey(spki);
        const forms: node.Signed[] = [{ message }];
        if (algorithm.prehashed) forms.push({ digest: judging.hash(algorithm.hash, message) });
        for (const signature of signatures) {
          for (const signed of forms) {
            const [refusal] = judging.checkSignatures([{ algorithm, key, signed, signature }]);
            outcomes[`${maker} for ${judge}`] ??= refusal?.code ?? "valid";
            assert.equal(refusal?.code ?? "valid", outcomes[`${maker} for ${judge}`], algorithm.keyDetails);
            const spoiled = signature.slice();
            spoiled[spoiled.length - 1]! ^= 1;
            assert.notEqual(judging.checkSignatures([{ algorithm, key, signed, signature: spoiled }])[0], undefined);
          }
        }
      }
    }
    assert.deepEqual(outcomes, CAN[algorithm.family], algorithm.keyDetails);
  }
});

// What each binding can; "cannot" is always ALGORITHM_UNKNOWN, and never a wrong verdict.
const BOTH = { "node for node": "valid", "node for page": "valid", "page for node": "valid", "page for page": "valid" };
const HAS_ML_DSA = Number(process.versions.node.split(".")[0]) >= 24;
const NODE_ONLY = { "node for node": "valid", "node for page": "valid", page: "ALGORITHM_UNKNOWN" };
const CAN: Readonly<Record<node.SignatureFamily, Record<string, string>>> = {
  ecdsa: BOTH,
  "rsa-pkcs1": NODE_ONLY,
  "rsa-pss": NODE_ONLY,
  ed25519: BOTH,
  ed25519ph: { node: "ALGORITHM_UNKNOWN", "page for node": "valid", "page for page": "valid" },
  "ml-dsa": HAS_ML_DSA
    ? { "node for node": "valid", "node for page": "ALGORITHM_UNKNOWN", page: "ALGORITHM_UNKNOWN" }
    : { node: "ALGORITHM_UNKNOWN", page: "ALGORITHM_UNKNOWN" },
};

test("an algorithm that the platform lacks is unknown, not a bad key and not a pass", () => {
  const signed = { message: new Uint8Array(1) };
  for (const [name, binding] of Object.entries(BINDINGS)) {
    const key = binding.importPublicKey(node.encodeSpki("ML-DSA-44", new Uint8Array(1312)));
    const [refusal] = binding.checkSignatures([
      { algorithm: node.algorithmOf("ML_DSA_44"), key, signed, signature: new Uint8Array(2420) },
    ]);
    // Node 22 verifies ML-DSA when its OpenSSL does, but makes no keys.
    const allowed =
      name === "page" ? ["ALGORITHM_UNKNOWN"] : HAS_ML_DSA ? ["SIGNATURE_INVALID"] : ["SIGNATURE_INVALID", "ALGORITHM_UNKNOWN"];
    assert.ok(allowed.includes(refusal?.code ?? "valid"), refusal?.code);
  }
});

test("Ed25519ph as RFC 8032 section 7.3 has it; pure and prehashed do not pass for one another", () => {
  const spki = "302a300506032b6570032100ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf";
  const signature =
    "98a70222f0b8121aa9d30f813d683f809e462b469c7ff87639499bb94e6dae4131f85042463c2a355a2003d062adf5aaa10b8c61e636062aaad11c2a26083406";
  const message = fromHex("616263");
  const digest = node.hash("sha512", message);
  for (const binding of [node, page]) {
    assert.equal(verdict(binding, "PKIX_ED25519_PH", spki, { message }, signature), "valid");
    assert.equal(verdict(binding, "PKIX_ED25519_PH", spki, { digest }, signature), "valid");
    assert.equal(verdict(binding, "PKIX_ED25519_PH", spki, { message: digest }, signature), "SIGNATURE_INVALID");
    assert.equal(verdict(binding, "PKIX_ED25519", spki, { message }, signature), "SIGNATURE_INVALID");
    assert.equal(verdict(binding, "PKIX_ED25519", spki, { message: digest }, signature), "SIGNATURE_INVALID");
  }
});

test("a private key is refused in any other form, and its bytes are in no message", () => {
  for (const binding of Object.values(BINDINGS)) {
    const { pkcs8, publicKey } = binding.generateKey("P-256");
    const cut = pkcs8.subarray(0, pkcs8.length - 1);
    for (const bytes of [new Uint8Array(), publicKey.spki, cut])
      assert.throws(() => binding.importPrivateKey(bytes), code("KEY_INVALID"));
  }
});

test("a page refuses a private key whose public key is another's", () => {
  const bytes = fromHex(
    "3072020101300506032b657004220420d4ee72dbf913584ad5b6d8f1f769f8ad3afe7c28cbf1d4fbe097a88f44755842a01f301d060a2a864886f70d01090914310f0c0d437572646c6520436861697273812100" +
      "19bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1",
  );
  assert.equal(page.importPrivateKey(bytes).publicKey.raw.length, 32);
  bytes[bytes.length - 1]! ^= 1;
  assert.throws(() => page.importPrivateKey(bytes), code("KEY_INVALID"));
});

test("a key signs only with an algorithm of its type", () => {
  const key = node.generateKey("P-256");
  assert.throws(() => node.signMessage(node.algorithmOf("PKIX_ED25519"), key, new Uint8Array()), code("KEY_INVALID"));
  assert.throws(() => node.createStreamSigner(node.algorithmOf("PKIX_ECDSA_P384_SHA_384"), key), code("KEY_INVALID"));
  assert.equal(node.defaultAlgorithm(key.publicKey).keyDetails, "PKIX_ECDSA_P256_SHA_256");
});

test("hashes agree, whole and in chunks", () => {
  const data = node.random(200_000);
  for (const name of Object.keys(node.DIGEST_LENGTH) as node.HashName[]) {
    const whole = node.hash(name, data);
    assert.deepEqual(new Uint8Array(page.hash(name, data)), new Uint8Array(whole));
    assert.equal(whole.length, node.DIGEST_LENGTH[name]);
    for (const binding of Object.values(BINDINGS)) {
      const hasher = binding.createHasher(name);
      for (let at = 0; at < data.length; at += 70_001) hasher.update(data.subarray(at, at + 70_001));
      assert.deepEqual(new Uint8Array(hasher.digest()), new Uint8Array(whole));
    }
  }
  assert.equal(page.random(100_000).length, 100_000);
});

function code(expected: string): (error: unknown) => boolean {
  return (error) => error instanceof LacreError && error.code === expected;
}
