// SPDX-License-Identifier: Apache-2.0
/**
 * npm run fsck -- DIR|URL [--trusted-root FILE]
 *
 * Audits every log of an installation's directory, or of a server (see audit.ts). The checkpoint's signature is checked
 * with the trust files of the directory, or those of --trusted-root. Last line: `N passed, N failed`; exit 1 if any
 * failed, 3 if no log was found.
 */
import { parseArgs } from "node:util";
import { auditDirectory, auditServer, Report } from "./audit.ts";

const { values, positionals } = parseArgs({ options: { "trusted-root": { type: "string" } }, allowPositionals: true });
const [target] = positionals;
if (target === undefined || positionals.length > 1) {
  console.error("usage: npm run fsck -- DIR|URL [--trusted-root FILE]");
  process.exit(2);
}
const report = new Report(console.log);
const options = { trustedRoot: values["trusted-root"] };
if (/^https?:\/\//.test(target)) await auditServer(report, target, options);
else await auditDirectory(report, target, options);
if (report.passed + report.failed === 0) {
  console.error(`no log found at ${target}`);
  process.exit(3);
}
console.log(`${report.passed} passed, ${report.failed} failed`);
process.exit(report.failed === 0 ? 0 : 1);
