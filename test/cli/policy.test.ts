// SPDX-License-Identifier: Apache-2.0
// Artifacts judged by policy files, on bundles that a workshop seals: files, keys, statements, images; what is learned, tried
// and explained; conditions, and policies in Rego and CUE through programs that stand in for theirs.
import assert from "node:assert/strict";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { decodeBundle, encodeLegacyPromise } from "@lacre/core/bundle";
import { toBase64, toHex, utf8 } from "@lacre/core/bytes";
import { formatPem, type Json } from "@lacre/core/codec";
import { generateKey, sha256 } from "@lacre/core/crypto";
import type { Decision } from "@lacre/services/gate";
import { runLine } from "../../packages/cli/src/run.ts";
import {
  ARTIFACT,
  bytesOf,
  createWorkshop,
  IDENTITY,
  ISSUER,
  NOW_MS,
  PREDICATE_TYPE,
  seal,
  type Recipe,
} from "../workshop/workshop.ts";
import type { TestRegistry } from "../registry.ts";
import { createRegistry, HOST, putBlob, putImage, putManifest } from "./registry.ts";
import { createWorld } from "./world.ts";

const workshop = createWorkshop();
const folder = mkdtempSync(join(tmpdir(), "lacre-gate-"));
after(() => rmSync(folder, { recursive: true, force: true }));
const write = (name: string, content: string | Uint8Array): string => {
  writeFileSync(join(folder, name), content);
  return name;
};
write("root.json", JSON.stringify(seal(workshop).root));
write("app", ARTIFACT);
write("evil", "something else\n");

interface Said {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function lacre(
  args: readonly string[],
  more: { readonly env?: Readonly<Record<string, string>>; readonly registry?: TestRegistry } = {},
): Promise<Said> {
  const fetch = more.registry === undefined ? {} : { fetch: more.registry.fetch };
  const { context, stdout, stderr } = createWorld({ cwd: folder, now: () => NOW_MS, env: more.env ?? {}, ...fetch });
  const status = await runLine(args, context);
  const said = { status, stdout: stdout(), stderr: stderr() };
  assert.doesNotMatch(said.stdout + said.stderr, /^\s+at .*:\d+:\d+\)?$/m, "a stack trace is shown");
  return said;
}

async function expect(
  status: number,
  args: readonly string[],
  words: RegExp,
  more: Parameters<typeof lacre>[1] = {},
): Promise<Said> {
  const said = await lacre(args, more);
  assert.equal(said.status, status, `${args.join(" ")}\n${said.stdout}${said.stderr}`);
  assert.match(said.stdout + said.stderr, words, args.join(" "));
  return said;
}

const bundle = (name: string, recipe: Recipe = {}): string => write(name, bytesOf(seal(workshop, recipe).bundle));
const person = (value: string): Recipe => ({ san: { kind: "email", value } });
const provenance = (predicate: Json, recipe: Recipe = {}): Recipe => ({
  content: "dsse",
  ...recipe,
  statement: (statement) => ({ ...statement, predicateType: PREDICATE_TYPE, predicate }),
});

const SIGNERS = `  ci: {identity: "${IDENTITY}", issuer: ${ISSUER}}
  alice: {identity: alice@example.com, issuer: ${ISSUER}}
  bob: {identity: bob@example.com, issuer: ${ISSUER}}
`;
function policy(name: string, rules: string, more = ""): string {
  const used = SIGNERS.split("\n").filter((line) => line !== "" && new RegExp(`\\b${line.trim().split(":")[0]!}\\b`).test(rules));
  return write(
    name,
    `schema: urn:lacre:policy:1\ntrust: {workshop: {root: root.json}}\nsigners:\n${used.join("\n")}\n${more}rules:\n${rules}`,
  );
}
const rule = (wants: string, glob = "**", kind = "file"): string =>
  `  - {name: r, trust: workshop, artifacts: [{kind: ${kind}, name: '${glob}'}], ${wants}}\n`;
const judge = (file: string, ...args: readonly string[]): readonly string[] => [
  "verify",
  "./app",
  "--policy-file",
  file,
  ...args,
];

bundle("app.sigstore.json");
const plain = policy("plain.yaml", rule("signatures: {from: [ci]}"));

