// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { gzipSync } from "node:zlib";
import { toBase64, utf8 } from "@lacre/core/bytes";
import { createFileAnchor, openLog } from "../packages/services/src/engine/index.ts";
import { unsigned } from "../packages/services/src/engine/fixture.ts";
import { LEDGER_PERSONALITY } from "../packages/services/src/ledger/index.ts";
import { auditDirectory, auditServer, Report } from "./audit.ts";

const scratch = mkdtempSync(join(tmpdir(), "lacre-audit-"));
after(() => rmSync(scratch, { recursive: true }));
const good = join(scratch, "good");
const state = join(scratch, "state");
const ID = "0123abcd";

before(async () => {
  mkdirSync(good);
  writeFileSync(join(good, "lacre.json"), JSON.stringify({ installation: { id: ID } }));
  const open = () =>
    openLog({
      dir: join(good, "logs", "ledger"),
      origin: "log.test",
      personality: LEDGER_PERSONALITY,
      production: true,
      now: Date.now,
      anchor: createFileAnchor(join(state, ID, "ledger.anchor"), "log.test"),
      signCheckpoint: (of) => unsigned(of).replace("none", "AAAAAAAA"),
    });
  let log = await open();
  for (let at = 0; at < 600; at += 100) {
    const entries = await Promise.all(Array.from({ length: 100 }, (_, i) => log.append(utf8(`entry ${at + i}`))));
    await log.receipt(entries.at(-1)!);
  }
  await log.close();
  // A second life: what is sealed is no longer in the journal.
  log = await open();
  await log.receipt(await log.append(utf8("last")));
  await log.close();
});

async function audit(dir: string): Promise<{ report: Report; text: string }> {
  const lines: string[] = [];
  const report = new Report((line) => lines.push(line));
  await auditDirectory(report, dir, { stateDir: state });
  return { report, text: lines.join("\n") };
}

test("finds nothing in a sound directory", async () => {
  const { report, text } = await audit(good);
  assert.deepEqual([report.failed, report.passed > 8], [0, true], text);
  assert.match(text, /ok {5}ledger: 601 entries/);
  assert.match(text, /ok {5}ledger: anchor/);
});

const flip = (file: string, at: number): void => {
  const bytes = readFileSync(file);
  bytes[at]! ^= 1;
  writeFileSync(file, bytes);
};
const journal = (log: string): string =>
  join(
    log,
    "journal",
    readdirSync(join(log, "journal")).find((name) => name.endsWith(".journal"))!,
  );

const DAMAGE: readonly { readonly name: string; readonly harm: (log: string) => void; readonly found: RegExp }[] = [
  {
    name: "an octet of an entry",
    harm: (log) => flip(join(log, "tile/entries/000"), 5),
    found: /tile\/0\/000 is not what the entries hash to/,
  },
  {
    name: "an octet of a tile",
    harm: (log) => flip(join(log, "tile/0/001"), 40),
    found: /tile\/0\/001 is not what the entries hash to/,
  },
  { name: "a tile that is gone", harm: (log) => rmSync(join(log, "tile/0/000")), found: /tile\/0\/000 is missing/ },
  { name: "a bundle that is gone", harm: (log) => rmSync(join(log, "tile/entries/001")), found: /entry 256 is nowhere/ },
  {
    name: "a bundle cut short",
    harm: (log) => writeFileSync(join(log, "tile/entries/000"), readFileSync(join(log, "tile/entries/000")).subarray(0, 100)),
    found: /tile\/entries\/000/,
  },
  {
    name: "a tile beyond the end",
    harm: (log) => cpSync(join(log, "tile/0/000"), join(log, "tile/0/002")),
    found: /FAILED ledger: nothing left over\n {7}tile\/0\/002/,
  },
  { name: "a frame of the journal", harm: (log) => flip(journal(log), 60), found: /FAILED ledger: journal/ },
  {
    name: "another log's frame",
    harm: (log) => renameSync(journal(log), join(log, "journal", "0000000099.journal")),
    found: /FAILED ledger: journal/,
  },
  {
    name: "times that go back",
    harm: (log) => writeFileSync(join(log, "times/001"), Buffer.alloc(2048)),
    found: /time goes back/,
  },
  { name: "times that are gone", harm: (log) => rmSync(join(log, "times/000")), found: /times\/000 is missing/ },
  {
    name: "a checkpoint of another history",
    harm: (log) =>
      writeFileSync(
        join(log, "checkpoint"),
        readFileSync(join(log, "checkpoint"), "utf8").replace(/\n[A-Za-z0-9+/]{43}=\n/, `\n${toBase64(new Uint8Array(32))}\n`),
      ),
    found: /the checkpoint has root/,
  },
  {
    name: "a checkpoint beyond the entries",
    harm: (log) =>
      writeFileSync(join(log, "checkpoint"), readFileSync(join(log, "checkpoint"), "utf8").replace("\n601\n", "\n900\n")),
    found: /the checkpoint is of size 900, the entries reach 601/,
  },
  {
    name: "a checkpoint that is none",
    harm: (log) => appendFileSync(join(log, "checkpoint"), "x"),
    found: /FAILED ledger: checkpoint/,
  },
  {
    name: "a packed bundle of other entries",
    harm: (log) => writeFileSync(join(log, "tile/entries/000.gz"), gzipSync(readFileSync(join(log, "tile/entries/001")))),
    found: /000\.gz is not the bundle beside it/,
  },
  {
    name: "a packed bundle that is damaged",
    harm: (log) =>
      writeFileSync(join(log, "tile/entries/001.gz"), gzipSync(readFileSync(join(log, "tile/entries/001"))).subarray(0, 50)),
    found: /001\.gz cannot be unpacked/,
  },
  {
    name: "a packed bundle without its bundle",
    harm: (log) => writeFileSync(join(log, "tile/entries/007.gz"), gzipSync("")),
    found: /007\.gz cannot be unpacked, or has no bundle/,
  },
  {
    name: "something strange in the index",
    harm: (log) => (
      mkdirSync(join(log, "index/identity"), { recursive: true }),
      writeFileSync(join(log, "index/identity/x"), "")
    ),
    found: /index\/identity\/x does not belong here/,
  },
];

