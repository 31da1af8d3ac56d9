// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { test, type TestContext } from "node:test";
import { toBase64, utf8 } from "../bytes/index.ts";
import { formatPem } from "../codec/index.ts";
import { LacreError, type LacreCode } from "../errors.ts";
import { decodeTimestampRequest } from "../x509/index.ts";
import {
  createAuthorityClient,
  createClockClient,
  createCtClient,
  createLedgerClient,
  dsseRequest,
  hashedRekordRequest,
} from "./index.ts";

interface Seen {
  readonly method: string | undefined;
  readonly url: string | undefined;
  readonly headers: IncomingMessage["headers"];
  readonly body: Buffer;
}

/** A server of ours on loopback, and what it saw. */
async function serve(
  t: TestContext,
  answer: (seen: Seen, response: ServerResponse, count: number) => void,
): Promise<{ url: string; seen: Seen[] }> {
  const seen: Seen[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const one = { method: request.method, url: request.url, headers: request.headers, body: Buffer.concat(chunks) };
      seen.push(one);
      answer(one, response, seen.length);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen };
}

const json = (response: ServerResponse, status: number, body: unknown, headers: Record<string, string> = {}): void =>
  void response.writeHead(status, { "content-type": "application/json", ...headers }).end(JSON.stringify(body));

async function refusal(work: Promise<unknown>): Promise<LacreError> {
  const error = await work.then(
    () => assert.fail("accepted"),
    (cause: unknown) => cause,
  );
  assert.ok(error instanceof LacreError, String(error));
  return error;
}

async function refusedWith(code: LacreCode, work: Promise<unknown>): Promise<LacreError> {
  const error = await refusal(work);
  assert.equal(error.code, code, error.message);
  return error;
}

const CERT = new Uint8Array([0x30, 3, 2, 1, 1]);
const PEM = formatPem("CERTIFICATE", CERT).trim();
const CHAIN = { signedCertificateEmbeddedSct: { chain: { certificates: [PEM, PEM] } } };
const TOKEN = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJtZSJ9.c2lnbmF0dXJl";
const fast = { fetch, sleep: async () => undefined };
const csr = new Uint8Array([0x30, 0]);

test("the authority is asked with the token in the header alone", async (t) => {
  const { url, seen } = await serve(t, (_, response) => json(response, 200, CHAIN));
  const chain = await createAuthorityClient({ url: `${url}/`, ...fast }).signingCertificate({ token: TOKEN, csr });
  assert.deepEqual(chain.map(toBase64), [toBase64(CERT), toBase64(CERT)]);
  assert.equal(seen[0]!.url, "/api/v2/signingCert");
  assert.equal(seen[0]!.headers.authorization, `Bearer ${TOKEN}`);
  assert.ok(!seen[0]!.body.includes(TOKEN));
  assert.match(
    Buffer.from(JSON.parse(seen[0]!.body.toString()).certificateSigningRequest, "base64").toString(),
    /^-----BEGIN CERTIFICATE REQUEST-----\n/,
  );
});

test("a key with its proof is sent in the API's other form", async (t) => {
  const { url, seen } = await serve(t, (_, response) => json(response, 200, CHAIN));
  await createAuthorityClient({ url, ...fast }).signingCertificate({ token: TOKEN, spki: CERT, proof: new Uint8Array([1, 2]) });
  const body = JSON.parse(seen[0]!.body.toString());
  assert.equal(body.publicKeyRequest.proofOfPossession, "AQI=");
  assert.equal(body.publicKeyRequest.publicKey.algorithm, "ECDSA");
});

test("only the status that the API promises is success", async (t) => {
  for (const status of [201, 202, 204]) {
    const { url } = await serve(t, (_, response) => json(response, status, CHAIN));
    await refusedWith("SERVICE_REFUSED", createAuthorityClient({ url, ...fast }).signingCertificate({ token: TOKEN, csr }));
  }
  const { url } = await serve(t, (_, response) => json(response, 200, {}));
  await refusedWith("SERVICE_REFUSED", createLedgerClient({ url, ...fast }).addEntry({}));
});