test("verify --policy-file: verified, refused, and could not look are three statuses", async () => {
  await expect(0, judge(plain), /Verified OK  app[^]*rule        r: holds/);
  await expect(1, ["verify", "./evil", "--policy-file", plain], /SIGNATURE_MISSING/);
  await expect(
    1,
    ["verify", "./evil", "--policy-file", plain, "--bundle", "app.sigstore.json"],
    /REFUSED  evil[^]*refused[^]*not the one that was signed|about other/,
  );
  await expect(3, judge(plain, "--bundle", "nowhere.json"), /FILE_UNREADABLE/);
  await expect(
    3,
    judge(
      write(
        "lost.yaml",
        `schema: urn:lacre:policy:1\nsigners: {a: {key: lost.pub}}\nrules:\n${rule("signatures: {from: [a]}").replace("trust: workshop, ", "")}`,
      ),
    ),
    /FILE_UNREADABLE/,
  );
  await expect(2, judge(write("bad.yaml", "schema: urn:lacre:policy:1\n")), /POLICY_INVALID/);
  await expect(3, judge("nowhere.yaml"), /FILE_UNREADABLE/);
});

test("several artifacts are each told, and one bad one does not hide another", async () => {
  const said = await expect(1, ["verify", "./app", "./evil", "--policy-file", plain, "--output", "json"], /verified/);
  const decisions = said.stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Decision);
  assert.deepEqual(
    decisions.map(({ outcome, schema }) => [outcome, schema]),
    [
      ["verified", "urn:lacre:decision:1"],
      ["refused", "urn:lacre:decision:1"],
    ],
  );
});

test("flags that a policy outranks are refused beside it, and its own without it", async () => {
  for (const flags of [
    ["--certificate-identity", "x"],
    ["--key", "k"],
    ["--insecure-ignore-tlog"],
    ["--type", "custom"],
    ["--check-claims=false"],
    ["--certificate-oidc-issuer-regexp", "x"],
    ["--rekor-url", "http://x"],
    ["-a", "a=b"],
  ])
    await expect(2, judge(plain, ...flags), /would not be looked at beside --policy-file/);
  await expect(
    2,
    ["verify", "./app", "--accept-warned", "--certificate-identity", "x", "--certificate-oidc-issuer", "y"],
    /--policy-file/,
  );
});

test("the same person's two bundles are one signer; another person's is the second", async () => {
  const two = policy("two.yaml", rule("signatures: {from: [alice, bob], atLeast: 2}"));
  const [first, second, third] = [
    bundle("a1.json", person("alice@example.com")),
    bundle("a2.json", { ...person("alice@example.com"), dialect: "v2" }),
    bundle("b.json", person("bob@example.com")),
  ];
  await expect(1, judge(two, "--bundle", first, "--bundle", second), /SIGNERS_MISSING/);
  await expect(0, judge(two, "--bundle", first, "--bundle", second, "--bundle", third), /2 distinct/);
});

test("bundles beside a file are all found", async () => {
  write("lib", ARTIFACT);
  bundle("lib.sigstore.json", person("alice@example.com"));
  bundle("lib.bob.sigstore.json", person("bob@example.com"));
  const two = policy("beside.yaml", rule("signatures: {from: [alice, bob], atLeast: 2}"));
  await expect(0, ["verify", "./lib", "--policy-file", two], /lib\.bob\.sigstore\.json: counted/);
});

test("statements are asked for by type and by condition", async () => {
  const good = bundle("prov.json", provenance({ runDetails: { builder: { id: "https://builder.example" } } }));
  const want = policy(
    "prov.yaml",
    rule(
      `attestations: [{type: slsaprovenance1, from: [ci], conditions: ['predicate.runDetails.builder.id == "https://builder.example"']}]`,
    ),
  );
  await expect(0, judge(want, "--bundle", good), /Verified OK/);
  await expect(1, judge(want, "--bundle", "app.sigstore.json"), /ATTESTATION_MISSING/);
  const other = bundle("prov2.json", provenance({ runDetails: { builder: { id: "https://other.example" } } }));
  await expect(1, judge(want, "--bundle", other), /CONDITION_FALSE[^]*other\.example/);
  await expect(1, judge(want, "--bundle", bundle("prov3.json", provenance({}))), /CONDITION_FAILED/);
});

