// SPDX-License-Identifier: Apache-2.0
// The promise: a damaged bundle is refused, or is the good one in other words. npm run mutants -- [--count N] [--seed N]
//
// Damages good bundles in every way that test/verify/mutation.ts knows: those of the workshop, of a fresh installation of
// our own (both dialects of the ledger, message and statement, certificate and key), and the public conformance cases
// where they lie beside the repository. What may still be accepted is written down in test/verify/equivalence.ts. Prints a
// line for each way; the last line is `N passed, N failed`.
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { parsePem } from "@lacre/core/codec";
import { importPublicKey } from "@lacre/core/crypto";
import { decodeTrustedRoot } from "@lacre/core/trust";
import { makeFresh } from "../test/fresh.ts";
import { scratch } from "../test/harness.ts";
import { judgeMutants, subjectOf, vectorSubjects, workshopSubjects, type Subject } from "../test/verify/mutants.ts";
import { createWorkshop } from "../test/workshop/workshop.ts";

/** Nothing that is refused may stay in memory: what is held afterwards, less what was held before. */
const MOST_GROWTH_BYTES = 32 << 20;
/** And at no time may the process have grown to this. */
const LARGEST_BYTES = 1 << 30;

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

function held(): number {
  collect();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

const { values } = parseArgs({ options: { count: { type: "string", default: "10000" }, seed: { type: "string" } } });
const count = Number(values.count);
const seed = values.seed === undefined ? Math.floor(Date.now() / 86_400_000) : Number(values.seed);
if (!Number.isSafeInteger(count) || count < 1 || !Number.isSafeInteger(seed)) {
  console.error("usage: npm run mutants -- [--count N] [--seed N]");
  process.exit(2);
}

/** Bundles as our own services make them today. */
async function freshSubjects(): Promise<Subject[]> {
  const work = scratch("mutants");
  try {
    const { folder, trustedRoot, identity, issuer, bundles } = await makeFresh(work.path);
    const key = importPublicKey(parsePem(readFileSync(join(folder, "k.pub"), "utf8"), "PUBLIC KEY"));
    const message = readFileSync(join(folder, "app"));
    const trusted = decodeTrustedRoot(readFileSync(trustedRoot));
    return bundles
      .filter(({ log }) => log !== "none")
      .map(({ file, signer }) =>
        subjectOf(`fresh ${file}`, readFileSync(join(folder, file), "utf8"), trusted, {
          artifact: { digests: new Map(), message },
          nowMs: Date.now(),
          ...(signer === "key"
            ? { policy: {}, key }
            : { policy: { identities: [{ identity: { exact: identity }, issuer: { exact: issuer } }] } }),
        }),
      );
  } finally {
    work.remove();
  }
}

const root = dirname(import.meta.dirname);
const vectors = process.env["LACRE_VECTORS"] ?? join(root, "..", "shared");
const found = vectorSubjects(join(vectors, "vectors"));
if (found.length === 0 && process.env["CI"] !== undefined && !existsSync(join(vectors, "vectors"))) {
  console.error("the public conformance cases are not beside the repository (set LACRE_VECTORS)");
  process.exit(1);
}
const subjects = [...workshopSubjects(createWorkshop()), ...(await freshSubjects()), ...found];
console.log(`${subjects.length} good bundles: ${found.length} of them public, 8 of an installation made for this`);
const before = held();
const { classes, failures, slowestMs } = judgeMutants(subjects, count, seed);
const grown = Math.max(0, held() - before);
const largest = process.resourceUsage().maxRSS * 1024;
for (const [way, { judged, same }] of classes)
  console.log(`${String(judged).padStart(6)} ${way}${same === 0 ? "" : ` (${same} the same in other words)`}`);
for (const failure of failures.slice(0, 50)) console.log(`FAILED ${failure}`);
let failed = failures.length;
const mebi = (octets: number): string => `${(octets / 2 ** 20).toFixed(0)} MiB`;
if (grown > MOST_GROWTH_BYTES || largest > LARGEST_BYTES) {
  failed++;
  console.log(`FAILED memory: ${mebi(grown)} more are held afterwards, the process was ${mebi(largest)} at its largest`);
}
console.log(
  `${mebi(grown)} more held afterwards, ${mebi(largest)} at the largest; the slowest took ${slowestMs.toFixed(0)} ms of a processor; seed ${seed}`,
);
console.log(`${count - failures.length} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