for (const { name, harm, found } of DAMAGE) {
  test(`finds ${name}`, async () => {
    const dir = join(scratch, "harmed");
    rmSync(dir, { recursive: true, force: true });
    cpSync(good, dir, { recursive: true });
    harm(join(dir, "logs", "ledger"));
    const { report, text } = await audit(dir);
    assert.ok(report.failed > 0, text);
    assert.match(text, found);
  });
}

test("finds an old copy by its anchor", async () => {
  const anchor = join(state, ID, "ledger.anchor");
  const kept = readFileSync(anchor);
  await createFileAnchor(anchor, "log.test").read();
  const ahead = createFileAnchor(anchor, "log.test");
  await ahead.read();
  await ahead.write({ size: 700, root: new Uint8Array(32) });
  await ahead.close();
  const { report, text } = await audit(good);
  writeFileSync(anchor, kept);
  assert.equal(report.failed, 1, text);
  assert.match(text, /the anchor is of size 700, the entries reach 601/);
});

test("audits a server by its files alone", async (t) => {
  const log = join(good, "logs", "ledger");
  // What the process would answer from memory.
  const partial = new Map<string, Buffer>();
  const open = await openLog({
    dir: cpSync(log, join(scratch, "served"), { recursive: true }) ?? join(scratch, "served"),
    origin: "log.test",
    personality: LEDGER_PERSONALITY,
    production: false,
    now: Date.now,
    anchor: createFileAnchor(join(scratch, "served.anchor"), "log.test"),
    signCheckpoint: (of) => unsigned(of).replace("none", "AAAAAAAA"),
  });
  for (const [path, level] of [
    ["tile/0/002.p/89", 0],
    ["tile/entries/002.p/89", "entries"],
  ] as const)
    partial.set(path, Buffer.from((await open.readTile({ level, index: 2, width: 89 }))!));
  partial.set("tile/1/000.p/2", Buffer.from((await open.readTile({ level: 1, index: 0, width: 2 }))!));
  await open.close();
  let harmed = "";
  const server = createServer((request, response) => {
    const path = request.url!.replace("/api/v2/", "");
    const file = join(log, path);
    let bytes = partial.get(path) ?? (request.url!.startsWith("/api/v2/") && existsSync(file) ? readFileSync(file) : undefined);
    if (bytes !== undefined && path === harmed) bytes = Buffer.from(bytes.map((byte, at) => (at === 9 ? byte ^ 1 : byte)));
    response.writeHead(bytes === undefined ? 404 : 200).end(bytes);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => server.close());
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  for (const path of ["", ...partial.keys(), "tile/0/001", "tile/entries/000", "tile/1/000.p/2"]) {
    harmed = path;
    const lines: string[] = [];
    const report = new Report((line) => lines.push(line));
    await auditServer(report, url);
    assert.equal(report.failed > 0, path !== "", `${path}\n${lines.join("\n")}`);
  }
  assert.equal(dirname(log), join(good, "logs"));
});