test("thresholds reach the verifier", async () => {
  await expect(
    1,
    judge(policy("logs.yaml", rule("signatures: {from: [ci]}, thresholds: {logs: 2}"))),
    /app\.sigstore\.json: refused[^]*fewer independent log entries/,
  );
  await expect(
    1,
    judge(policy("stamps.yaml", rule("signatures: {from: [ci]}, thresholds: {timestamps: 1}"))),
    /fewer independent timestamps/,
  );
  await expect(1, judge(policy("scts.yaml", rule("signatures: {from: [ci]}, thresholds: {scts: 2}"))), /refused/);
  const bare = bundle("bare.json", { dialect: "v2", bundle: (one) => void (one["verificationMaterial"].tlogEntries = []) });
  await expect(1, judge(plain, "--bundle", bare), /refused/);
  await expect(
    0,
    judge(policy("nologs.yaml", rule("signatures: {from: [ci]}, thresholds: {logs: 0}")), "--bundle", bare),
    /Verified OK/,
  );
});

test("keys: by file, by PEM, by fingerprint found through the log; another key is refused", async () => {
  const key = generateKey("P-256");
  const signed = bundle("key.json", { signer: "key", key });
  const pem = formatPem("PUBLIC KEY", key.publicKey.spki);
  mkdirSync(join(folder, "keys"), { recursive: true });
  write("keys/a.pub", pem);
  const of = (name: string, value: string): string =>
    write(
      name,
      JSON.stringify({
        schema: "urn:lacre:policy:1",
        trust: { w: { root: "root.json" } },
        signers: { k: { key: value } },
        rules: [{ name: "r", trust: "w", artifacts: [{ kind: "file", name: "**" }], signatures: { from: ["k"] } }],
      }),
    );
  for (const value of ["keys/a.pub", pem, `sha256:${toHex(sha256(key.publicKey.spki))}`])
    await expect(0, judge(of("key.json.policy", value), "--bundle", signed), /Verified OK/);
  await expect(
    1,
    judge(of("key.json.policy", formatPem("PUBLIC KEY", generateKey("P-256").publicKey.spki)), "--bundle", signed),
    /REFUSED/,
  );
  await expect(1, judge(of("key.json.policy", `sha256:${"0".repeat(64)}`), "--bundle", signed), /REFUSED/);
  await expect(1, judge(plain, "--bundle", signed), /REFUSED/);
});

test("revocations: by serial, identity and digest", async () => {
  const digest = toHex(sha256(ARTIFACT));
  const { stdout } = await lacre(judge(plain, "--output", "json"));
  assert.equal((JSON.parse(stdout) as Decision).outcome, "verified");
  const sealed = seal(workshop);
  write("serial.json", bytesOf(sealed.bundle));
  const serial = toHex(sealed.leaf!.serial);
  await expect(
    1,
    judge(policy("r1.yaml", rule("signatures: {from: [ci]}"), `revoked: [{serial: "${serial}"}]\n`), "--bundle", "serial.json"),
    /serial is revoked/,
  );
  await expect(
    0,
    judge(policy("r1.yaml", rule("signatures: {from: [ci]}"), `revoked: [{serial: "${serial}"}]\n`)),
    /Verified OK/,
  );
  await expect(
    1,
    judge(policy("r2.yaml", rule("signatures: {from: [ci]}"), `revoked: [{digest: "sha256:${digest}", reason: backdoor}]\n`)),
    /REVOKED[^]*/,
  );
  await expect(
    1,
    judge(
      policy(
        "r3.yaml",
        rule("signatures: {from: [ci]}"),
        `revoked: [{digest: "sha512:${"0".repeat(128)}"}, {identity: {pattern: '.*'}}]\n`,
      ),
    ),
    /identity is revoked/,
  );
});

test("mode warn ends with 1, and with 0 only where that is accepted", async () => {
  const warn = policy("warn.yaml", rule("mode: warn, signatures: {from: [alice]}"));
  await expect(1, judge(warn), /NOT VERIFIED  app[^]*let through[^]*--accept-warned/);
  await expect(0, judge(warn, "--accept-warned"), /NOT VERIFIED/);
});

test("packages are known by the name that is given", async () => {
  const packages = policy("pkg.yaml", rule("signatures: {from: [ci]}", "pkg:npm/*@1.*", "package"));
  await expect(0, judge(packages, "--artifact-name", "pkg:npm/app@1.2.0"), /Verified OK/);
  await expect(1, judge(packages, "--artifact-name", "pkg:npm/app@2.0.0"), /RULE_MISSING/);
  await expect(1, judge(packages), /RULE_MISSING/);
});

