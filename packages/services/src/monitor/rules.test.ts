// SPDX-License-Identifier: Apache-2.0
/** Rules against entries as logs hold them. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { toHex, utf8 } from "@lacre/core/bytes";
import { defaultAlgorithm, generateKey, sha256, signMessage } from "@lacre/core/crypto";
import { admitRequest } from "@lacre/core/entry";
import { hashedRekordRequest } from "@lacre/core/client";
import type { Json } from "@lacre/core/codec";
import { ServiceError } from "../errors.ts";
import { signerCertificate } from "./fixture.ts";
import { CERTIFICATE_ENTRIES, LEDGER_ENTRIES, parseRules, type EntryTraits } from "./index.ts";

const key = generateKey("P-256");
const algorithm = defaultAlgorithm(key.publicKey);
const content = utf8("artifact");
const certificate = signerCertificate(key, { oid: "1.2.3.4", critical: false, value: Uint8Array.of(1, 0xff) });
function entryOf(verifier: "certificate" | "publicKey"): EntryTraits {
  const request = hashedRekordRequest(sha256(content), signMessage(algorithm, key, content), {
    kind: verifier,
    der: verifier === "certificate" ? certificate : key.publicKey.spki,
    keyDetails: algorithm.keyDetails,
  });
  return LEDGER_ENTRIES.traits(admitRequest(request as Json).body)!;
}
const keyHash = `sha256:${toHex(sha256(key.publicKey.spki))}`;
const digest = `sha256:${toHex(sha256(content))}`;
const [signed, bare] = [entryOf("certificate"), entryOf("publicKey")];
const rule = (conditions: object) => parseRules(JSON.stringify({ rules: [{ name: "r", ...conditions }] }), "rules").rules[0]!;

test("each condition is held against what the entry says, as a whole text or a pattern", () => {
  for (const [conditions, expected] of [
    [{ identity: "you@example.com" }, [true, false]],
    [{ identity: "You@example.com" }, [false, false]],
    [{ identity: "example.com" }, [false, false]],
    [{ identity: { exact: "you@example.com" } }, [true, false]],
    [{ identity: { pattern: "@example\\.com$" } }, [true, false]],
    [{ identity: { pattern: "^@example" } }, [false, false]],
    [{ issuer: "https://issuer.example" }, [true, false]],
    [{ issuer: { pattern: "^http://" } }, [false, false]],
    [{ key: keyHash }, [true, true]],
    [{ key: keyHash.toUpperCase().replace("SHA256", "sha256") }, [true, true]],
    [{ key: `sha256:${"0".repeat(64)}` }, [false, false]],
    [{ digest }, [true, true]],
    [{ digest: `sha512:${"0".repeat(128)}` }, [false, false]],
    [{ extensions: { sourceRepositoryURI: { pattern: "/org/" } } }, [true, false]],
    [{ extensions: { "1.3.6.1.4.1.57264.1.12": "https://github.example/org/repo" } }, [true, false]],
    [{ extensions: { "1.2.3.4": "01ff" } }, [true, false]],
    [{ extensions: { "1.2.3.5": { pattern: "" } } }, [false, false]],
    [{ identity: "you@example.com", digest }, [true, false]],
    [{ identity: "you@example.com", issuer: "https://other.example" }, [false, false]],
  ] as const)
    assert.deepEqual([rule(conditions).test(signed), rule(conditions).test(bare)], expected, JSON.stringify(conditions));
});

test("entries of certificate logs have the same traits; what cannot be read has none", () => {
  const u24 = (bytes: Uint8Array): Uint8Array => Uint8Array.of(0, bytes.length >> 8, bytes.length & 255, ...bytes);
  const leaf = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 1, 0, 0, ...u24(certificate), 0, 0, 0, 0);
  const traits = CERTIFICATE_ENTRIES.traits(leaf)!;
  assert.deepEqual(
    [traits.kind, traits.identities, traits.issuers, traits.keys, traits.digests],
    ["certificate", ["you@example.com"], ["https://issuer.example"], [keyHash], [`sha256:${toHex(sha256(certificate))}`]],
  );
  assert.ok(rule({ extensions: { sourceRepositoryURI: { pattern: "repo$" } } }).test(traits));
  assert.equal(CERTIFICATE_ENTRIES.traits(leaf.subarray(0, -1)), undefined);
  assert.equal(LEDGER_ENTRIES.traits(utf8("{}")), undefined);
});

test("the example in the document is a file of rules, and names what there is", () => {
  const page = readFileSync(join(import.meta.dirname, "../../../../docs/monitoring.md"), "utf8");
  const { rules, sinks, heartbeat } = parseRules(/```json\n([\s\S]*?)```/.exec(page)![1]!, "example");
  const email = (more: object) =>
    parseRules(JSON.stringify({ sinks: { email: { host: "h", from: "a@b", to: ["c@d"], ...more } } }), "x").sinks.email!;
  assert.deepEqual([email({}).secure, email({ secure: true }).secure, email({}).port], [false, true, 25]);
  assert.deepEqual([rules.length, sinks.webhooks.length, sinks.email?.port, heartbeat], [5, 1, 587, "monitor/heartbeat.json"]);
});

test("a file that is not what it should be is refused with the place", () => {
  const one = { name: "r", digest };
  for (const [file, saying] of [
    ["", /JSON/],
    ["[]", /object/],
    [{ rule: [] }, /unknown member/],
    [{ rules: [{ name: "r" }] }, /no condition/],
    [{ rules: [{ digest }] }, /name is missing/],
    [{ rules: [one, one] }, /two rules/],
    [{ rules: [{ ...one, identiy: "x" }] }, /unknown member/],
    [{ rules: [{ ...one, identity: "" }] }, /empty/],
    [{ rules: [{ ...one, identity: {} }] }, /either/],
    [{ rules: [{ ...one, identity: { pattern: "(" } }] }, /RE2/],
    [{ rules: [{ ...one, identity: { pattern: "(a)\\1" } }] }, /RE2/],
    [{ rules: [{ ...one, identity: { exact: "a", pattern: "b" } }] }, /either/],
    [{ rules: [{ name: "r", digest: "abc" }] }, /sha256/],
    [{ rules: [{ name: "r", key: "sha1:00" }] }, /sha256/],
    [{ rules: [{ name: "r", extensions: { nonsense: "x" } }] }, /neither/],
    [{ rules: [{ name: "r", extensions: {} }] }, /no condition/],
    [{ sinks: { files: "x" } }, /unknown/],
    [{ sinks: { webhooks: [{ url: "file:///x" }] } }, /URL/],
    [{ sinks: { webhooks: [{ url: "nonsense" }] } }, /URL/],
    [{ sinks: { email: { host: "h", from: "a@b", to: [] } } }, /nobody/],
    [{ sinks: { email: { host: "h", from: "a@b\nBcc: c@d", to: ["e@f"] } } }, /address/],
    [{ sinks: { email: { host: "h", from: "nobody", to: ["e@f"] } } }, /address/],
  ] as const) {
    assert.throws(
      () => parseRules(typeof file === "string" ? file : JSON.stringify(file), "rules"),
      (error) => error instanceof ServiceError && error.code === "CONFIG_INVALID" && saying.test(error.message),
      JSON.stringify(file),
    );
  }
});
