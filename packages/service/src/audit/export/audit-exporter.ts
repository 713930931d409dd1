import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { Database } from '../../database/database.ts';
import { runExclusive } from '../../database/run-exclusive.ts';
import type { ServiceEnv } from '../../environment/env.ts';
import { instruments } from '../../observe/instruments.ts';
import { repeat } from '../../repeat.ts';
import { type AuditSink, openAuditSink, SinkError } from './audit-sink.ts';
import { readUnsent, recordSent, type UnsentEntry } from './read-unsent.ts';

type ExportServices = Database & { env: Pick<ServiceEnv, 'auditSink' | 'auditSinkToken'>; log: Logger };

export interface AuditExportSettings {
  /** Interval at which the exporter polls for new entries. */
  pollMs: number;
  /** Pause after the first failure, in seconds; each further pause is twice as long. */
  firstSeconds: number;
  longestSeconds: number;
}

const defaults: AuditExportSettings = { pollMs: 2_000, firstSeconds: 1, longestSeconds: 300 };

/** Maximum characters of a batch; a single longer entry is sent alone. */
const maxCharacters = 1_000_000;

/**
 * Sends the audit log to GRAFT_AUDIT_SINK: every entry at least once, the entries of a chain in order. Starts behind the entries that the
 * sink has stored. One process at a time exports, as long as it holds the lease; no request waits for the export.
 */
export function startAuditExporter(
  services: ExportServices,
  overrides: Partial<AuditExportSettings> = {},
): { close(): Promise<void> } {
  const { auditSink, auditSinkToken } = services.env;
  if (auditSink === undefined) return { close: async () => {} };
  const settings = { ...defaults, ...overrides };
  const sink = openAuditSink(auditSink, auditSinkToken);
  const rounds = repeat(
    'audit-export',
    settings.pollMs,
    async (stopping) =>
      void (await runExclusive(services, `audit-export ${sink.id}`, async () => {
        await sendAll(services, sink, settings, stopping);
      })),
    services.log,
  );
  return { close: async () => await rounds.stop() };
}

/** Resolves when all entries are sent or on `stopping`. Keeps the lease while the sink fails, so that no other process retries sooner. */
async function sendAll(
  services: ExportServices,
  sink: AuditSink,
  { firstSeconds, longestSeconds }: AuditExportSettings,
  stopping: AbortSignal,
): Promise<void> {
  for (let failures = 0; !stopping.aborted; ) {
    const entries = await readUnsent(services, sink.id);
    const batch = firstOf(entries);
    if (batch.length === 0) return;
    try {
      await sink.send(batch.map(lineOf).join(''));
      await recordSent(services, sink.id, batch);
      if (failures > 0) services.log.info({ component: 'audit-export' }, 'the audit sink works again');
      failures = 0;
      instruments.auditExports.inc({ outcome: 'stored' }, batch.length);
    } catch (error) {
      if (!(error instanceof SinkError)) throw error;
      instruments.auditExports.inc({ outcome: 'failed' });
      if (failures === 0)
        services.log.error({ component: 'audit-export', reason: error.message }, 'the audit sink fails');
      const pause = Math.max(firstSeconds * 2 ** Math.min(failures, 30), error.retryAfter);
      failures += 1;
      await sleep(Math.min(pause, longestSeconds) * 1_000, undefined, { signal: stopping }).catch(() => {});
    }
  }
}

function firstOf(entries: readonly UnsentEntry[]): UnsentEntry[] {
  let characters = 0;
  const end = entries.findIndex(({ content }, n) => {
    characters += 2 * content.length;
    return n > 0 && characters > maxCharacters;
  });
  return entries.slice(0, end === -1 ? undefined : end);
}

/** `content` is the text that the hash covers; `entry` is the same text as JSON, for readers. */
function lineOf({ chain, sequence, hash, content }: UnsentEntry): string {
  const entry: unknown = JSON.parse(content);
  return `${JSON.stringify({ chain: chain || 'installation', sequence, hash, content, entry })}\n`;
}
