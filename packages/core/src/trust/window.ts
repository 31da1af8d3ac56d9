// SPDX-License-Identifier: Apache-2.0
/**
 * Time windows of trust documents: `validFor: { start, end }` (`dev.sigstore.common.v1.TimeRange`) with timestamps of
 * RFC 3339, as protobuf's JSON mapping writes them. Closed at both ends; without an end, open to the future.
 */
import type { JsonObject } from "../codec/index.ts";
import { LacreError, type LacreCode } from "../errors.ts";

/** From when to when something may be used, milliseconds since 1970, both ends included. */
export interface Window {
  readonly startMs: number;
  /** Undefined: still in use. */
  readonly endMs: number | undefined;
}

const FORM = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:Z|([+-])(\d\d):(\d\d))$/;

// The years 1 to 9999, as protobuf's Timestamp has them.
const FIRST_MS = -62_135_596_800_000;
const AFTER_LAST_MS = 253_402_300_800_000;

/**
 * Milliseconds since 1970 of an RFC 3339 timestamp; digits below the millisecond become a fraction, those below the
 * microsecond are dropped. Throws BAD_JSON for other forms and for dates that do not exist (a 60th second among them,
 * which protobuf has no form for either).
 */
export function parseTime(text: string): number {
  const match = FORM.exec(text);
  if (match === null) throw new LacreError("BAD_JSON", "not a time of RFC 3339", { found: text.slice(0, 40) });
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const [fraction, sign, offsetHours, offsetMinutes] = match.slice(7);
  const whole = new Date(0);
  whole.setUTCFullYear(year, month - 1, day);
  whole.setUTCHours(hour, minute, second);
  // Date rolls over what does not exist: the 30th of February becomes the 2nd of March.
  const exact = whole.getUTCMonth() === month - 1 && whole.getUTCDate() === day && hour < 24 && minute < 60 && second < 60;
  const offset = 60 * Number(offsetHours ?? 0) + Number(offsetMinutes ?? 0);
  if (!exact || Number(offsetHours ?? 0) > 23 || Number(offsetMinutes ?? 0) > 59)
    throw new LacreError("BAD_JSON", "no such time", { found: text.slice(0, 40) });
  // Microseconds are what a double still tells apart next to today's date; the rest is cut, never rounded up.
  const milliseconds = fraction === undefined ? 0 : Number(fraction.slice(0, 6).padEnd(6, "0")) / 1000;
  const timeMs = whole.getTime() + milliseconds - (sign === "-" ? -offset : offset) * 60_000;
  if (timeMs < FIRST_MS || timeMs >= AFTER_LAST_MS)
    throw new LacreError("BAD_JSON", "no such time", { found: text.slice(0, 40) });
  return timeMs;
}

/** The RFC 3339 timestamp of a moment, in UTC, with as many digits below the second as it needs (none, three or six). */
export function formatTime(timeMs: number): string {
  const second = new Date(Math.floor(timeMs / 1000) * 1000).toISOString().slice(0, 19);
  const microseconds = Math.round((timeMs - Math.floor(timeMs / 1000) * 1000) * 1000);
  if (microseconds === 0) return `${second}Z`;
  const digits = String(Math.min(microseconds, 999_999)).padStart(6, "0");
  return `${second}.${digits.endsWith("000") ? digits.slice(0, 3) : digits}Z`;
}

/** The window in a `validFor` member. A window without a start, or that ends before it starts, is refused with `code`. */
export function readWindow(parent: JsonObject, code: LacreCode, rule?: string): Window {
  const refuse = (message: string, found?: string): LacreError =>
    new LacreError(code, `${parent.where}.validFor ${message}`, {
      ...(rule === undefined ? {} : { rule }),
      ...(found === undefined ? {} : { found }),
    });
  const range = parent.optionalObject("validFor", "valid_for");
  const start = range?.optionalString("start");
  const end = range?.optionalString("end");
  if (start === undefined) throw refuse("has no start");
  const window: Window = { startMs: parseTime(start), endMs: end === undefined ? undefined : parseTime(end) };
  if (window.endMs !== undefined && window.endMs < window.startMs) throw refuse("ends before it starts", `${start} to ${end}`);
  return window;
}

/** The JSON of a window. */
export function writeWindow(window: Window): { readonly start: string; readonly end?: string } {
  return { start: formatTime(window.startMs), ...(window.endMs === undefined ? {} : { end: formatTime(window.endMs) }) };
}
