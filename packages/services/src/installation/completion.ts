// SPDX-License-Identifier: Apache-2.0
/**
 * What an installation of an older version lacks, added when it is next served: at present the key and the facts of the
 * ledger's log in the v1 dialect.
 *
 * The key is stored first, `lacre.json` replaced after it. A crash between leaves a key that has signed nothing; the next
 * start takes it. Nothing that was there is changed, so an older version still has all that it knew.
 */
import { existsSync } from "node:fs";
import { text } from "@lacre/core/bytes";
import { formatPem } from "@lacre/core/codec";
import { generateKey } from "@lacre/core/crypto";
import type { Facts, LedgerV1Facts } from "../config.ts";
import { readWhole, replaceFile } from "./files.ts";
import type { Layout } from "./layout.ts";

export interface CompletionOptions {
  readonly layout: Layout;
  readonly facts: Facts;
  readonly now: () => number;
  readonly random: (length: number) => Uint8Array;
}

/** Decides the name and the number of a v1 log. */
export function decideLedgerV1(id: string, startAt: string, random: (length: number) => Uint8Array): LedgerV1Facts {
  const digits = Buffer.from(random(8));
  digits[0]! &= 0x7f;
  // Zero means "no tree" to clients; it is as likely as any other number, and not worth a second draw.
  const treeId = digits.readBigInt64BE() || 1n;
  return { name: `rekor.${id}.lacre.localhost`, treeId: `${treeId}`, startAt };
}

/** The facts of an installation with what was missing. Throws as files do. */
export function completeFiles({ layout, facts, now, random }: CompletionOptions): Required<Facts> {
  const { ledgerV1 } = facts;
  if (ledgerV1 !== undefined) return { ...facts, ledgerV1 };
  const path = layout.key("ledger-v1");
  if (!existsSync(path)) replaceFile(path, formatPem("PRIVATE KEY", generateKey("P-256").pkcs8), 0o600);
  const startAt = `${new Date(now()).toISOString().slice(0, 19)}Z`;
  const whole = { ...facts, ledgerV1: decideLedgerV1(facts.id, startAt, random) };
  const file = JSON.parse(text(readWhole(layout.config))) as object;
  replaceFile(layout.config, `${JSON.stringify({ ...file, installation: whole }, null, 2)}\n`);
  return whole;
}
