// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { ServiceError } from "../errors.ts";
import { Crashed, faultOf, SimulatedDisk } from "../store/simulated.ts";
import { createFileAnchor, createMemoryAnchor, type Anchor } from "./anchor.ts";

const PATH = "/state/lacre/log.anchor";
const anchorOn = (disk: SimulatedDisk, origin = "log.test"): Anchor => createFileAnchor(PATH, origin, disk);
const stateOf = (size: number): { size: number; root: Uint8Array } => ({ size, root: new Uint8Array(32).fill(size) });

async function sizeOn(disk: SimulatedDisk, origin?: string): Promise<number | undefined> {
  return (await anchorOn(disk, origin).read())?.size;
}

test("remembers what was written last, also for the next process", async () => {
  const disk = new SimulatedDisk();
  const anchor = anchorOn(disk);
  assert.equal(await anchor.read(), undefined);
  for (const size of [3, 4, 9, 2]) {
    await anchor.write(stateOf(size));
    assert.deepEqual(await createMemoryAnchor({ state: stateOf(size) }).read(), stateOf(size));
    assert.equal((await anchorOn(disk).read())!.size, size);
    assert.deepEqual((await anchorOn(disk).read())!.root, stateOf(size).root);
  }
  await anchor.close();
});

test("knows only the log it was made for", async () => {
  const disk = new SimulatedDisk();
  await anchorOn(disk).write(stateOf(3));
  assert.equal(await sizeOn(disk, "log.other"), undefined);
});

test("a damaged slot leaves the one before; two leave nothing", async () => {
  const disk = new SimulatedDisk();
  const anchor = anchorOn(disk);
  for (const size of [1, 2, 3]) await anchor.write(stateOf(size));
  const file = disk.look(PATH)!.slice();
  const text = Buffer.from(file).toString("latin1");
  const damaged = (size: number): Uint8Array => {
    const at = text.indexOf(`\n${size}\n${Buffer.from(stateOf(size).root).toString("base64")}`) + 1;
    return file.map((octet, place) => (place === at ? octet ^ 1 : octet));
  };
  disk.put(PATH, damaged(3));
  assert.equal(await sizeOn(disk), 2);
  disk.put(PATH, damaged(2));
  assert.equal(await sizeOn(disk), 3);
  disk.put(
    PATH,
    damaged(3).map((octet, place) => octet ^ (damaged(2)[place]! ^ file[place]!)),
  );
  assert.equal(await sizeOn(disk), undefined);
});

test("a crash at any call of a write leaves what was there or what was to be", async () => {
  for (let call = 1; call < 60; call++) {
    for (const when of ["before", "after"] as const) {
      for (const kind of ["kill", "none", { seed: call }] as const) {
        const disk = new SimulatedDisk();
        disk.fault = ({ number }) => (number === call ? when : undefined);
        let written = 0;
        const anchor = anchorOn(disk);
        try {
          for (const size of [1, 2, 3, 4]) {
            await anchor.write(stateOf(size));
            written = size;
          }
        } catch (error) {
          assert.ok(error instanceof Crashed || (error instanceof ServiceError && error.cause instanceof Crashed), String(error));
        }
        const found = (await sizeOn(disk.crash(kind))) ?? 0;
        assert.ok(
          found === written || found === written + 1,
          `call ${call} ${when} ${JSON.stringify(kind)}: ${found} after ${written}`,
        );
      }
    }
  }
});

test("a first write that fails is tried again as a first write", async () => {
  const disk = new SimulatedDisk();
  const anchor = anchorOn(disk);
  disk.fault = ({ operation }) => (operation === "rename" ? faultOf("ENOSPC") : undefined);
  await assert.rejects(anchor.write(stateOf(1)), (error: ServiceError) => error.code === "DISK_FULL");
  disk.fault = () => undefined;
  await anchor.write(stateOf(1));
  await anchor.write(stateOf(2));
  assert.equal(await sizeOn(disk), 2);
  await anchor.close();
});
