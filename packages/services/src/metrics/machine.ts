// SPDX-License-Identifier: Apache-2.0
/**
 * The process and the machine under it, under the names that Prometheus' clients share. Everything is read when it is asked
 * for; nothing ticks in between.
 */
import { readdirSync, readFileSync, statfsSync } from "node:fs";
import { performance } from "node:perf_hooks";
import type { Metrics, Reading } from "./registry.ts";

export interface MachineOptions {
  /** The data directory: its file system's room is shown. */
  readonly dir: string;
  readonly version: string;
  /** Connections that are open. */
  readonly connections: () => number;
  /** Octets that are held for slow clients. */
  readonly held: () => number;
}

export function measureMachine(metrics: Metrics, { dir, version, connections, held }: MachineOptions): void {
  const plain = (name: string, help: string, read: () => number | undefined): void =>
    metrics.gauge({ name, help }, function* (): Reading<never> {
      const value = read();
      if (value !== undefined) yield [{}, value];
    });

  metrics.total({ name: "process_cpu_seconds_total", help: "CPU time used, in seconds." }, () => {
    const { user, system } = process.cpuUsage();
    return [[{}, (user + system) / 1e6]];
  });
  plain("process_resident_memory_bytes", "Resident memory.", () => process.memoryUsage.rss());
  plain("process_start_time_seconds", "When the process began, in seconds since 1970.", () => performance.timeOrigin / 1000);
  plain("process_open_fds", "Open file descriptors.", openFiles);
  plain("process_max_fds", "Most file descriptors that may be open.", maxFiles);
  plain("nodejs_heap_size_used_bytes", "Memory used by JavaScript objects.", () => process.memoryUsage().heapUsed);
  let loop = performance.eventLoopUtilization();
  plain("nodejs_eventloop_utilization", "Part of the time since it was last asked that the event loop was at work.", () => {
    const now = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, loop);
    loop = now;
    return utilization;
  });
  plain("lacre_connections", "Open connections.", connections);
  plain("lacre_held_bytes", "Bodies and answers held in memory for slow clients.", held);
  plain("lacre_disk_free_bytes", "Room left for the data directory.", () => room(dir)?.free);
  plain("lacre_disk_size_bytes", "Size of the file system that the data directory is on.", () => room(dir)?.size);
  metrics.gauge(
    {
      name: "lacre_build_info",
      help: "1, with the version.",
      labels: { version: new Set([version]), node: new Set([process.version]) },
    },
    () => [[{ version, node: process.version }, 1]],
  );
}

function openFiles(): number | undefined {
  try {
    return readdirSync("/proc/self/fd").length;
  } catch {
    return undefined;
  }
}

function maxFiles(): number | undefined {
  try {
    const most = /^Max open files\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1];
    return most === undefined ? undefined : Number(most);
  } catch {
    return undefined;
  }
}

function room(dir: string): { readonly free: number; readonly size: number } | undefined {
  try {
    const { bavail, blocks, bsize } = statfsSync(dir);
    return { free: bavail * bsize, size: blocks * bsize };
  } catch {
    return undefined;
  }
}
