// SPDX-License-Identifier: Apache-2.0
/**
 * What happens at the door, counted: under names of our own for every route, and under the names that each peer uses for
 * its own API, where they mean the same. A dashboard made for Rekor, Fulcio or the timestamp authority finds them.
 *
 * The peers differ: Rekor v1 and the timestamp authority write methods in capitals, count by path and measure latency in
 * nanoseconds; Rekor v2 and Fulcio write methods in small letters, do not name paths and measure in seconds.
 */
import { METHODS } from "node:http";
import type { BrokenReason, EdgeObserver } from "../edge/index.ts";
import { SERVICE_CODES } from "../errors.ts";
import type { Metrics } from "./registry.ts";

type Answered = Parameters<EdgeObserver["answered"]>[0];

/** Seconds, from a cached file to a client that gave up. */
const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 10, 30];
/** Ten steps from a millisecond to four seconds, in nanoseconds, as Rekor v1 has them. */
const NANOSECONDS = Array.from({ length: 10 }, (_, at) => 1e6 * 4000 ** (at / 9));
const OCTETS = [256, 1024, 4096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304];

const BROKEN: ReadonlySet<BrokenReason> = new Set<BrokenReason>([
  "malformed",
  "timeout",
  "headers too large",
  "full",
  "pipelining",
  "held too much",
]);
const STATUSES: ReadonlySet<string> = new Set(Array.from({ length: 500 }, (_, at) => String(100 + at)));
const UPPER: ReadonlySet<string> = new Set(METHODS);
const LOWER: ReadonlySet<string> = new Set(METHODS.map((method) => method.toLowerCase()));

const FULCIO = /^\/api\/v[12]\/(?:signingCert|trustBundle|configuration|rootCert)$/;
const REKOR_V1 = /^\/api\/v1\/(?:log|index)(?:\/|$)/;
const REKOR_V2 = /^\/api\/v2\/(?:log\/entries$|checkpoint$|tile\/)/;
const TSA = /^\/api\/v1\/timestamp(?:\/|$)/;

/** Counts what the edge tells. */
export function observeDoors(metrics: Metrics): EdgeObserver {
  const paths = new Set(["unmatched"]);
  const codes = new Set(Object.keys(SERVICE_CODES));
  const byPath = { path: paths, method: UPPER, code: STATUSES };

  const requests = metrics.counter({
    name: "lacre_http_requests_total",
    help: "Requests by route, method and status (499: the client was gone).",
    labels: byPath,
  });
  const seconds = metrics.histogram(
    {
      name: "lacre_http_request_duration_seconds",
      help: "Time from a request's headers to the end of its answer.",
      labels: { path: paths, method: UPPER },
    },
    SECONDS,
  );
  const refusals = metrics.counter({
    name: "lacre_refusals_total",
    help: "Refused and failed requests by code; docs/errors.md says what each means.",
    labels: { code: codes },
  });
  const broken = metrics.counter({
    name: "lacre_http_broken_total",
    help: "Connections ended without an answer to a request, or to protect the others, by reason.",
    labels: { reason: BROKEN },
  });
  // From nothing to one is no increase that a rule can see; from zero to one is.
  for (const code of codes) refusals.add({ code }, 0);
  for (const reason of BROKEN) broken.add({ reason }, 0);
  const all = metrics.counter({
    name: "http_requests_total",
    help: "All HTTP requests.",
    labels: { code: STATUSES, method: LOWER },
  });

  const fulcioCertificates = metrics.counter({ name: "fulcio_new_certs", help: "Certificates given out." });
  fulcioCertificates.add({}, 0);
  const fulcioLatency = metrics.histogram(
    { name: "fulcio_api_latency", help: "Time of the authority's calls in seconds.", labels: { code: STATUSES, method: LOWER } },
    SECONDS,
  );
  const rekor1Requests = metrics.counter({
    name: "rekor_qps_by_api",
    help: "Requests to the ledger in the v1 dialect.",
    labels: byPath,
  });
  const rekor1Latency = metrics.histogram(
    {
      name: "rekor_latency_by_api",
      help: "Time of calls in the v1 dialect in nanoseconds.",
      labels: { path: paths, method: UPPER },
    },
    NANOSECONDS,
  );
  const rekor2Requests = metrics.counter({
    name: "rekor_v2_http_requests_total",
    help: "Requests to the ledger in the v2 dialect.",
    labels: { code: STATUSES, method: LOWER },
  });
  const rekor2Latency = metrics.histogram(
    {
      name: "rekor_v2_http_api_latency",
      help: "Time of calls in the v2 dialect in seconds.",
      labels: { code: STATUSES, method: LOWER },
    },
    SECONDS,
  );
  const rekor2Size = metrics.histogram(
    {
      name: "rekor_v2_http_api_request_size",
      help: "Octets of requests in the v2 dialect.",
      labels: { code: STATUSES, method: LOWER },
    },
    OCTETS,
  );
  const tsaRequests = metrics.counter({
    name: "timestamp_authority_http_requests_total",
    help: "Requests to the clock.",
    labels: byPath,
  });
  const tsaLatency = metrics.histogram(
    {
      name: "timestamp_authority_latency_by_api",
      help: "Time of the clock's calls in nanoseconds.",
      labels: { path: paths, method: UPPER },
    },
    NANOSECONDS,
  );

  function countForPeer(path: string, route: string, { method, status, seconds: took, bodyOctets }: Answered): void {
    const code = String(status);
    const lower = { code, method: method.toLowerCase() };
    if (REKOR_V2.test(route)) {
      rekor2Requests.add(lower);
      rekor2Latency.observe(lower, took);
      rekor2Size.observe(lower, bodyOctets);
    } else if (REKOR_V1.test(route)) {
      rekor1Requests.add({ path, method, code });
      rekor1Latency.observe({ path, method }, took * 1e9);
    } else if (FULCIO.test(route)) {
      fulcioLatency.observe(lower, took);
      if (method === "POST" && status < 300) fulcioCertificates.add({});
    } else if (TSA.test(route)) {
      tsaRequests.add({ path, method, code });
      tsaLatency.observe({ path, method }, took * 1e9);
    }
  }

  return {
    route: (pattern) => void paths.add(nameOf(pattern)),
    answered(answer) {
      const { route, method, status, seconds: took } = answer;
      const path = nameOf(route);
      requests.add({ path, method, code: String(status) });
      seconds.observe({ path, method }, took);
      all.add({ code: String(status), method: method.toLowerCase() });
      countForPeer(path, route, answer);
    },
    refused: (code) => refusals.add({ code }),
    broken: (reason) => broken.add({ reason }),
  };
}

/** A route's pattern as the peers write theirs: `/entries/:uuid` is `/entries/{uuid}`. */
function nameOf(pattern: string): string {
  return pattern.replaceAll(/:(\w+)/g, "{$1}");
}
