// SPDX-License-Identifier: Apache-2.0
/** How long everything is valid that expires, in one gauge, and under the timestamp authority's name what its upstream shows. */
import type { Expiry } from "../health/index.ts";
import type { Metrics, Reading } from "./registry.ts";

const DAY_MS = 86_400_000;

/** Shows the days left of each of these; less than nothing once it has expired. */
export function measureExpiries(metrics: Metrics, expiries: () => readonly Expiry[], now: () => number): void {
  const days = (untilMs: number): number => (untilMs - now()) / DAY_MS;
  const labels = { what: new Set(expiries().map(({ what }) => what)) };
  metrics.gauge(
    { name: "lacre_expiry_days", help: "Days until a certificate or a document of the trust repository expires.", labels },
    function* (): Reading<"what"> {
      for (const { what, untilMs } of expiries()) yield [{ what }, days(untilMs)];
    },
  );
  metrics.gauge(
    {
      name: "timestamp_authority_certificate_valid_days_remaining",
      help: "Days until the first of the clock's certificates expires.",
    },
    function* (): Reading<never> {
      const clock = expiries().filter(({ what }) => what === "tsa" || what.startsWith("tsa-"));
      if (clock.length > 0) yield [{}, Math.min(...clock.map(({ untilMs }) => days(untilMs)))];
    },
  );
}
