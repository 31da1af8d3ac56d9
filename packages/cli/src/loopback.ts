// SPDX-License-Identifier: Apache-2.0

/** Whether a host name never leaves this machine. */
export function isLoopbackHost(host: string): boolean {
  return (
    host === "localhost" || host.endsWith(".localhost") || host === "[::1]" || host === "::1" || /^127(\.\d+){3}$/.test(host)
  );
}
