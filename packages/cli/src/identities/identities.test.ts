// SPDX-License-Identifier: Apache-2.0
// Every ambient identity against a stand-in that speaks what its place documents.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync, chmodSync } from "node:fs";
import { createServer, type IncomingMessage, type Server } from "node:http";
import { createServer as createHttp2Server, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test, type TestContext } from "node:test";
import { createWorld, type World } from "../../../../test/cli/world.ts";
import { obtainToken } from "../identity.ts";
import { askAround, askProvider, PROVIDERS } from "./index.ts";
import { decodeResponse } from "./spiffe.ts";

const folder = mkdtempSync(join(tmpdir(), "lacre-identities-"));
after(() => rmSync(folder, { recursive: true, force: true }));

const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");
const jwt = (aud: string, more: object = {}): string =>
  `${part({ alg: "RS256" })}.${part({ iss: "https://place.example", sub: "job", aud, exp: 4e9, ...more })}.c2ln`;
const TOKEN = jwt("sigstore");

interface Asked {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

/** A service on loopback that answers everything alike. */
async function serve(
  t: TestContext,
  answer: (asked: Asked) => { status?: number; body: string | object; headers?: Record<string, string> },
): Promise<{ host: string; url: string; asked: Asked[] }> {
  const asked: Asked[] = [];
  const server: Server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on("data", (chunk: Buffer) => parts.push(chunk));
    request.on("end", () => {
      const one = { method: request.method!, url: request.url!, headers: request.headers, body: Buffer.concat(parts).toString() };
      asked.push(one);
      const { status = 200, body, headers = {} } = answer(one);
      response.writeHead(status, headers).end(typeof body === "string" ? body : JSON.stringify(body));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { host, url: `http://${host}`, asked };
}

const world = (env: Record<string, string>): World => createWorld({ env, fetch: (url, init) => fetch(url, init) });
const isPresent = (env: Record<string, string>): string[] =>
  PROVIDERS.filter((one) => one.isPresent(world(env).context)).map(({ name }) => name);

test("GitHub Actions: the runner's service is asked for the audience, with the job's secret", async (t) => {
  const { url, asked } = await serve(t, () => ({ body: { value: TOKEN } }));
  const env = { ACTIONS_ID_TOKEN_REQUEST_URL: `${url}/token?api-version=2.0`, ACTIONS_ID_TOKEN_REQUEST_TOKEN: "secret" };
  assert.deepEqual(isPresent(env), ["github-actions"]);
  assert.equal(await askAround(world(env).context, "sigstore"), TOKEN);
  assert.deepEqual(
    [asked[0]!.method, asked[0]!.url, asked[0]!.headers.authorization],
    ["GET", "/token?api-version=2.0&audience=sigstore", "bearer secret"],
  );
  await assert.rejects(askProvider(world({}).context, "github-actions", "sigstore"), /may not have a token/);
});

test("Buildkite: the agent's API is asked for the job's token", async (t) => {
  const { url, asked } = await serve(t, () => ({ status: 201, body: { token: TOKEN } }));
  const env = { BUILDKITE_AGENT_ACCESS_TOKEN: "secret", BUILDKITE_JOB_ID: "job/1", BUILDKITE_AGENT_ENDPOINT: `${url}/v3/` };
  assert.deepEqual(isPresent(env), ["buildkite-agent"]);
  assert.equal(await askAround(world(env).context, "sigstore"), TOKEN);
  assert.deepEqual(
    [asked[0]!.method, asked[0]!.url, asked[0]!.headers.authorization, asked[0]!.body],
    ["POST", "/v3/jobs/job%2F1/oidc/tokens", "Token secret", '{"audience":"sigstore"}'],
  );
});

test("Google: the metadata server, and an account by impersonation", async (t) => {
  const { url, host, asked } = await serve(t, ({ url: path }) =>
    path.includes("/token")
      ? { body: { access_token: "access" } }
      : path.includes("generateIdToken")
        ? { body: { token: jwt("sigstore", { sub: "account" }) } }
        : { body: TOKEN },
  );
  assert.equal(await askProvider(world({ GCE_METADATA_HOST: host }).context, "google", "sigstore"), TOKEN);
  assert.deepEqual(
    [asked[0]!.url, asked[0]!.headers["metadata-flavor"]],
    ["/computeMetadata/v1/instance/service-accounts/default/identity?audience=sigstore&format=full", "Google"],
  );
  const env = {
    GCE_METADATA_HOST: host,
    GOOGLE_SERVICE_ACCOUNT_NAME: "a@b.iam",
    CLOUDSDK_API_ENDPOINT_OVERRIDES_IAMCREDENTIALS: `${url}/`,
  };
  assert.deepEqual(isPresent(env), ["google"]);
  assert.equal(await askAround(world(env).context, "sigstore"), jwt("sigstore", { sub: "account" }));
  const last = asked.at(-1)!;
  assert.deepEqual(
    [last.url, last.headers.authorization, last.body],
    ["/v1/projects/-/serviceAccounts/a%40b.iam:generateIdToken", "Bearer access", '{"audience":"sigstore","includeEmail":true}'],
  );
});

test("GitLab: the variable of the audience's name", async () => {
  assert.equal(await askAround(world({ GITLAB_CI: "true", SIGSTORE_ID_TOKEN: TOKEN }).context, "sigstore"), TOKEN);
  assert.equal(await askAround(world({ GITLAB_CI: "true", MY_AUD_ID_TOKEN: jwt("my-aud") }).context, "my-aud"), jwt("my-aud"));
  await assert.rejects(askAround(world({ GITLAB_CI: "true" }).context, "sigstore"), /SIGSTORE_ID_TOKEN is not set/);
});

test("CircleCI: the job's token if it is for us, else the job's program", async () => {
  const env = { CIRCLECI: "true", CIRCLE_OIDC_TOKEN_V2: TOKEN, PATH: folder };
  assert.equal(await askAround(world(env).context, "sigstore"), TOKEN);
  await assert.rejects(
    askAround(world({ ...env, CIRCLE_OIDC_TOKEN_V2: jwt("org") }).context, "sigstore"),
    /its token is for org, not for sigstore/,
  );
  const program = join(folder, "circleci");
  writeFileSync(program, `#!/bin/sh\n[ "$*" = 'run oidc get --claims {"aud":"sigstore"}' ] && echo ${TOKEN}\n`);
  chmodSync(program, 0o755);
  assert.equal(await askAround(world({ ...env, CIRCLE_OIDC_TOKEN_V2: jwt("org") }).context, "sigstore"), TOKEN);
  rmSync(program);
});

test("token files: Kubernetes, EKS, Azure; one that is for another audience stays here", async () => {
  const path = join(folder, "token");
  writeFileSync(path, `${TOKEN}\n`);
  for (const [name, variable] of [
    ["filesystem", "LACRE_ID_TOKEN_FILE"],
    ["aws", "AWS_WEB_IDENTITY_TOKEN_FILE"],
    ["azure", "AZURE_FEDERATED_TOKEN_FILE"],
  ] as const) {
    assert.deepEqual(isPresent({ [variable]: path }), [name]);
    assert.equal(await askAround(world({ [variable]: path }).context, "sigstore"), TOKEN);
    assert.deepEqual(isPresent({ [variable]: `${path}.missing` }), []);
  }
  writeFileSync(path, jwt("sts.amazonaws.com"));
  await assert.rejects(
    askAround(world({ AWS_WEB_IDENTITY_TOKEN_FILE: path }).context, "sigstore"),
    /its token is for sts\.amazonaws\.com, not for sigstore/,
  );
  writeFileSync(path, "x".repeat(100_000));
  await assert.rejects(askProvider(world({ LACRE_ID_TOKEN_FILE: path }).context, "filesystem", "sigstore"), /holds no token/);
});

function frame(...fields: readonly (readonly [number, Buffer])[]): Buffer {
  const message = Buffer.concat(
    fields.map(([number, value]) =>
      Buffer.concat([Buffer.from([(number << 3) | 2, (value.length & 0x7f) | 0x80, value.length >> 7]), value]),
    ),
  );
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

async function serveSpiffe(
  t: TestContext,
  path: string,
  answer: (stream: ServerHttp2Stream, request: Buffer) => void,
): Promise<string[]> {
  const seen: string[] = [];
  const server = createHttp2Server();
  server.on("stream", (stream, headers) => {
    seen.push(`${String(headers[":path"])} ${String(headers["workload.spiffe.io"])} ${String(headers["content-type"])}`);
    const parts: Buffer[] = [];
    stream.on("data", (chunk: Buffer) => parts.push(chunk));
    stream.on("end", () => answer(stream, Buffer.concat(parts)));
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  t.after(() => server.close());
  return seen;
}

test("SPIFFE: the agent's workload API over its socket", async (t) => {
  const path = join(folder, "api.sock");
  let request: Buffer = Buffer.alloc(0);
  const svid = frame([1, Buffer.from("spiffe://x")], [2, Buffer.from(TOKEN)]).subarray(5);
  let answer = frame([1, svid]);
  let status = "0";
  const seen = await serveSpiffe(t, path, (stream, given) => {
    request = given;
    stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": status }));
    stream.end(answer);
  });
  const env = { SPIFFE_ENDPOINT_SOCKET: `unix://${path}` };
  assert.deepEqual(isPresent(env), ["spiffe"]);
  assert.equal(await askAround(world(env).context, "sigstore"), TOKEN);
  assert.deepEqual(seen, ["/SpiffeWorkloadAPI/FetchJWTSVID true application/grpc"]);
  assert.deepEqual(request, Buffer.concat([Buffer.from([0, 0, 0, 0, 10, 0x0a, 8]), Buffer.from("sigstore")]));
  assert.equal(await askAround(world({ SPIFFE_ENDPOINT_SOCKET: path }).context, "sigstore"), TOKEN);
  status = "7";
  await assert.rejects(askProvider(world(env).context, "spiffe", "sigstore"), /knows no identity for this workload/);
  status = "0";
  answer = frame();
  await assert.rejects(askProvider(world(env).context, "spiffe", "sigstore"), /gives this workload no identity/);
  await assert.rejects(
    askProvider(world({ SPIFFE_ENDPOINT_SOCKET: join(folder, "none") }).context, "spiffe", "sigstore"),
    /ENOENT/,
  );
  await assert.rejects(askProvider(world({ SPIFFE_ENDPOINT_SOCKET: "http://x" }).context, "spiffe", "sigstore"), /neither unix/);
  for (const bad of [
    Buffer.alloc(3),
    Buffer.from([1, 0, 0, 0, 0]),
    Buffer.from([0, 0, 0, 0, 2, 0x08, 1]),
    Buffer.from([0, 0, 0, 0, 2, 0x0a, 9]),
    Buffer.from([0, 0, 0, 0, 5, 0x0a, 0xff, 0xff, 0xff, 0xff]),
    frame([1, Buffer.from([0x0a, 1, 65])]),
  ])
    assert.throws(() => decodeResponse(bad), { code: "TOKEN_MISSING" });
});

test("a secret is sent neither without TLS to another machine nor along a redirect, and enters no error", async (t) => {
  const env = { ACTIONS_ID_TOKEN_REQUEST_URL: "http://runner.example/token", ACTIONS_ID_TOKEN_REQUEST_TOKEN: "s3cret" };
  await assert.rejects(askAround(world(env).context, "sigstore"), /without TLS/);
  const { url, asked } = await serve(t, () => ({ status: 302, body: "s3cret", headers: { location: "/elsewhere" } }));
  await assert.rejects(
    askAround(world({ ...env, ACTIONS_ID_TOKEN_REQUEST_URL: url }).context, "sigstore"),
    (error: Error) => /status 302/.test(error.message) && !/s3cret/.test(error.message),
  );
  assert.equal(asked.length, 1);
  const odd = await serve(t, () => ({ body: { value: "not a token s3cret" } }));
  const told = world({ ...env, ACTIONS_ID_TOKEN_REQUEST_URL: odd.url });
  await assert.rejects(askAround(told.context, "sigstore"), (error: Error) => !/s3cret/.test(error.message));
  assert.doesNotMatch(told.stderr(), /s3cret/);
});

test("one place that fails does not bar the next; all of them off is off; a name asks that one alone", async (t) => {
  const { url } = await serve(t, () => ({ status: 500, body: "" }));
  const env = {
    ACTIONS_ID_TOKEN_REQUEST_URL: url,
    ACTIONS_ID_TOKEN_REQUEST_TOKEN: "x",
    GITLAB_CI: "true",
    SIGSTORE_ID_TOKEN: TOKEN,
  };
  const told = world(env);
  assert.equal(await askAround(told.context, "sigstore"), TOKEN);
  assert.match(told.stderr(), /github-actions: .* status 500/);
  const none = { identityToken: undefined, oidcIssuer: undefined } as never;
  await assert.rejects(
    obtainToken(world(env).context, { ...(none as object), oidcDisableAmbientProviders: true } as never, [], false),
    /no identity token/,
  );
  await assert.rejects(
    obtainToken(world(env).context, { ...(none as object), oidcProvider: "github-actions" } as never, [], false),
    /status 500/,
  );
  await assert.rejects(obtainToken(world(env).context, { ...(none as object), oidcProvider: "jenkins" } as never, [], false), {
    code: "USAGE",
  });
  assert.equal(await obtainToken(world(env).context, none, [], false), TOKEN);
  assert.equal(await askAround(world({}).context, "sigstore"), undefined);
});
