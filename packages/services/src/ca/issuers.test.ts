// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Json } from "@lacre/core/codec";
import { ServiceError } from "../errors.ts";
import { createIssuerTable, decodeIssuers, emailIssuer, type IssuerEntry } from "./issuers.ts";
import { type Claims, principalOf } from "./principal.ts";
import { parseTemplate } from "./template.ts";

const codeIs = (code: string) => (error: unknown) => error instanceof ServiceError && error.code === code;
const one = (type: string, more: object = {}, url = "https://issuer.example.com"): IssuerEntry =>
  decodeIssuers({ "oidc-issuers": { [url]: { "client-id": "sigstore", type, ...more } } } as Json)[0]!;
const principal = (entry: IssuerEntry, claims: Claims, issuer = entry.issuerUrl) => principalOf(claims, entry, issuer);

test("reads both spellings of a configuration to the same entries", () => {
  const yaml = decodeIssuers({
    "oidc-issuers": {
      "https://a.example.com": {
        "issuer-url": "https://a.example.com",
        "client-id": "sigstore",
        type: "email",
        "issuer-claim": "$.federated_claims.connector_id",
        "challenge-claim": "email",
        description: "x",
      },
    },
    "meta-issuers": { "https://*.b.example.com/id/*": { "client-id": "sigstore", type: "kubernetes" } },
  });
  const json = decodeIssuers({
    OIDCIssuers: {
      "https://a.example.com": {
        IssuerURL: "https://a.example.com",
        ClientID: "sigstore",
        Type: "email",
        IssuerClaim: "$.federated_claims.connector_id",
        ChallengeClaim: "email",
        Contact: "y",
      },
    },
    MetaIssuers: { "https://*.b.example.com/id/*": { ClientID: "sigstore", Type: "kubernetes" } },
  });
  assert.deepEqual(yaml, json);
  assert.deepEqual(
    yaml.map(({ isPattern, type, challengeClaim, issuerClaim }) => ({ isPattern, type, challengeClaim, issuerClaim })),
    [
      { isPattern: false, type: "email", challengeClaim: "email", issuerClaim: ["federated_claims", "connector_id"] },
      { isPattern: true, type: "kubernetes", challengeClaim: "sub", issuerClaim: undefined },
    ],
  );
  assert.deepEqual(decodeIssuers({}), []);
});

test("refuses configurations that would let the wrong token in", () => {
  const wrong: Record<string, Json> = {
    "unknown key": { "oidc-issuers": { "https://a.example": { "client-id": "s", type: "email", audience: "x" } } },
    "unknown block": { issuers: {} },
    "unknown type": { "oidc-issuers": { "https://a.example": { "client-id": "s", type: "chainguard" } } },
    "prototype type": { "oidc-issuers": { "https://a.example": { "client-id": "s", type: "constructor" } } },
    "no audience": { "oidc-issuers": { "https://a.example": { type: "email" } } },
    "other url": {
      "oidc-issuers": { "https://a.example": { "issuer-url": "https://b.example", "client-id": "s", type: "email" } },
    },
    "not a url": { "oidc-issuers": { "a.example": { "client-id": "s", type: "email" } } },
    credentials: { "oidc-issuers": { "https://u@a.example": { "client-id": "s", type: "email" } } },
    fragment: { "oidc-issuers": { "https://a.example#x": { "client-id": "s", type: "email" } } },
    "a pattern among exact ones": { "oidc-issuers": { "https://*.example": { "client-id": "s", type: "email" } } },
    "a pattern over http": { "meta-issuers": { "http://*.example": { "client-id": "s", type: "email" } } },
    "a pattern without star": { "meta-issuers": { "https://a.example": { "client-id": "s", type: "email" } } },
    "two stars together": { "meta-issuers": { "https://**.example": { "client-id": "s", type: "email" } } },
    "spiffe in a pattern": {
      "meta-issuers": { "https://*.example": { "client-id": "s", type: "spiffe", "spiffe-trust-domain": "a.example" } },
    },
    "spiffe without domain": { "oidc-issuers": { "https://a.example": { "client-id": "s", type: "spiffe" } } },
    "uri without domain": { "oidc-issuers": { "https://a.example": { "client-id": "s", type: "uri" } } },
    "uri of another domain": {
      "oidc-issuers": { "https://a.example.com": { "client-id": "s", type: "uri", "subject-domain": "https://b.example.org" } },
    },
    "uri of another scheme": {
      "oidc-issuers": { "https://a.example.com": { "client-id": "s", type: "uri", "subject-domain": "http://b.example.com" } },
    },
    "uri with a path": {
      "oidc-issuers": { "https://a.example.com": { "client-id": "s", type: "uri", "subject-domain": "https://b.example.com/x" } },
    },
    "username with a scheme": {
      "oidc-issuers": {
        "https://a.example.com": { "client-id": "s", type: "username", "subject-domain": "https://b.example.com" },
      },
    },
    "ci-provider without metadata": {
      "oidc-issuers": { "https://a.example": { "client-id": "s", type: "ci-provider", "ci-provider": "x" } },
    },
    "issuer-claim that is a query": {
      "oidc-issuers": { "https://a.example": { "client-id": "s", type: "email", "issuer-claim": "$..x" } },
    },
    "both spellings": { "oidc-issuers": {}, OIDCIssuers: {} },
    "not an object": [],
  };
  for (const [name, document] of Object.entries(wrong))
    assert.throws(() => decodeIssuers(document), codeIs("CONFIG_INVALID"), name);
});