test("policy learn writes what accepts the examples and no other", async () => {
  write("one", ARTIFACT);
  const claims = new Map([
    ["sourceRepositoryURI", "https://ci.example/project"],
    ["sourceRepositoryDigest", "abc"],
    ["buildTrigger", "push"],
  ]);
  bundle("one.sigstore.json", { claims });
  bundle(
    "one.prov.sigstore.json",
    provenance(
      { runDetails: { builder: { id: "https://builder.example" } } },
      { claims: new Map([...claims, ["buildTrigger", "schedule"]]) },
    ),
  );
  const { stdout } = await expect(
    0,
    ["policy", "learn", "./one", "--trusted-root", "root.json", "--name", "learned"],
    /urn:lacre:policy:1/,
  );
  assert.match(stdout, /sourceRepositoryURI: https:\/\/ci\.example\/project/);
  assert.doesNotMatch(stdout, /sourceRepositoryDigest|buildTrigger/);
  assert.match(stdout, /builder\.example/);
  write("learned.yaml", stdout);
  const trust = ["--trusted-root", "root.json"];
  await expect(0, ["verify", "./one", "--policy-file", "learned.yaml", ...trust], /Verified OK/);
  await expect(1, ["verify", "./app", "--policy-file", "learned.yaml", ...trust], /RULE_MISSING/);
  await expect(
    1,
    ["verify", "./one", "--policy-file", "learned.yaml", ...trust, "--bundle", "one.sigstore.json"],
    /ATTESTATION_MISSING/,
  );
  await expect(1, ["policy", "learn", "./evil", ...trust], /SIGNATURE_MISSING/);
  await expect(
    1,
    ["policy", "learn", "./evil", ...trust, "--bundle", "app.sigstore.json"],
    /is not counted[^]*SIGNATURE_MISSING/,
  );
});

test("policy test: a last line of counts, and 1 if any case is not as expected", async () => {
  write(
    "cases.yaml",
    "cases:\n  - {artifact: app, expect: verified}\n  - {artifact: evil, expect: refused, code: SIGNATURE_MISSING}\n  - {artifact: evil, bundles: [app.sigstore.json], expect: refused}\n",
  );
  const { stdout } = await expect(0, ["policy", "test", plain, "--cases", "cases.yaml"], /3 passed, 0 failed/);
  assert.equal(stdout, "3 passed, 0 failed\n");
  write(
    "wrong.yaml",
    "cases:\n  - {artifact: app, expect: refused}\n  - {artifact: evil, expect: refused, code: REVOKED}\n  - {artifact: missing, bundles: [app.sigstore.json], expect: refused}\n",
  );
  await expect(1, ["policy", "test", plain, "--cases", "wrong.yaml"], /0 passed, 3 failed/);
  for (const [name, content] of [
    ["good", ARTIFACT],
    ["bad_fail", utf8("x")],
  ] as const) {
    mkdirSync(join(folder, "cases", name), { recursive: true });
    write(`cases/${name}/app`, content);
    bundle(`cases/${name}/app.sigstore.json`);
  }
  await expect(0, ["policy", "test", plain, "--cases", "cases"], /2 passed, 0 failed/);
  await expect(2, ["policy", "test", plain], /--cases/);
  await expect(2, ["policy", "test", plain, "--cases", write("bad-cases.yaml", "cases: [{artifact: a}]\n")], /expect is missing/);
});

test("policy explain and check say in words what is wanted", async () => {
  await expect(0, ["policy", "explain", plain], /Rule r, for file \*\*:\n  - a signature by ci/);
  await expect(0, ["policy", "explain", plain, "./evil"], /REFUSED/);
  await expect(0, ["policy", "explain", plain, "--output", "json"], /"wants"/);
  await expect(0, ["policy", "check", plain], /1 rules, 1 signers/);
  const broad = write(
    "broad.yaml",
    `schema: urn:lacre:policy:1\nsigners: {all: {identity: {pattern: '.*'}, issuer: {pattern: '.*'}}}\nrules:\n  - {name: r, artifacts: [{kind: file, name: a}], signatures: {from: [all]}}\n`,
  );
  await expect(0, ["policy", "check", broad], /all is anybody/);
  await expect(2, ["policy", "check", "bad.yaml"], /POLICY_INVALID/);
});