test("a refusal carries the service's words and never the token", async (t) => {
  const { url, seen } = await serve(t, (_, response) =>
    json(response, 400, { code: 3, message: `bad token ${TOKEN}\u001b[2J\nsecond line` }),
  );
  const error = await refusedWith(
    "SERVICE_REFUSED",
    createAuthorityClient({ url, ...fast }).signingCertificate({ token: TOKEN, csr }),
  );
  assert.match(error.message, /bad token <token> \[2J second line/);
  assert.ok(!JSON.stringify([error.message, error.found, error.expected, error.stack, String(error.cause)]).includes(TOKEN));
  assert.equal(seen.length, 1, "a definite no is not repeated");
});

test("408, 429 and 5xx are tried again, other refusals are not", async (t) => {
  for (const status of [408, 429, 500, 502, 503, 504]) {
    const { url, seen } = await serve(t, (_, response, count) =>
      count < 3 ? json(response, status, {}) : json(response, 200, CHAIN),
    );
    await createAuthorityClient({ url, ...fast }).signingCertificate({ token: TOKEN, csr });
    assert.equal(seen.length, 3);
  }
  const { url, seen } = await serve(t, (_, response) => json(response, 501, {}));
  await refusedWith("SERVICE_REFUSED", createAuthorityClient({ url, ...fast }).signingCertificate({ token: TOKEN, csr }));
  assert.equal(seen.length, 1);
});

test("attempts are bounded, and what is left is unreachable", async (t) => {
  const { url, seen } = await serve(t, (_, response) => json(response, 503, { message: "busy" }));
  const error = await refusedWith(
    "SERVICE_UNREACHABLE",
    createAuthorityClient({ url, ...fast, retries: 2 }).signingCertificate({ token: TOKEN, csr }),
  );
  assert.match(error.message, /busy/);
  assert.equal(seen.length, 3);
});

test("Retry-After is obeyed, and a wait too long is told instead of kept", async (t) => {
  const waits: number[] = [];
  const sleep = async (ms: number): Promise<void> => void waits.push(ms);
  const { url } = await serve(t, (_, response, count) =>
    count === 1 ? json(response, 429, {}, { "retry-after": "3" }) : json(response, 200, CHAIN),
  );
  await createAuthorityClient({ url, fetch, sleep }).signingCertificate({ token: TOKEN, csr });
  assert.deepEqual(waits, [3000]);
  const slow = await serve(t, (_, response) => json(response, 429, {}, { "retry-after": "3600" }));
  await refusedWith(
    "SERVICE_UNREACHABLE",
    createAuthorityClient({ url: slow.url, fetch, sleep }).signingCertificate({ token: TOKEN, csr }),
  );
  assert.equal(slow.seen.length, 1);
});

test("delays grow, and stay under their bound", async (t) => {
  const waits: number[] = [];
  const { url } = await serve(t, (_, response) => json(response, 500, {}));
  await refusedWith(
    "SERVICE_UNREACHABLE",
    createAuthorityClient({ url, fetch, retries: 9, sleep: async (ms) => void waits.push(ms) }).signingCertificate({
      token: TOKEN,
      csr,
    }),
  );
  assert.equal(waits.length, 9);
  waits.forEach((ms, attempt) => assert.ok(ms >= 0 && ms <= Math.min(10_000, 200 * 2 ** attempt)));
});

test("a POST is never redirected", async (t) => {
  const target = await serve(t, (_, response) => json(response, 200, CHAIN));
  for (const status of [301, 302, 303, 307, 308]) {
    const { url } = await serve(
      t,
      (_, response) => void response.writeHead(status, { location: `${target.url}/api/v2/signingCert` }).end(),
    );
    const error = await refusedWith(
      "SERVICE_REFUSED",
      createAuthorityClient({ url, ...fast }).signingCertificate({ token: TOKEN, csr }),
    );
    assert.match(error.message, /redirect/);
  }
  assert.equal(target.seen.length, 0);
});

test("an endless answer is cut off", async (t) => {
  let sent = 0;
  const { url } = await serve(t, (_, response) => {
    response.writeHead(200, { "content-type": "application/json" });
    const pour = (): void => {
      while (!response.destroyed && sent < 64 << 20 && response.write(Buffer.alloc(1 << 16))) sent += 1 << 16;
    };
    response.on("drain", pour);
    pour();
  });
  await refusedWith(
    "SERVICE_ANSWER_INVALID",
    createAuthorityClient({ url, ...fast, maxBytes: 1 << 18 }).signingCertificate({ token: TOKEN, csr }),
  );
  assert.ok(sent < 16 << 20, `${sent}`);
});

test("a fetch without streams is bounded too", async () => {
  const answer = (length: number, stated: string | null) => async () => ({
    status: 200,
    headers: { get: () => stated },
    arrayBuffer: async () => new ArrayBuffer(length),
  });
  for (const client of [answer(10, "9999"), answer(9999, null)]) {
    await refusedWith(
      "SERVICE_ANSWER_INVALID",
      createAuthorityClient({ url: "http://a.example", fetch: client, maxBytes: 1000 }).signingCertificate({ token: TOKEN, csr }),
    );
  }
});

test("silence ends at the time limit", async (t) => {
  const { url } = await serve(t, () => undefined);
  const error = await refusedWith(
    "SERVICE_UNREACHABLE",
    createAuthorityClient({ url, ...fast, timeoutMs: 50, retries: 1 }).signingCertificate({ token: TOKEN, csr }),
  );
  assert.match(error.message, /no answer within 50 ms/);
});

test("an aborted call ends without another attempt", async (t) => {
  const stop = new AbortController();
  const { url, seen } = await serve(t, () => stop.abort());
  await refusedWith(
    "SERVICE_UNREACHABLE",
    createAuthorityClient({ url, ...fast, signal: stop.signal }).signingCertificate({ token: TOKEN, csr }),
  );
  assert.equal(seen.length, 1);
});

test("a refused connection names its reason", async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  const error = await refusedWith(
    "SERVICE_UNREACHABLE",
    createAuthorityClient({ url: `http://127.0.0.1:${port}`, ...fast, retries: 0 }).signingCertificate({ token: TOKEN, csr }),
  );
  assert.match(error.message, /ECONNREFUSED/);
});

