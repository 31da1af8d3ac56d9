// SPDX-License-Identifier: Apache-2.0
/**
 * A disk in memory that can lose power: the `FileSystem` that tests break.
 *
 * It keeps apart what a process sees (the page cache) and what is on the platter. Written bytes and changed names are
 * pending until synced. `crash` gives the disk as the next start finds it: after a kill everything seen is there; after
 * a loss of power any part of what was pending may be, sector by sector, names in their order. A failed sync drops what
 * was pending for good while the cache still shows it, as kernels do.
 */
import { dirname } from "node:path";
import type { FileSystem, OpenFile, OpenMode } from "./filesystem.ts";

const SECTOR = 512;

/** The error of a process that is no more. Nothing changes on the disk after it. */
export class Crashed extends Error {
  override readonly name = "Crashed";
}

export type Operation =
  | "open"
  | "readFile"
  | "rename"
  | "remove"
  | "makeDirectory"
  | "list"
  | "syncDirectory"
  | "read"
  | "write"
  | "datasync"
  | "size"
  | "close";

/** One call, as the fault plan sees it. `number` counts from 1. */
export interface Call {
  readonly number: number;
  readonly operation: Operation;
  readonly path: string;
}

/** `before`: the process dies before the call has an effect; `after`: right after; an error: the call fails with it. */
export type Fault = "before" | "after" | Error | undefined;

/** What of the pending is on the platter after a crash: all (a kill), none, or any part, chosen by the seed. */
export type CrashKind = "kill" | "none" | { readonly seed: number };

class Inode {
  seen: Uint8Array;
  durable: Uint8Array;
  pending: { readonly at: number; readonly bytes: Uint8Array }[] = [];

  constructor(seen = new Uint8Array(0), durable = new Uint8Array(0)) {
    this.seen = seen;
    this.durable = durable;
  }
}

type Node = Inode | "directory";

interface NameChange {
  readonly directory: string;
  readonly name: string;
  readonly to: Node | undefined;
  /** A rename is one step: the other name changes with it. */
  readonly gone: string | undefined;
}

function patched(bytes: Uint8Array, at: number, part: Uint8Array): Uint8Array {
  const out = bytes.length >= at + part.length ? bytes : new Uint8Array(at + part.length);
  if (out !== bytes) out.set(bytes);
  out.set(part, at);
  return out;
}

