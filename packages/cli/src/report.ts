// SPDX-License-Identifier: Apache-2.0
import type { Report } from "./errors.ts";
import { plain } from "./terminal.ts";

/** The lines of a report. */
export function formatReport(report: Report, red: (text: string) => string): string {
  const lines = [`${red("error:")} ${plain(report.message)} [${report.code}]`];
  if (report.expected !== undefined) lines.push(`  expected: ${plain(report.expected)}`);
  if (report.found !== undefined) lines.push(`  found:    ${plain(report.found)}`);
  lines.push(`  hint:     ${plain(report.hint)}`);
  return lines.join("\n");
}
