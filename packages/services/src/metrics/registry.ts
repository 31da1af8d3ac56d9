// SPDX-License-Identifier: Apache-2.0
/**
 * Counters, gauges and histograms in Prometheus' text format: the little that is needed of the client library.
 *
 * Labels are bounded by construction: a metric is made with the values that each of its labels may have, and anything else
 * counts as `other`. A series therefore never begins with something that a client sent (CVE-2026-49835 of another
 * timestamp authority: labels from requests, memory without bound).
 */
import { Counter, Gauge, Histogram, Registry } from "@prometheus-io/client";

/** Which values a label may have; a set may still grow while routes are made. */
export type Values = ReadonlySet<string>;

/** What a metric is: its name, what it says, and its labels with their values. */
export interface Description<L extends string> {
  readonly name: string;
  readonly help: string;
  readonly labels?: Readonly<Record<L, Values>>;
}

export type Labels<L extends string> = Readonly<Record<L, string>>;

/** Only goes up. */
export interface Count<L extends string> {
  add(labels: Labels<L>, by?: number): void;
}

/** Shows what `read` gives out, each time it is asked for. */
export type Reading<L extends string> = Iterable<readonly [labels: Labels<L>, value: number]>;

/** Collects how often which sizes occur. */
export interface Distribution<L extends string> {
  observe(labels: Labels<L>, value: number): void;
}

/** What a process measures. */
export interface Metrics {
  counter<L extends string = never>(what: Description<L>): Count<L>;
  gauge<L extends string = never>(what: Description<L>, read: () => Reading<L>): void;
  /** As a gauge, for what only goes up and is counted elsewhere. */
  total<L extends string = never>(what: Description<L>, read: () => Reading<L>): void;
  histogram<L extends string = never>(what: Description<L>, buckets: readonly number[]): Distribution<L>;
  /** The text that a scraper reads. */
  text(): Promise<string>;
  readonly contentType: string;
  /** Names of all metrics. */
  names(): readonly string[];
}

const OTHER = "other";

export function createMetrics(): Metrics {
  const registry = new Registry();
  const registers = [registry] as never;

  function bound<L extends string>({ labels }: Description<L>): (given: Labels<L>) => Record<string, string> {
    const sets = Object.entries(labels ?? {}) as [L, Values][];
    return (given) => {
      const out: Record<string, string> = {};
      for (const [name, values] of sets) out[name] = values.has(given[name]) ? given[name] : OTHER;
      return out;
    };
  }
  const base = <L extends string>({ name, help, labels }: Description<L>) => ({
    name,
    help,
    labelNames: Object.keys(labels ?? {}),
    registers,
  });

  return {
    counter(what) {
      const counter = new Counter<string>(base(what));
      const keep = bound(what);
      return { add: (labels, by = 1) => counter.inc(keep(labels), by) };
    },
    gauge(what, read) {
      const keep = bound(what);
      new Gauge<string>({
        ...base(what),
        collect(this: Gauge<string>) {
          this.reset();
          for (const [labels, value] of read()) this.set(keep(labels), value);
        },
      });
    },
    total(what, read) {
      const keep = bound(what);
      new Counter<string>({
        ...base(what),
        collect(this: Counter<string>) {
          this.reset();
          for (const [labels, value] of read()) this.inc(keep(labels), value);
        },
      });
    },
    histogram(what, buckets) {
      const histogram = new Histogram<string>({ ...base(what), buckets: [...buckets] });
      const keep = bound(what);
      return { observe: (labels, value) => histogram.observe(keep(labels), value) };
    },
    text: () => registry.metrics(),
    contentType: registry.contentType,
    names: () => registry.getMetricsAsArray().map(({ name }) => name),
  };
}
