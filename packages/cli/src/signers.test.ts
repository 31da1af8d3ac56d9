// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Matcher } from "@lacre/core/verify";
import { CliError } from "./errors.ts";
import { isAnchored, pairSigners, readAnySigner, readSigners, refuseSigners, type SignerFlags } from "./signers.ts";
import { createWorld } from "../../../test/cli/world.ts";

const NOTHING = Object.fromEntries(
  ["", "Regexp"]
    .flatMap((end) => [`certificateIdentity${end}`, `certificateOidcIssuer${end}`])
    .concat(["Trigger", "Sha", "Name", "Repository", "Ref"].map((end) => `certificateGithubWorkflow${end}`))
    .map((name) => [name, undefined]),
) as unknown as SignerFlags;
const ISSUER = { certificateOidcIssuer: "https://issuer.example" };

async function matcher(flags: Partial<SignerFlags>): Promise<{ matches: (text: string) => boolean; warned: boolean }> {
  const world = createWorld();
  const { identities } = await readSigners(world.context, { ...NOTHING, ...ISSUER, ...flags });
  const identity: Matcher = identities![0]!.identity;
  return {
    matches: (text) => ("exact" in identity ? identity.exact === text : identity.pattern.test(text)),
    warned: world.stderr().includes("not anchored"),
  };
}

async function refused(flags: Partial<SignerFlags>): Promise<CliError> {
  const error = await readSigners(createWorld().context, { ...NOTHING, ...flags }).then(
    () => assert.fail("accepted"),
    (cause: unknown) => cause,
  );
  assert.ok(error instanceof CliError);
  assert.equal(error.status, 2);
  return error;
}

test("a verification without identity or issuer is refused, and the missing flag is named", async () => {
  assert.match((await refused({})).hint, /--certificate-identity/);
  assert.match((await refused({ certificateIdentity: "me" })).hint, /--certificate-oidc-issuer/);
  assert.match((await refused(ISSUER)).hint, /--certificate-identity/);
  assert.equal((await refused({ ...ISSUER, certificateIdentity: "" })).code, "POLICY_MISSING");
  assert.equal((await refused({ ...ISSUER, certificateIdentityRegexp: "" })).code, "POLICY_MISSING");
});

test("exact values are exact: case, dots, line ends, NUL, look-alikes, plus signs", async () => {
  const { matches, warned } = await matcher({ certificateIdentity: "a+b@example.com" });
  assert.ok(matches("a+b@example.com"));
  assert.ok(!warned);
  for (const other of [
    "A+b@example.com",
    "a+b@example.com.",
    "a+b@example.com\n",
    "a+b@example.com\0",
    "aab@example.com",
    "a+b@examplе.com",
    "a%2Bb@example.com",
    " a+b@example.com",
    "",
  ]) {
    assert.ok(!matches(other), JSON.stringify(other));
  }
});

test("patterns are unanchored, as cosign's are, and say so", async () => {
  const { matches, warned } = await matcher({ certificateIdentityRegexp: "@example\\.com" });
  assert.ok(matches("me@example.com") && matches("me@example.com.evil.org"));
  assert.ok(warned);
  const tied = await matcher({ certificateIdentityRegexp: "^[^@]+@example\\.com$" });
  assert.ok(tied.matches("me@example.com") && !tied.matches("me@example.com.evil.org") && !tied.matches("me@example.com\n"));
  assert.ok(!tied.warned);
});

test("a pattern is RE2 and takes linear time", async () => {
  const { matches } = await matcher({ certificateIdentityRegexp: "^(a+)+$" });
  assert.ok(!matches(`${"a".repeat(5000)}!`));
  for (const pattern of ["(?=x)", "(a)\\1", "(", "[z-a]"])
    assert.match((await refused({ ...ISSUER, certificateIdentityRegexp: pattern })).message, /not an RE2 pattern/);
});

test("an exact value and a pattern must both fit", async () => {
  const { matches } = await matcher({ certificateIdentity: "me@example.com", certificateIdentityRegexp: "^me@" });
  assert.ok(matches("me@example.com") && !matches("me@example.org"));
  assert.ok(
    !(await matcher({ certificateIdentity: "me@example.com", certificateIdentityRegexp: "^you@" })).matches("me@example.com"),
  );
});

test("claims become requirements by name", async () => {
  const { claims } = await readSigners(createWorld().context, {
    ...NOTHING,
    ...ISSUER,
    certificateIdentity: "me",
    certificateGithubWorkflowSha: "abc",
    certificateGithubWorkflowRef: "refs/heads/main",
  });
  assert.deepEqual(claims, { githubWorkflowSHA: { exact: "abc" }, githubWorkflowRef: { exact: "refs/heads/main" } });
});

test("several signers share one issuer, or have one each", async () => {
  assert.deepEqual(pairSigners([], []), [{ certificateIdentity: undefined, certificateOidcIssuer: undefined }]);
  const shared = pairSigners(["a", "b"], ["i"]);
  const { identities } = await readAnySigner(createWorld().context, NOTHING, shared);
  assert.deepEqual(identities, [
    { identity: { exact: "a" }, issuer: { exact: "i" } },
    { identity: { exact: "b" }, issuer: { exact: "i" } },
  ]);
  assert.deepEqual(
    pairSigners(["a", "b"], ["i", "j"]).map(({ certificateOidcIssuer }) => certificateOidcIssuer),
    ["i", "j"],
  );
  for (const [names, issuers] of [
    [["a", "b"], []],
    [
      ["a", "b"],
      ["i", "j", "k"],
    ],
    [["a"], ["i", "j"]],
    [
      ["a", "b", "c"],
      ["i", "j"],
    ],
  ])
    assert.throws(() => pairSigners(names!, issuers!), CliError);
});

test("anchors count only when they tie every alternative", () => {
  for (const pattern of ["^a$", "^(a|b)$", "\\Aa\\z", "(?i)^a$", "^[|]$", "^[]|]$", "^a\\|b$", "^a\\\\$"])
    assert.ok(isAnchored(pattern), pattern);
  for (const pattern of ["a", "^a", "a$", "^a|b$", "^a\\$", "(^a$)", "^a$|^b$", "^(a)|(b)$", "", ".*"])
    assert.ok(!isAnchored(pattern), pattern);
});

test("identity flags beside a key are refused, not ignored", () => {
  assert.throws(
    () => refuseSigners({ ...NOTHING, certificateIdentity: "me", certificateGithubWorkflowRef: "x" }),
    (error: CliError) => error.status === 2 && /--certificate-identity, --certificate-github-workflow-ref/.test(error.message),
  );
  refuseSigners(NOTHING);
});