test("email: verified means true, and what is certified is a plain address", () => {
  const entry = one("email");
  for (const verified of [true, "true", "True"]) {
    const found = principal(entry, { sub: "s", email: "a@b.c", email_verified: verified });
    assert.deepEqual(
      [found.san, found.challenge, found.issuer, found.claims.get("tokenSubject")],
      [{ kind: "email", value: "a@b.c" }, "a@b.c", entry.issuerUrl, "s"],
    );
  }
  for (const verified of [false, undefined, null, "yes", 1, "TRUE", [], {}])
    assert.throws(
      () => principal(entry, { sub: "s", email: "a@b.c", email_verified: verified as Json }),
      codeIs("TOKEN_CLAIMS"),
      JSON.stringify(verified),
    );
  for (const email of [
    "",
    "a",
    "@",
    "a@",
    "a b@c.d",
    "a@b\0.c",
    "a@b.c\n",
    "ä@b.c",
    "a@b@c.d",
    "<a@b.c>",
    5,
    null,
    ["a@b.c"],
    `${"a".repeat(260)}@b.c`,
  ]) {
    assert.throws(
      () => principal(entry, { sub: "s", email: email as Json, email_verified: true }),
      codeIs("TOKEN_CLAIMS"),
      String(email),
    );
  }
  assert.equal(principal(one("email", { "skip-email-verification": true }), { email: "a@b.c" }).san.value, "a@b.c");
});

test("email: issuer-claim replaces the issuer that the certificate names", () => {
  const entry = one("email", { "issuer-claim": "$.federated_claims.connector_id" });
  const claims = { email: "a@b.c", email_verified: true, federated_claims: { connector_id: "https://accounts.example" } };
  assert.equal(principal(entry, claims).issuer, "https://accounts.example");
  for (const federated of [undefined, {}, { connector_id: 5 }, { connector_id: "" }, "x", []]) {
    assert.throws(() => principal(entry, { ...claims, federated_claims: federated as Json }), codeIs("TOKEN_CLAIMS"));
  }
});

test("uri: the subject lies inside the subject's domain, as text", () => {
  const entry = one("uri", { "subject-domain": "https://work.example.com" });
  for (const sub of ["https://work.example.com/a/b?c", "https://work.example.com", "https://work.example.com#x"]) {
    assert.deepEqual(principal(entry, { sub }), {
      san: { kind: "uri", value: sub },
      challenge: sub,
      claims: new Map([["tokenSubject", sub]]),
      issuer: entry.issuerUrl,
    });
  }
  for (const sub of [
    "https://work.example.com.evil.example/",
    "https://work.example.com@evil.example/",
    "https://work.example.com:444/",
    "http://work.example.com/",
    "https://WORK.example.com/",
    "https://work.example.com\\@evil",
    "//work.example.com/",
    "",
    "https://work.example.com/ä",
    "https://work.example.com/a b",
    "https://work.example.com/\n",
    "https://work.example.com/<",
    7,
  ])
    assert.throws(() => principal(entry, { sub: sub as Json }), codeIs("TOKEN_CLAIMS"), String(sub));
});

test("username: the name is not an address and cannot forge the separator", () => {
  const entry = one("username", { "subject-domain": "example.com" });
  assert.deepEqual(principal(entry, { sub: "jane" }).san, { kind: "other", value: "jane!example.com" });
  assert.equal(principal(entry, { sub: "jane" }).challenge, "jane");
  for (const sub of ["jane!evil.example", "jane@example.com", "", "a b", "a\0", undefined])
    assert.throws(() => principal(entry, { sub: sub as Json }), codeIs("TOKEN_CLAIMS"), String(sub));
});

test("spiffe: an ID of the trust domain", () => {
  const entry = one("spiffe", { "spiffe-trust-domain": "example.org" });
  assert.equal(principal(entry, { sub: "spiffe://example.org/ns/a/sa/b" }).san.value, "spiffe://example.org/ns/a/sa/b");
  for (const sub of [
    "spiffe://example.org",
    "spiffe://example.org/",
    "spiffe://example.org.evil/x",
    "spiffe://other/x",
    "spiffe://example.org//x",
    "spiffe://example.org/../x",
    "spiffe://example.org/./x",
    "spiffe://example.org/x/",
    "SPIFFE://example.org/x",
    "spiffe://example.org/x?y",
  ]) {
    assert.throws(() => principal(entry, { sub }), codeIs("TOKEN_CLAIMS"), sub);
  }
});