test("images are judged by the same file", async () => {
  const registry = createRegistry();
  const image = putImage(registry, "app", "v1", "the image");
  const hex = image.digest.slice("sha256:".length);
  const BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json";
  const attach = (predicateType: string, predicate: Json, about = hex): void => {
    const recipe: Recipe = {
      content: "dsse",
      statement: (one) => ({ ...one, predicateType, predicate, subject: [{ name: "app", digest: { sha256: about } }] }),
    };
    const layers = [putBlob(registry, "app", BUNDLE, bytesOf(seal(workshop, recipe).bundle))];
    const config = putBlob(registry, "app", "application/vnd.oci.empty.v1+json", utf8("{}"));
    const mediaType = "application/vnd.oci.image.manifest.v1+json";
    putManifest(registry, "app", { schemaVersion: 2, mediaType, artifactType: BUNDLE, config, layers, subject: image });
  };
  const wants = "signatures: {from: [ci]}, attestations: [{type: slsaprovenance1, from: [ci], conditions: ['predicate.n == 1']}]";
  const want = policy("image.yaml", rule(wants, `${HOST}/*`, "image"));
  const args = ["verify", `${HOST}/app:v1`, "--policy-file", want];
  await expect(1, args, /SIGNATURE_MISSING/, { registry });
  attach("https://sigstore.dev/cosign/sign/v1", {}, "0".repeat(64));
  await expect(1, args, /SIGNATURE_MISSING/, { registry });
  attach("https://sigstore.dev/cosign/sign/v1", {});
  await expect(1, args, /ATTESTATION_MISSING/, { registry });
  attach(PREDICATE_TYPE, { n: 1 });
  await expect(0, args, /Verified OK/, { registry });
  const elsewhere = policy("elsewhere.yaml", rule("signatures: {from: [ci]}", "other.example/*", "image"));
  await expect(1, ["verify", `${HOST}/app:v1`, "--policy-file", elsewhere], /RULE_MISSING/, { registry });
});

test("cosign's older signatures count by the image that their payload names, not by what they are over", async () => {
  const key = generateKey("P-256");
  write("old.pub", formatPem("PUBLIC KEY", key.publicKey.spki));
  const text = { schema: "urn:lacre:policy:1", trust: { w: { root: "root.json" } }, signers: { k: { key: "old.pub" } } };
  const rules = [{ name: "r", trust: "w", artifacts: [{ kind: "image", name: "**" }], signatures: { from: ["k"] } }];
  const want = write("old.json", JSON.stringify({ ...text, rules }));
  const judged = async (named: (digest: string) => string, recipe: Recipe = { signer: "key", key }): Promise<Decision> => {
    const registry = createRegistry();
    const { digest } = putImage(registry, "app", "v1", "the image");
    const critical = {
      identity: { "docker-reference": `${HOST}/app` },
      image: { "docker-manifest-digest": named(digest) },
      type: "cosign container image signature",
    };
    const payload = utf8(JSON.stringify({ critical, optional: null }));
    const sealed = decodeBundle(bytesOf(seal(workshop, { ...recipe, artifact: payload }).bundle));
    const annotations = {
      "dev.cosignproject.cosign/signature": toBase64(sealed.content.signature),
      "dev.sigstore.cosign/bundle": encodeLegacyPromise(sealed.logEntries[0]!)!,
    };
    const layer = { ...putBlob(registry, "app", "application/vnd.dev.cosign.simplesigning.v1+json", payload), annotations };
    const config = putBlob(registry, "app", "application/vnd.oci.image.config.v1+json", utf8("{}"));
    const manifest = { schemaVersion: 2, mediaType: "application/vnd.oci.image.manifest.v1+json", config, layers: [layer] };
    putManifest(registry, "app", manifest, `${digest.replace(":", "-")}.sig`);
    const said = await lacre(["verify", `${HOST}/app:v1`, "--policy-file", want, "-o", "json"], { registry });
    return JSON.parse(said.stdout) as Decision;
  };
  assert.equal((await judged((digest) => digest)).outcome, "verified");
  const other = await judged(() => `sha256:${"0".repeat(64)}`);
  assert.equal(other.outcome, "refused");
  assert.equal(other.seals[0]!.code, "ARTIFACT_MISMATCH");
  assert.equal((await judged((digest) => digest, { signer: "key" })).outcome, "refused");
});

const attestation = [
  "verify-blob-attestation",
  "./app",
  "--bundle",
  "cond.json",
  "--type",
  "slsaprovenance1",
  "--certificate-identity",
  IDENTITY,
  "--certificate-oidc-issuer",
  ISSUER,
  "--trusted-root",
  "root.json",
];
bundle("cond.json", provenance({ builder: { id: "b1" }, n: 3 }));