/** A small generator of numbers in [0, 1): the same for the same seed. */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function systemError(code: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${path}`), { code });
}

/** An error as the kernel gives it. */
export function faultOf(code: "EIO" | "ENOSPC" | "EACCES"): Error {
  return systemError(code, "injected");
}

export class SimulatedDisk implements FileSystem {
  #names: Map<string, Node>;
  #durableNames: Map<string, Node>;
  #changes: NameChange[] = [];
  #calls = 0;
  #dead = false;
  /** Decides about each call. */
  fault: (call: Call) => Fault = () => undefined;
  /** Octets that all files may have together. */
  capacityBytes: number = Infinity;

  constructor() {
    this.#names = new Map([["/", "directory"]]);
    this.#durableNames = new Map(this.#names);
  }

  /** Calls made so far. */
  get calls(): number {
    return this.#calls;
  }

  get dead(): boolean {
    return this.#dead;
  }

  /** The disk that the next process finds. This one is dead from now on. */
  crash(kind: CrashKind): SimulatedDisk {
    this.#dead = true;
    const random = kind === "none" ? () => 0 : kind === "kill" ? () => 1 : randomFrom(kind.seed);
    const names = kind === "kill" ? this.#names : new Map(this.#durableNames);
    if (typeof kind === "object") {
      // Each directory's changes get through up to some point of their order.
      const stopped = new Set<string>();
      for (const change of this.#changes) {
        if (stopped.has(change.directory) || random() < 0.2) stopped.add(change.directory);
        else apply(names, change);
      }
    }
    const copies = new Map<Inode, Inode>();
    const next = new SimulatedDisk();
    for (const [path, node] of names) {
      if (!reachable(names, path)) continue;
      let copy: Node = "directory";
      if (node !== "directory") {
        copy = copies.get(node) ?? survive(node, kind === "kill", random);
        copies.set(node, copy);
      }
      next.#names.set(path, copy);
    }
    next.#durableNames = new Map(next.#names);
    next.capacityBytes = this.capacityBytes;
    return next;
  }

  /** A copy of everything below a directory as processes see it: a backup. */
  copyOf(path: string): ReadonlyMap<string, Uint8Array> {
    const files = [...this.#names].filter(([name, node]) => name.startsWith(`${path}/`) && node !== "directory");
    return new Map(files.map(([name, node]) => [name, (node as Inode).seen.slice()]));
  }

  /** Puts a backup in place of what is below a directory, durably. */
  restore(path: string, files: ReadonlyMap<string, Uint8Array>): void {
    for (const names of [this.#names, this.#durableNames]) {
      for (const [name, node] of names) if (name.startsWith(`${path}/`) && node !== "directory") names.delete(name);
    }
    for (const [name, bytes] of files) this.put(name, bytes);
  }

  /** A file's bytes as processes see them. */
  look(path: string): Uint8Array | undefined {
    const node = this.#names.get(path);
    return node instanceof Inode ? node.seen : undefined;
  }

  /** Puts a durable file there, whatever was before. */
  put(path: string, bytes: Uint8Array): void {
    const missing: string[] = [];
    for (let at = dirname(path); !this.#names.has(at); at = dirname(at)) missing.push(at);
    for (const names of [this.#names, this.#durableNames]) for (const at of missing) names.set(at, "directory");
    const inode = new Inode(bytes.slice(), bytes.slice());
    this.#names.set(path, inode);
    this.#durableNames.set(path, inode);
  }

  async #step<T>(operation: Operation, path: string, act: () => T): Promise<T> {
    // A real call comes back in a later turn of the event loop.
    await Promise.resolve();
    if (this.#dead) throw new Crashed();
    const fault = this.fault({ number: ++this.#calls, operation, path });
    if (fault instanceof Error) {
      if (operation === "datasync") this.#drop(path);
      throw fault;
    }
    if (fault === "before") this.#dead = true;
    else {
      const result = act();
      if (fault === undefined) return result;
      this.#dead = true;
    }
    throw new Crashed();
  }

  #drop(path: string): void {
    const node = this.#names.get(path);
    if (node instanceof Inode) node.pending = [];
  }

  #change(path: string, to: Node | undefined, gone?: string): void {
    const change = { directory: dirname(path), name: path, to, gone };
    apply(this.#names, change);
    this.#changes.push(change);
  }

  #file(path: string): Inode {
    const node = this.#names.get(path);
    if (!(node instanceof Inode)) throw systemError("ENOENT", path);
    return node;
  }

  #used(): number {
    const inodes = new Set([...this.#names.values()].filter((node) => node instanceof Inode));
    let total = 0;
    for (const { seen } of inodes) total += seen.length;
    return total;
  }

  open(path: string, mode: OpenMode): Promise<OpenFile> {
    return this.#step("open", path, () => {
      if (mode === "create") {
        if (this.#names.has(path)) throw systemError("EEXIST", path);
        if (this.#names.get(dirname(path)) !== "directory") throw systemError("ENOENT", path);
        this.#change(path, new Inode());
      }
      return this.#openFile(path, this.#file(path));
    });
  }

  #openFile(path: string, inode: Inode): OpenFile {
    return {
      read: (position, length) => this.#step("read", path, () => inode.seen.slice(position, position + length)),
      readNow: (position, length) => inode.seen.slice(position, position + length),
      write: (position, ...parts) => this.#step("write", path, () => this.#write(path, inode, position, parts)),
      datasync: () =>
        this.#step("datasync", path, () => {
          for (const { at, bytes } of inode.pending) inode.durable = patched(inode.durable, at, bytes);
          inode.pending = [];
        }),
      size: () => this.#step("size", path, () => inode.seen.length),
      close: () => this.#step("close", path, () => {}),
    };
  }

  #write(path: string, inode: Inode, position: number, parts: readonly Uint8Array[]): void {
    let bytes = Buffer.concat(parts);
    const grows = Math.max(0, position + bytes.length - inode.seen.length);
    const room = this.capacityBytes - this.#used();
    const full = grows > room;
    if (full) bytes = bytes.subarray(0, Math.max(0, bytes.length - (grows - Math.max(0, room))));
    if (bytes.length > 0) {
      inode.seen = patched(inode.seen, position, bytes);
      inode.pending.push({ at: position, bytes: Uint8Array.from(bytes) });
    }
    if (full) throw systemError("ENOSPC", path);
  }

  readFile(path: string): Promise<Uint8Array | undefined> {
    return this.#step("readFile", path, () => this.look(path)?.slice());
  }

  rename(from: string, to: string): Promise<void> {
    return this.#step("rename", to, () => this.#change(to, this.#file(from), from));
  }

  remove(path: string): Promise<void> {
    return this.#step("remove", path, () => {
      if (this.#names.has(path)) this.#change(path, undefined);
    });
  }

  makeDirectory(path: string): Promise<void> {
    return this.#step("makeDirectory", path, () => {
      const missing: string[] = [];
      for (let at = path; !this.#names.has(at); at = dirname(at)) missing.unshift(at);
      for (const at of missing) this.#change(at, "directory");
    });
  }

  list(path: string): Promise<string[]> {
    return this.#step("list", path, () => {
      if (this.#names.get(path) instanceof Inode) throw systemError("ENOTDIR", path);
      return [...this.#names.keys()]
        .filter((name) => name !== "/" && dirname(name) === path)
        .map((name) => name.slice(path.length + 1))
        .toSorted();
    });
  }

  syncDirectory(path: string): Promise<void> {
    return this.#step("syncDirectory", path, () => {
      for (const change of this.#changes) if (change.directory === path) apply(this.#durableNames, change);
      this.#changes = this.#changes.filter((change) => change.directory !== path);
    });
  }
}

function apply(names: Map<string, Node>, { name, to, gone }: NameChange): void {
  if (to === undefined) names.delete(name);
  else names.set(name, to);
  if (gone !== undefined) names.delete(gone);
}

function reachable(names: ReadonlyMap<string, Node>, path: string): boolean {
  for (let at = dirname(path); at !== "/"; at = dirname(at)) if (names.get(at) !== "directory") return false;
  return path !== "/";
}

/** A file after a crash: pending writes got through sector by sector, or not. */
function survive(inode: Inode, whole: boolean, random: () => number): Inode {
  let bytes = inode.durable;
  if (whole) bytes = inode.seen;
  else {
    for (const { at, bytes: part } of inode.pending) {
      for (let from = 0; from < part.length;) {
        const to = Math.min(part.length, from + SECTOR - ((at + from) % SECTOR));
        if (random() > 0.5) bytes = patched(bytes === inode.durable ? bytes.slice() : bytes, at + from, part.subarray(from, to));
        from = to;
      }
    }
  }
  return new Inode(bytes.slice(), bytes.slice());
}