test("kubernetes: namespace and service account become a URI", () => {
  const entry = one("kubernetes");
  const claims = {
    sub: "system:serviceaccount:build:signer",
    "kubernetes.io": { namespace: "build", serviceaccount: { name: "signer" } },
  };
  const found = principal(entry, claims);
  assert.equal(found.san.value, "https://kubernetes.io/namespaces/build/serviceaccounts/signer");
  assert.equal(found.challenge, claims.sub);
  for (const pod of [
    undefined,
    null,
    [],
    {},
    { namespace: "build" },
    { namespace: "a/../b", serviceaccount: { name: "s" } },
    { namespace: "build", serviceaccount: { name: "" } },
    { namespace: "build", serviceaccount: "signer" },
  ]) {
    assert.throws(
      () => principal(entry, { ...claims, "kubernetes.io": pod as Json }),
      codeIs("TOKEN_CLAIMS"),
      JSON.stringify(pod),
    );
  }
});

const GITHUB: Claims = {
  sub: "repo:o/r:ref:refs/heads/main",
  event_name: "push",
  sha: "5".repeat(40),
  workflow: "ci",
  repository: "o/r",
  ref: "refs/heads/main",
  job_workflow_ref: "o/r/.github/workflows/ci.yml@refs/heads/main",
  job_workflow_sha: "6".repeat(40),
  runner_environment: "github-hosted",
  repository_id: "1",
  repository_owner: "o",
  repository_owner_id: "2",
  workflow_ref: "o/r/.github/workflows/ci.yml@refs/heads/main",
  workflow_sha: "6".repeat(40),
  run_id: 17,
  run_attempt: "1",
  repository_visibility: "public",
};

test("github-workflow: the published mapping", () => {
  const entry = one("github-workflow", {}, "https://token.actions.githubusercontent.com");
  const found = principal(entry, GITHUB);
  assert.deepEqual(found.san, { kind: "uri", value: "https://github.com/o/r/.github/workflows/ci.yml@refs/heads/main" });
  assert.equal(found.claims.get("runInvocationURI"), "https://github.com/o/r/actions/runs/17/attempts/1");
  assert.equal(found.claims.get("githubWorkflowSHA"), "5".repeat(40));
  assert.equal(found.claims.get("buildSignerDigest"), "6".repeat(40));
  assert.ok(!found.claims.has("deploymentEnvironment"), "an empty value is left out");
  assert.equal(principal(entry, { ...GITHUB, environment: "prod" }).claims.get("deploymentEnvironment"), "prod");
  for (const name of Object.keys(GITHUB)) {
    const { [name]: _gone, ...rest } = GITHUB;
    assert.throws(() => principal(entry, rest), codeIs("TOKEN_CLAIMS"), name);
  }
  assert.throws(() => principal(entry, { ...GITHUB, job_workflow_ref: "o/r/a b" }), codeIs("TOKEN_CLAIMS"));
  assert.throws(() => principal(entry, { ...GITHUB, sha: "x\u0000" }), codeIs("TOKEN_CLAIMS"));
  assert.throws(() => principal(entry, { ...GITHUB, sha: { toString: 1 } }), codeIs("TOKEN_CLAIMS"));
});

test("gitlab, buildkite, codefresh and chainguard have their names", () => {
  const gitlab: Claims = {
    sub: "project_path:g/p:ref_type:tag:ref:v1",
    ci_config_ref_uri: "gitlab.com/g/p//.gitlab-ci.yml@refs/tags/v1",
    ci_config_sha: "7".repeat(40),
    runner_environment: "gitlab-hosted",
    project_path: "g/p",
    sha: "8".repeat(40),
    ref_type: "tag",
    ref: "v1",
    project_id: "3",
    namespace_path: "g",
    namespace_id: "4",
    pipeline_source: "push",
    job_id: "9",
    project_visibility: "public",
  };
  const found = principal(one("gitlab-pipeline"), gitlab);
  assert.equal(found.san.value, "https://gitlab.com/g/p//.gitlab-ci.yml@refs/tags/v1");
  assert.equal(found.claims.get("sourceRepositoryRef"), "refs/tags/v1");
  assert.equal(
    principal(one("gitlab-pipeline"), { ...gitlab, ref_type: "branch", ref: "main" }).claims.get("sourceRepositoryRef"),
    "refs/heads/main",
  );
  assert.equal(
    principal(one("buildkite-job"), { sub: "s", organization_slug: "o", pipeline_slug: "p" }).san.value,
    "https://buildkite.com/o/p",
  );
  assert.equal(
    principal(one("codefresh-workflow"), { sub: "s", account_id: "1", account_name: "a", pipeline_id: "2", pipeline_name: "n" })
      .san.value,
    "https://g.codefresh.io/a/n:1/2",
  );
  const chainguard = one("chainguard-identity");
  assert.deepEqual(
    [principal(chainguard, { sub: "abc" }).san.value, principal(chainguard, { sub: "abc" }).challenge],
    ["https://issuer.example.com/abc", "abc"],
  );
  assert.equal(principal(chainguard, { sub: "abc", email: "a@b.c", email_verified: true }).challenge, "a@b.c");
  assert.throws(() => principal(chainguard, { sub: "abc", email: "a@b.c" }), codeIs("TOKEN_CLAIMS"));
});

