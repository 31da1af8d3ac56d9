// SPDX-License-Identifier: Apache-2.0
/**
 * From what is on the disk to a state that may be signed: the start of a log. Nothing is written before everything was
 * checked.
 *
 *  1. The commit store says which commits are durable (a torn tail was never acknowledged).
 *  2. The tree is rebuilt from the sealed tiles.
 *  3. The commits behind are replayed: every root is computed again and must be the one in the frame.
 *  4. The public checkpoint, the anchor and what witnesses have seen must lie within that history (I10): larger or
 *     different is a fork.
 *  5. Full bundles of the replayed part are written again and sealed: unsealed files may hold anything.
 *  6. The rest is written to a new journal segment under a new epoch: bytes that a failed sync left in the page cache
 *     are not trusted.
 */
import { randomBytes } from "node:crypto";
import { equalBytes, text, toBase64 } from "@lacre/core/bytes";
import { sha256 } from "@lacre/core/crypto";
import { emptyRoot, HASH_LENGTH, hashLeaf, hashSlice, TILE_WIDTH } from "@lacre/core/merkle";
import { ServiceError } from "../errors.ts";
import { lastState, type BlobStore, type Committed, type CommitStore, type Loaded, type Token } from "../store/index.ts";
import type { Anchor, Anchored } from "./anchor.ts";
import { decodeBatch } from "./batch.ts";
import type { Logger } from "./logger.ts";
import type { Personality } from "./personality.ts";
import { CHECKPOINT } from "./publish.ts";
import { rewriteTail } from "./tail.ts";
import { readTile, Tiles } from "./tiles.ts";
import { Tree, type View } from "./tree.ts";

/** A clock that stepped back this far is worth a word. */
const CLOCK_DOUBT_MS = 10_000;

export interface RecoverParts {
  readonly origin: string;
  readonly store: CommitStore;
  readonly blobs: BlobStore;
  readonly anchor: Anchor;
  readonly personality: Personality;
  readonly production: boolean;
  readonly accept: readonly Anchored[];
  /** What others have seen of this log. */
  readonly seen?: (() => Promise<readonly (Anchored & { readonly by: string })[]>) | undefined;
  readonly now: () => number;
  readonly log: Logger;
}

export interface Recovered {
  readonly token: Token;
  readonly state: Committed;
  readonly tree: Tree;
  readonly tiles: Tiles;
  readonly view: View;
}

function damaged(detail: string): ServiceError {
  return new ServiceError("LOG_DAMAGED", undefined, { detail });
}

/** The hashes that each tile level holds beyond its last full tile, at a sealed size. */
async function sealedEdges(blobs: BlobStore, size: number): Promise<Uint8Array[]> {
  const edges: Uint8Array[] = [new Uint8Array(0)];
  for (let level = 1; size >= TILE_WIDTH ** level; level++) {
    const count = Math.floor(size / TILE_WIDTH ** level);
    const first = count - (count % TILE_WIDTH);
    const edge = new Uint8Array((count - first) * HASH_LENGTH);
    for (let index = first; index < count; index++) {
      const below = await readTile(blobs, { level: level - 1, index });
      edge.set(hashSlice(sha256, below, { from: 0, to: TILE_WIDTH }), (index - first) * HASH_LENGTH);
    }
    edges.push(edge);
  }
  return edges;
}

interface Replayed {
  readonly tree: Tree;
  readonly tiles: Tiles;
}

/** Steps 2 and 3. The root at the first commit's end covers everything sealed before it, so no sealed tile goes unchecked. */
async function replay(parts: RecoverParts, { base, commits, state, released }: Loaded): Promise<Replayed> {
  // A journal is only shortened behind sealed bundles: the one that `base` lies in is sealed as a whole.
  const sealed = Math.max(Math.floor(released / TILE_WIDTH), Math.ceil(base.size / TILE_WIDTH)) * TILE_WIDTH;
  if (sealed > state.size) throw damaged(`the journal ends at ${state.size}, before the sealed bundles do (${sealed})`);
  const tree = new Tree();
  tree.restore(sealed, await sealedEdges(parts.blobs, sealed));
  const tiles = new Tiles(parts.blobs, tree, parts.personality, sealed);
  const check = ({ size, root }: Committed): void => {
    if (tree.size === size && !equalBytes(tree.view()!.root, root))
      throw damaged(`tiles and entries do not have the root that the journal names at size ${size}`);
  };
  check(base);
  for (const { previous, next, body } of commits) {
    if (next.timeMs < previous.timeMs) throw damaged(`time goes back at size ${next.size}`);
    const batch = decodeBatch(body);
    if (previous.size + batch.length !== next.size) throw damaged(`the commit up to ${next.size} does not hold its entries`);
    for (const record of batch.slice(Math.max(0, sealed - previous.size))) {
      tree.append(hashLeaf(sha256, parts.personality.leafInput(record)));
      tiles.add({ record, framed: parts.personality.frame(record), timeMs: next.timeMs });
    }
    check(next);
  }
  return { tree, tiles };
}

/** The root at an earlier size, with the tiles it needs. */
async function rootAt(tree: Tree, tiles: Tiles, size: number): Promise<Uint8Array> {
  for (const name of tree.missingForView(size)) await tiles.load(name);
  const view = tree.view(size);
  if (view === undefined) throw damaged(`the tiles that the root at size ${size} needs are incomplete`);
  return view.root;
}

