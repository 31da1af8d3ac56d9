// SPDX-License-Identifier: Apache-2.0
/** Commits and a tag that gitsign made (vectors/gitsign), as they are and with one thing wrong. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { text, utf8 } from "@lacre/core/bytes";
import { decodeEntryMap } from "@lacre/core/client";
import { sha256 } from "@lacre/core/crypto";
import { LacreError } from "@lacre/core/errors";
import { decodeTrustedRoot } from "@lacre/core/trust";
import { createVerifier, type Policy, type Verdict } from "@lacre/core/verify";
import fc from "fast-check";
import { gitBundle, openGitSignature, parseSignedObject } from "./index.ts";

const vector = (name: string): Uint8Array =>
  new Uint8Array(readFileSync(new URL(`../../../../vectors/gitsign/${name}`, import.meta.url)));
const verifier = createVerifier({ trustedRoot: decodeTrustedRoot(vector("trusted_root.json")) });
const policy: Policy = {
  identities: [{ identity: { exact: "release@example.com" }, issuer: { exact: "http://localhost:41055/oidc" } }],
};

function judge(bytes: Uint8Array, rules: Policy = policy): Verdict {
  const signed = openGitSignature(parseSignedObject(bytes));
  const artifact = { message: signed.signedBytes, digests: new Map([["sha256" as const, sha256(signed.signedBytes)]]) };
  return verifier.verify({ bundle: gitBundle(signed), artifact, policy: rules, nowMs: Date.parse("2027-01-01") });
}

function refusal(act: () => unknown, code: string, message?: RegExp): void {
  assert.throws(act, (error) => {
    assert.ok(error instanceof LacreError, String(error));
    assert.equal(error.code, code, error.message);
    if (message !== undefined) assert.match(error.message, message);
    return true;
  });
}

const changed = (name: string, from: string | RegExp, to: string): Uint8Array => {
  const before = text(vector(name));
  const after = before.replace(from, to);
  assert.notEqual(after, before);
  return utf8(after);
};

test("a commit and a tag that carry their entry verify by themselves", () => {
  for (const name of ["offline.commit", "offline.tag"]) {
    const verdict = judge(vector(name));
    assert.equal(verdict.outcome, "verified", JSON.stringify(verdict.checks.filter(({ status }) => status === "fail")));
    assert.equal(verdict.identity?.value, "release@example.com");
    assert.equal(verdict.times?.length, 1);
  }
});

test("another identity is refused", () => {
  const other: Policy = {
    identities: [{ identity: { exact: "other@example.com" }, issuer: { exact: "http://localhost:41055/oidc" } }],
  };
  assert.equal(judge(vector("offline.commit"), other).outcome, "refused");
});

test("a commit without its entry is refused, and verifies with the log's entry of its name", () => {
  for (const name of ["online", "timestamp"]) {
    const bytes = vector(`${name}.commit`);
    assert.equal(judge(bytes).outcome, "refused");
    const { certificate, timestamps } = openGitSignature(parseSignedObject(bytes));
    assert.equal(timestamps.length, name === "timestamp" ? 1 : 0);
    const entry = decodeEntryMap(vector(`${name}.entry.json`));
    const { spec } = JSON.parse(text(entry.canonicalizedBody)) as { spec: { signature: { content: string } } };
    const signature = new Uint8Array(Buffer.from(spec.signature.content, "base64"));
    const verify = (said: string): string => {
      const artifact = { message: utf8(said), digests: new Map([["sha256" as const, sha256(utf8(said))]]) };
      return verifier.verify({ bundle: gitBundle({ certificate, signature, entry, timestamps: [] }), artifact, policy }).outcome;
    };
    const names: Record<string, string> = {
      online: "f4d8fa76c4e122d319ef833a4af0c2ec501da176",
      timestamp: "aa4aae3bc8566fb834e4690870adfcc8074e5086",
    };
    assert.equal(verify(names[name]!), "verified");
    assert.equal(verify("0".repeat(40)), "refused");
  }
});

test("the timestamp is over the commit's own signature", () => {
  const verdict = judge(vector("timestamp.commit"), { ...policy, ignoreTlog: true });
  assert.equal(verdict.outcome, "verified");
  assert.equal(verdict.times?.[0]?.kind, "timestamp");
});

test("what was changed after signing is another object", () => {
  refusal(() => judge(changed("offline.commit", "a change", "b change")), "GIT_SIGNATURE_MISMATCH");
  refusal(() => judge(changed("offline.commit", "author A", "author B")), "GIT_SIGNATURE_MISMATCH");
  refusal(() => judge(changed("offline.tag", "version two", "version three")), "GIT_SIGNATURE_MISMATCH");
});

test("every octet counts: more headers, trailing octets, line ends", () => {
  // CVE-2026-44309: a reader that writes the commit anew would not see these.
  refusal(() => judge(changed("offline.commit", "gpgsig ", "x-more yes\ngpgsig ")), "GIT_SIGNATURE_MISMATCH");
  refusal(() => judge(changed("offline.commit", "\n\na change", "\nencoding x\n\na change")), "GIT_SIGNATURE_MISMATCH");
  refusal(() => judge(changed("offline.commit", /$/, "\n")), "GIT_SIGNATURE_MISMATCH");
  refusal(() => judge(changed("offline.commit", "\n\na change", "\n\na change\0")), "GIT_SIGNATURE_MISMATCH");
  refusal(() => judge(changed("offline.tag", "version two\n", "version two\r\n")), "GIT_SIGNATURE_MISMATCH");
});

test("an object with a second signature is refused", () => {
  refusal(
    () => parseSignedObject(changed("offline.commit", "gpgsig ", "gpgsig -----BEGIN SIGNED MESSAGE-----\n x\ngpgsig ")),
    "GIT_OBJECT_INVALID",
  );
  refusal(() => parseSignedObject(changed("offline.commit", "gpgsig ", "gpgsig-sha256 x\ngpgsig ")), "GIT_OBJECT_INVALID");
  const tag = text(vector("offline.tag"));
  refusal(() => parseSignedObject(utf8(tag + tag.slice(tag.indexOf("-----BEGIN")))), "GIT_OBJECT_INVALID");
});

test("an object without a signature, with one of another kind, and what is no object", () => {
  refusal(() => parseSignedObject(utf8("tree 1\nauthor A\n\nwords\n")), "GIT_UNSIGNED");
  refusal(() => parseSignedObject(utf8("tree 1\ngpgsig -----BEGIN PGP SIGNATURE-----\n x\n\nwords\n")), "GIT_UNSIGNED");
  refusal(() => parseSignedObject(utf8("object 1\ntype commit\n\nwords\n")), "GIT_UNSIGNED");
  refusal(() => parseSignedObject(utf8("blob")), "GIT_OBJECT_INVALID");
  refusal(() => parseSignedObject(utf8("tree 1\nauthor A")), "GIT_OBJECT_INVALID");
  refusal(() => parseSignedObject(new Uint8Array((16 << 20) + 1)), "TOO_LARGE");
});

test("a signature line within the message is words", () => {
  const commit = text(vector("offline.commit"));
  const object = parseSignedObject(utf8(`${commit}gpgsig not a header\n`));
  assert.ok(text(object.payload).endsWith("gpgsig not a header\n"));
});

test("an empty set of certificates is refused", () => {
  // CVE-2026-44310: a panic there, with status 0.
  const object = parseSignedObject(vector("offline.commit"));
  const cms = Buffer.from(object.signature.replaceAll(/-----.*-----|\n/g, ""), "base64");
  // The certificates' tag becomes one that nobody reads as certificates.
  const at = cms.indexOf(Buffer.from([0xa0, 0x82]), 30);
  assert.ok(at > 0);
  const without = Buffer.from(cms);
  without[at] = 0xa1;
  const armour = `-----BEGIN SIGNED MESSAGE-----\n${without.toString("base64")}\n-----END SIGNED MESSAGE-----\n`;
  refusal(() => openGitSignature({ ...object, signature: armour }), "GIT_SIGNATURE_INVALID");
});

test("no change of one octet verifies", () => {
  const good = vector("offline.commit");
  fc.assert(
    fc.property(fc.nat(good.length - 1), fc.integer({ min: 1, max: 255 }), (at, mask) => {
      const bytes = good.slice();
      bytes[at]! ^= mask;
      let outcome: string;
      try {
        outcome = judge(bytes).outcome;
      } catch (error) {
        assert.ok(error instanceof LacreError, String(error));
        return;
      }
      // The armour has white space that says nothing; what was signed is the same octets then.
      if (outcome === "verified") {
        const [before, after] = [good, bytes].map((one) => openGitSignature(parseSignedObject(one)));
        assert.deepEqual(after!.signature, before!.signature);
        assert.deepEqual(parseSignedObject(bytes).payload, parseSignedObject(good).payload);
      }
    }),
    { numRuns: 400 },
  );
});