test("ci-provider: templates over the token's claims, merged over the defaults", () => {
  const [entry] = decodeIssuers({
    "oidc-issuers": { "https://ci.example.com": { "client-id": "sigstore", type: "ci-provider", "ci-provider": "mine" } },
    "ci-issuer-metadata": {
      mine: {
        "default-template-values": { url: "https://ci.example.com", kind: "branch" },
        "extension-templates": {
          "build-signer-uri": '{{ .url }}/{{ index . "mine.example/job" }}',
          "source-repository-ref": 'refs/ {{- if eq .kind "branch" -}} heads/ {{- else -}} tags/ {{- end -}} {{ .ref }}',
          "source-repository-digest": "sha",
          subject: "sub",
        },
        "subject-alternative-name-template": "{{ .url }}/{{ .ref }}",
      },
    },
  });
  const found = principal(entry!, { sub: "s", "mine.example/job": "j", ref: "main", sha: "1" });
  assert.deepEqual(Object.fromEntries(found.claims), {
    buildSignerURI: "https://ci.example.com/j",
    sourceRepositoryRef: "refs/heads/main",
    sourceRepositoryDigest: "1",
    tokenSubject: "s",
  });
  assert.equal(found.san.value, "https://ci.example.com/main");
  assert.equal(
    principal(entry!, { sub: "s", "mine.example/job": "j", ref: "v1", sha: "1", kind: "tag", url: "https://x.example" }).san
      .value,
    "https://x.example/v1",
    "claims win over defaults",
  );
  assert.throws(
    () =>
      decodeIssuers({
        "ci-issuer-metadata": { mine: { "extension-templates": { nonsense: "x" }, "subject-alternative-name-template": "x" } },
      }),
    codeIs("CONFIG_INVALID"),
  );
});

test("templates: what is not understood is refused when the configuration is read", () => {
  const values = new Map([
    ["a", "1"],
    ["b.c", "2"],
  ]);
  assert.equal(parseTemplate("a", "t")(values), "1");
  assert.equal(parseTemplate('x{{.a}}y{{index . "b.c"}}', "t")(values), "x1y2");
  assert.equal(parseTemplate('{{ if ne (index . "b.c") "2" }}p{{ else }}q{{ end }}', "t")(values), "q");
  assert.equal(parseTemplate('{{ if eq .a "1" }}{{ if eq .a "2" }}p{{ else }}q{{ end }}{{ end }}', "t")(values), "q");
  assert.throws(() => parseTemplate("{{ .missing }}", "t")(values), codeIs("TOKEN_CLAIMS"));
  for (const source of [
    "{{",
    "{{ }}",
    "{{ .a",
    "{{ end }}",
    "{{ else }}",
    '{{ if eq .a "1" }}',
    '{{ if eq .a "1" }}x{{ else }}y',
    "{{ if .a }}x{{ end }}",
    "{{ printf .a }}",
    "{{ .a | html }}",
    "{{ .a.b }}",
    "{{ $x }}",
    '{{ if eq .a "1" "2" }}x{{ end }}',
    "{{ range . }}{{ end }}",
    '{{ index .a "x" }}',
    `${'{{ if eq .a "1" }}'.repeat(20)}x${"{{ end }}".repeat(20)}`,
    `{{ .a }}${"x".repeat(5000)}`,
    "{{ .a `x` }}",
  ])
    assert.throws(() => parseTemplate(source, "t"), codeIs("CONFIG_INVALID"), source.slice(0, 60));
});

test("an own entry beside a document: the development provider is found by its exact address", () => {
  const table = createIssuerTable([
    emailIssuer("http://localhost:7800/oidc"),
    ...decodeIssuers({ "oidc-issuers": { "https://a.example": { "client-id": "s", type: "email" } } }),
  ]);
  assert.equal(table.find("http://localhost:7800/oidc")!.clientId, "sigstore");
  assert.equal(table.find("http://localhost:7800/oidc/"), undefined);
  assert.equal(table.entries.length, 2);
});