test("--condition: CEL on a verified statement, all of them, errors are refusals", async () => {
  await expect(
    0,
    [...attestation, "--condition", 'predicate.builder.id == "b1"', "--condition", "predicate.n < 4"],
    /Verified OK/,
  );
  const said = await expect(1, [...attestation, "--condition", "predicate.n > 5", "-o", "json"], /CONDITION_FALSE/);
  const verdict = JSON.parse(said.stdout) as { outcome: string; predicate?: unknown; identity?: unknown };
  assert.equal(verdict.outcome, "refused");
  assert.equal(verdict.predicate ?? verdict.identity, undefined);
  await expect(1, [...attestation, "--condition", "predicate.missing > 5"], /CONDITION_FAILED/);
  await expect(2, [...attestation, "--condition", "predicte.n > 5"], /CONDITION_INVALID[^]*predicate \(did you mean/);
  await expect(1, ["verify-blob-attestation", "./evil", ...attestation.slice(2), "--condition", "true"], /ARTIFACT_MISMATCH/);
});

/** A program that answers as its script says; the folder to put on the path. */
function standIn(name: "opa" | "cue", script: string): string {
  const place = mkdtempSync(join(folder, "bin-"));
  writeFileSync(join(place, name), `#!/bin/sh\n${script}\n`);
  chmodSync(join(place, name), 0o755);
  return `${place}:/usr/bin:/bin`;
}

test("--policy: Rego by the opa program; only the one value true is a yes", async () => {
  write("p.rego", "package signature\n");
  const opa = (answer: string, more = ""): Readonly<Record<string, string>> => ({
    PATH: standIn(
      "opa",
      `if [ "$1" = capabilities ]; then echo '{"builtins":[]}'; exit 0; fi\n${more}\ncat >/dev/null\necho '${answer}'`,
    ),
  });
  const run = [...attestation, "--policy", "p.rego"];
  const yes = '{"result":[{"expressions":[{"value":true}]}]}';
  await expect(0, run, /Verified OK/, { env: opa(yes) });
  for (const answer of [
    "{}",
    '{"result":[]}',
    '{"result":[{"expressions":[{"value":false}]}]}',
    '{"result":[{"expressions":[{"value":"true"}]}]}',
    '{"result":[{"expressions":[{"value":true},{"value":true}]}]}',
  ])
    await expect(1, run, /CONDITION_FALSE/, { env: opa(answer) });
  await expect(3, run, /PROGRAM_FAILED/, { env: opa("nonsense") });
  await expect(3, run, /PROGRAM_FAILED/, { env: opa(yes, "exit 2") });
  await expect(3, run, /PROGRAM_FAILED/, { env: opa(yes, "kill -9 $$") });
  // Asked as cosign asks, without the network, with the statement as it was signed.
  await expect(0, run, /Verified OK/, {
    env: opa(
      yes,
      `for one in "$@"; do last=$one; done; [ "$last" = data.signature.allow ] || exit 9\ncase "$*" in *--v0-compatible*--capabilities*) ;; *) exit 9;; esac\ngrep -q '"allow_net":\\[\\]' capabilities.json || exit 9`,
    ),
  });
  await expect(3, run, /PROGRAM_MISSING[^]*CEL/, { env: { PATH: "/nowhere" } });
  await expect(3, run, /PROGRAM_MISSING/, { env: { PATH: `.:${folder}-none` } });
  await expect(2, [...attestation, "--policy", "app"], /neither \.rego nor \.cue/);
});

test("--policy: CUE by the cue program; anything it says is a no", async () => {
  write("p.cue", "predicate: n: 3\n");
  const run = [...attestation, "--policy", "p.cue"];
  await expect(0, run, /Verified OK/, { env: { PATH: standIn("cue", '[ "$1" = vet ] && exit 0; exit 1') } });
  await expect(1, run, /CONDITION_FALSE[^]*conflicting/, {
    env: { PATH: standIn("cue", "echo 'conflicting values' >&2; exit 1") },
  });
  await expect(1, run, /CONDITION_FALSE/, { env: { PATH: standIn("cue", "echo something") } });
  await expect(3, run, /PROGRAM_MISSING/, { env: { PATH: "/nowhere" } });
});