/** The state of an earlier size, with the tiles it needs. */
export async function viewAt(tree: Tree, tiles: Tiles, size: number): Promise<View> {
  await rootAt(tree, tiles, size);
  return tree.view(size)!;
}

/** The stored checkpoint with its size; undefined where there is none that can be read. */
export async function storedCheckpoint(blobs: BlobStore): Promise<{ readonly size: number; readonly text: string } | undefined> {
  const bytes = await blobs.get(CHECKPOINT);
  const said = readCheckpoint(bytes);
  return said === undefined ? undefined : { size: said.size, text: text(bytes!) };
}

/** What a checkpoint's first three lines say; undefined for anything else. */
function readCheckpoint(
  bytes: Uint8Array | undefined,
): { readonly origin: string; readonly size: number; readonly root: string } | undefined {
  try {
    const [origin, size, root, rest] = text(bytes ?? new Uint8Array(0)).split("\n", 4);
    if (origin !== undefined && root !== undefined && rest === "" && /^\d{1,15}$/.test(size ?? ""))
      return { origin, size: Number(size), root };
  } catch {
    // Not even text.
  }
  return undefined;
}

/** Step 4. Throws LOG_FORKED or LOG_UNANCHORED, unless the operator accepts this very state as the last published one. */
async function checkPast(parts: RecoverParts, state: Committed, rootOf: (size: number) => Promise<Uint8Array>): Promise<void> {
  const { origin, accept, log, production } = parts;
  const here = `${state.size}:${toBase64(state.root)}`;
  const problem = await findFork(parts, state, rootOf);
  if (problem === undefined) return;
  if (accept.some(({ size, root }) => size === state.size && equalBytes(root, state.root))) {
    log.warn(
      { origin, accepted: here, problem: problem.detail },
      "the operator accepts this state of the log as the last published one",
    );
    return;
  }
  if (problem.code === "LOG_UNANCHORED" && !production) {
    log.warn(
      { origin, here },
      "no record of this log outside its directory: moved, copied or restored? A development installation goes on from here",
    );
    return;
  }
  throw problem;
}

/** What was published and is not part of this history; or that nothing is known of it. */
async function findFork(
  { origin, blobs, anchor, seen }: RecoverParts,
  state: Committed,
  rootOf: (size: number) => Promise<Uint8Array>,
): Promise<ServiceError | undefined> {
  const here = `this directory is at ${state.size}:${toBase64(state.root)}`;
  const isPast = async (size: number, root: string): Promise<boolean> =>
    size <= state.size && toBase64(await rootOf(size)) === root;
  // Renamed but not synced, the file may hold anything after a loss of power: the anchor, which was synced before, counts.
  const checkpoint = readCheckpoint(await blobs.get(CHECKPOINT));
  if (checkpoint !== undefined) {
    if (checkpoint.origin !== origin) throw damaged(`the checkpoint is of ${checkpoint.origin}, this log is ${origin}`);
    if (!(await isPast(checkpoint.size, checkpoint.root))) {
      return new ServiceError("LOG_FORKED", undefined, {
        detail: `${origin}: its file checkpoint says ${checkpoint.size}:${checkpoint.root}, ${here}`,
      });
    }
  }
  for (const { by, size, root } of (await seen?.()) ?? []) {
    if (await isPast(size, toBase64(root))) continue;
    return new ServiceError("LOG_FORKED", undefined, {
      detail: `${origin}: ${by} has seen ${size}:${toBase64(root)}, ${here}. Restored from a backup?`,
    });
  }
  const anchored = await anchor.read();
  if (anchored === undefined)
    return state.size === 0 ? undefined : new ServiceError("LOG_UNANCHORED", undefined, { detail: `${origin}: ${here}` });
  const root = toBase64(anchored.root);
  if (await isPast(anchored.size, root)) return undefined;
  return new ServiceError("LOG_FORKED", undefined, {
    detail: `${origin}: ${anchored.size}:${root} was published, ${here}. Restored from a backup?`,
  });
}

/** Opens what is there, or makes a new log. */
export async function recover(parts: RecoverParts): Promise<Recovered> {
  const loaded = (await parts.store.load()) ?? (await createFirst(parts));
  const { tree, tiles } = await replay(parts, loaded);
  await checkPast(parts, loaded.state, (size) => rootAt(tree, tiles, size));
  const aheadMs = loaded.state.timeMs - parts.now();
  if (aheadMs > CLOCK_DOUBT_MS) {
    parts.log.warn(
      { origin: parts.origin, aheadMs },
      "the clock is behind the time of the last commit; entries get that time until it is past",
    );
  }
  await tiles.write(loaded.state.size);
  const whole = await tiles.seal();
  const { base, commits } = rewriteTail({ tree, tiles, state: loaded.state, sealed: whole });
  const token = await parts.store.takeOver(loaded.token, base, commits);
  const state = lastState(base, commits);
  return { token, state, tree, tiles, view: tree.view()! };
}

async function createFirst({ store, blobs, now, origin }: RecoverParts): Promise<Loaded> {
  if ((readCheckpoint(await blobs.get(CHECKPOINT))?.size ?? 0) > 0) throw damaged(`${origin} has a checkpoint but no journal`);
  const state: Committed = { size: 0, root: emptyRoot(sha256), timeMs: now(), epoch: 0, nonce: randomBytes(16) };
  return { state, token: await store.create(state), base: state, commits: [], released: 0 };
}