test("an address that is no http URL is misuse", async () => {
  for (const url of ["file:///etc/passwd", "not a url", "ftp://host"]) {
    await assert.rejects(createAuthorityClient({ url, ...fast }).signingCertificate({ token: TOKEN, csr }), TypeError);
  }
});

test("answers are decoded strictly", async (t) => {
  const bad: unknown[] = [
    null,
    [],
    {},
    { signedCertificateDetachedSct: { chain: { certificates: [PEM] } } },
    { signedCertificateEmbeddedSct: {} },
    { signedCertificateEmbeddedSct: { chain: { certificates: [] } } },
    { signedCertificateEmbeddedSct: { chain: { certificates: [1] } } },
    { signedCertificateEmbeddedSct: { chain: { certificates: ["x"] } } },
    { signedCertificateEmbeddedSct: { chain: { certificates: Array(11).fill(PEM) } } },
  ];
  for (const body of bad) {
    const { url } = await serve(t, (_, response) => json(response, 200, body));
    await refusedWith(
      "SERVICE_ANSWER_INVALID",
      createAuthorityClient({ url, ...fast }).signingCertificate({ token: TOKEN, csr }),
    );
  }
  const { url } = await serve(t, (_, response) => json(response, 201, { logIndex: "-1" }));
  await refusedWith("SERVICE_ANSWER_INVALID", createLedgerClient({ url, ...fast }).addEntry({}));
});

test("entry requests have the shapes of the API", () => {
  const verifier = { kind: "certificate", der: new Uint8Array([1]), keyDetails: "PKIX_ECDSA_P256_SHA_256" } as const;
  assert.deepEqual(hashedRekordRequest(new Uint8Array([2]), new Uint8Array([3]), verifier), {
    hashedRekordRequestV002: {
      digest: "Ag==",
      signature: { content: "Aw==", verifier: { x509Certificate: { rawBytes: "AQ==" }, keyDetails: "PKIX_ECDSA_P256_SHA_256" } },
    },
  });
  assert.deepEqual(dsseRequest(utf8("p"), "t", new Uint8Array([3]), "", { ...verifier, kind: "publicKey" }), {
    dsseRequestV002: {
      envelope: { payload: "cA==", payloadType: "t", signatures: [{ sig: "Aw==", keyid: "" }] },
      verifiers: [{ publicKey: { rawBytes: "AQ==" }, keyDetails: "PKIX_ECDSA_P256_SHA_256" }],
    },
  });
});

test("the clock is asked at the whole address, with a nonce, and a reply to another question is refused", async (t) => {
  const { url, seen } = await serve(
    t,
    (_, response) =>
      void response.writeHead(200, { "content-type": "application/timestamp-reply" }).end(Buffer.from("3003020102", "hex")),
  );
  await refusedWith(
    "SERVICE_ANSWER_INVALID",
    createClockClient({ url: `${url}/api/v1/timestamp`, ...fast }).timestamp(utf8("signature")),
  );
  assert.equal(seen[0]!.url, "/api/v1/timestamp");
  assert.equal(seen[0]!.headers["content-type"], "application/timestamp-query");
  const request = decodeTimestampRequest(seen[0]!.body);
  assert.equal(request.imprint.hash, "sha256");
  assert.equal(request.nonce?.length, 8);
  assert.equal(request.certReq, false);
});

test("an SCT is read from its JSON form", async (t) => {
  const good = {
    sct_version: 0,
    id: toBase64(new Uint8Array(32).fill(7)),
    timestamp: 1_700_000_000_000,
    extensions: "",
    signature: toBase64(new Uint8Array([4, 3, 0, 2, 9, 9])),
  };
  const { url, seen } = await serve(t, (_, response) => json(response, 200, good));
  const sct = await createCtClient({ url, ...fast }).addPreChain([CERT, CERT]);
  assert.equal(sct.timestampMs, 1_700_000_000_000);
  assert.equal(seen[0]!.url, "/ct/v1/add-pre-chain");
  for (const change of [{ sct_version: 1 }, { id: "AAAA" }, { timestamp: 1.5 }, { signature: "AAAA" }, { timestamp: -1 }]) {
    const bad = await serve(t, (_, response) => json(response, 200, { ...good, ...change }));
    await refusedWith("SERVICE_ANSWER_INVALID", createCtClient({ url: bad.url, ...fast }).addPreChain([CERT]));
  }
});
