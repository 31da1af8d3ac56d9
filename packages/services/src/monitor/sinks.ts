// SPDX-License-Identifier: Apache-2.0
/**
 * Where events go: a file, webhooks, mail. Each takes an event whole or throws; whoever calls repeats it then, so a receiver
 * may get an event twice and tells by its id.
 *
 * Only addresses that the operator configured are called: nothing of an entry names one, and redirects are not followed.
 */
import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, writeSync } from "node:fs";
import { dirname, resolve } from "node:path";
import type { Fetch } from "@lacre/core/client";
import type { Mail, SinkSettings, Webhook } from "./rules.ts";
import type { Event } from "./store.ts";

export interface Sink {
  /** Its name in the store: stable as long as its settings are. */
  readonly name: string;
  send(event: Event): Promise<void>;
}

export interface SinkOptions {
  /** Where relative paths of the settings start. */
  readonly folder: string;
  readonly fetch: Fetch;
  /** Limit for one delivery. */
  readonly timeoutMs: number;
}

/** The sinks of the settings. */
export function createSinks(settings: SinkSettings, o: SinkOptions): readonly Sink[] {
  return [
    ...(settings.file === undefined ? [] : [fileSink(resolve(o.folder, settings.file))]),
    ...settings.webhooks.map((hook) => webhookSink(hook, o)),
    ...(settings.email === undefined ? [] : [mailSink(settings.email, o)]),
  ];
}

function formatEvent({ id, kind, body }: Event): string {
  return JSON.stringify({ id, kind, ...body });
}

/** One line of JSON an event, synced. */
function fileSink(path: string): Sink {
  return {
    name: `file ${path}`,
    async send(event) {
      mkdirSync(dirname(path), { recursive: true });
      const fd = openSync(path, "a", 0o644);
      try {
        writeSync(fd, `${formatEvent(event)}\n`);
        fsyncSync(fd);
      } finally {
        closeSync(fd);
      }
    },
  };
}

/** A secret in a file of its own, read at each use: it may be renewed while we run. */
function readSecret(folder: string, path: string): string {
  return readFileSync(resolve(folder, path), "utf8").trim();
}

/** `POST` of the event as JSON; any status of the 200s is an arrival. */
function webhookSink({ url, tokenFile }: Webhook, { folder, fetch, timeoutMs }: SinkOptions): Sink {
  return {
    name: `webhook ${url}`,
    async send(event) {
      const headers: Record<string, string> = {
        "content-type": "application/json",
        "idempotency-key": event.id,
        "user-agent": "lacre-monitor",
      };
      if (tokenFile !== undefined) headers["authorization"] = `Bearer ${readSecret(folder, tokenFile)}`;
      const answer = await fetch(url, {
        method: "POST",
        headers,
        body: formatEvent(event),
        redirect: "manual",
        signal: AbortSignal.timeout(timeoutMs),
      });
      if (answer.status < 200 || answer.status > 299) throw new Error(`status ${answer.status}`);
    },
  };
}

/** A mail an event. The library is loaded when the first one is sent. */
function mailSink(mail: Mail, { folder, timeoutMs }: SinkOptions): Sink {
  return {
    name: `email ${mail.to.join(", ")}`,
    async send(event) {
      const { createTransport } = await import("nodemailer");
      const transport = createTransport({
        host: mail.host,
        port: mail.port,
        secure: mail.secure,
        connectionTimeout: timeoutMs,
        greetingTimeout: timeoutMs,
        socketTimeout: timeoutMs,
        ...(mail.user === undefined
          ? {}
          : { auth: { user: mail.user, pass: mail.passwordFile === undefined ? "" : readSecret(folder, mail.passwordFile) } }),
      });
      try {
        await transport.sendMail({
          from: mail.from,
          to: [...mail.to],
          subject: subjectOf(event),
          text: textOf(event),
          messageId: `<${event.id}@lacre-monitor>`,
        });
      } finally {
        transport.close();
      }
    },
  };
}

/** One line without anything that could end it. */
function plain(value: unknown): string {
  return String(value)
    .replace(/[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu, " ")
    .slice(0, 200);
}

function subjectOf({ kind, body }: Event): string {
  const facts = body as Readonly<Record<string, unknown>>;
  if (kind === "match") return `lacre: ${plain(facts["rule"])} matched in ${plain(facts["origin"])}`;
  return kind === "alarm"
    ? `lacre: ALARM for ${plain(facts["origin"])}`
    : `lacre: an operator accepted ${plain(facts["origin"])}`;
}

function textOf(event: Event): string {
  return `${JSON.stringify({ id: event.id, kind: event.kind, ...event.body }, null, 2)}\n`;
}
