import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Logger } from 'pino';
import type { Database } from '../../database/database.ts';
import { runExclusive } from '../../database/run-exclusive.ts';
import { createEgressRules } from '../../egress/address-rules.ts';
import { createEgress, EgressError, requestPinned } from '../../egress/post-pinned.ts';
import { hostOf } from '../../egress/team-url.ts';
import type { ServiceEnv } from '../../environment/env.ts';
import { instruments } from '../../observe/instruments.ts';
import { repeat } from '../../repeat.ts';

type ExportServices = Database & { env: Pick<ServiceEnv, 'auditSink' | 'auditSinkToken'>; log: Logger };

export interface AuditExportSettings {
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
      void (await runExclusive(services, `audit-export ${sink.id}`, () =>
        sendAll(services, sink, settings, stopping),
      )),
    services.log,
  );
  return { close: rounds.stop };
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

interface UnsentEntry {
  chain: string;
  sequence: number;
  /** Hexadecimal. */
  hash: string;
  /** Text that the hash covers, preceded by the previous hash and a line feed. */
  content: string;
}

/** Maximum number of entries in a batch, of entries per chain in it, and of chains read for it. */
const most = { entries: 1_000, ofChain: 250, chains: 100 };

/** Reads the entries that the sink has not stored yet, each chain in order, starting with the chains that have waited longest. */
async function readUnsent({ sql }: Pick<Database, 'sql'>, sink: string): Promise<UnsentEntry[]> {
  const { rows } = await sql.query<UnsentEntry>(
    `WITH waiting AS (
       SELECT head.chain, coalesce(sent.sequence, 0) AS sequence, sent.exported_at
       FROM audit_chains head LEFT JOIN audit_exports sent ON sent.sink = $1 AND sent.chain = head.chain
       WHERE head.sequence > coalesce(sent.sequence, 0)
       ORDER BY sent.exported_at NULLS FIRST, head.chain LIMIT ${most.chains}
     )
     SELECT waiting.chain, entry.sequence::float8 AS sequence, encode(entry.hash, 'hex') AS hash, entry.content
     FROM waiting CROSS JOIN LATERAL (
       SELECT log.sequence, log.hash, graft_audit_content(log) AS content FROM audit_log log
       WHERE coalesce(log.team_id, '') = waiting.chain AND log.sequence > waiting.sequence
       ORDER BY log.sequence LIMIT ${most.ofChain}
     ) entry
     ORDER BY waiting.exported_at NULLS FIRST, waiting.chain, entry.sequence LIMIT ${most.entries}`,
    [sink],
  );
  return rows;
}

/** Moves the cursors behind the stored entries. A cursor never moves back, even when a frozen process resumes. */
async function recordSent(
  { sql }: Pick<Database, 'sql'>,
  sink: string,
  entries: readonly UnsentEntry[],
): Promise<void> {
  const last = new Map(entries.map(({ chain, sequence }) => [chain, sequence]));
  await sql.query(
    `INSERT INTO audit_exports AS sent (sink, chain, sequence) SELECT $1, * FROM unnest($2::text[], $3::bigint[])
     ON CONFLICT (sink, chain) DO UPDATE SET sequence = greatest(sent.sequence, excluded.sequence), exported_at = now()`,
    [sink, [...last.keys()], [...last.values()]],
  );
}

interface AuditSink {
  /** Digest of the URL, which may hold a token; cursors are stored under it. */
  id: string;
  /** Resolves when the lines are stored. Throws SinkError if that is not certain. */
  send(lines: string): Promise<void>;
}

/** Error when a batch was not stored; `retryAfter` is the pause that the receiver requested, in seconds. */
class SinkError extends Error {
  override readonly name = 'SinkError';
  readonly retryAfter: number;

  constructor(message: string, retryAfter = 0) {
    super(message);
    this.retryAfter = retryAfter;
  }
}

const connectMs = 5_000;
const wholeMs = 30_000;

export function openAuditSink(text: string, token: string | undefined): AuditSink {
  const url = new URL(text);
  const id = createHash('sha256').update(url.href).digest('hex').slice(0, 32);
  return { id, send: url.protocol === 'file:' ? appendTo(fileURLToPath(url)) : postTo(url, token) };
}

/**
 * Sends a batch as one POST of application/x-ndjson; a 2xx response means that it is stored. The operator names the host, so internal
 * addresses are allowed, except the metadata addresses at which clouds serve machine credentials. Redirects are not followed.
 */
function postTo(url: URL, token: string | undefined): AuditSink['send'] {
  const rules = createEgressRules([hostOf(url)], 'GRAFT_AUDIT_SINK');
  const egress = createEgress(rules, { connectMs, wholeMs });
  const headers = {
    'content-type': 'application/x-ndjson',
    'user-agent': 'Graft-Audit/1',
    ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
  };
  return async (lines) => {
    const limits = { maxBytes: 16 * 1024, bodyMs: 1_000 };
    const answer = await requestPinned(url, { headers, body: lines }, egress, limits).catch(
      (error: unknown) => {
        throw new SinkError(error instanceof EgressError ? error.detail : 'Sending failed.');
      },
    );
    if (answer.status >= 200 && answer.status < 300) return;
    const seconds = /^\d{1,6}$/.test(answer.retryAfter ?? '') ? Number(answer.retryAfter) : 0;
    throw new SinkError(`The receiver answered ${answer.status}.`, seconds);
  };
}

/** Appends and syncs. Opens the file for each batch, so that the file can be rotated. */
function appendTo(path: string): AuditSink['send'] {
  return async (lines) => {
    const file = await open(path, 'a+', 0o600).catch((error: NodeJS.ErrnoException) => {
      throw new SinkError(`The file cannot be opened: ${error.code}.`);
    });
    try {
      const { size } = await file.stat();
      const last = Buffer.alloc(1);
      if (size > 0) await file.read(last, 0, 1, size - 1);
      // Ends a line that a crash cut off; the same entry is sent again whole.
      const isCut = size > 0 && last[0] !== 0x0a;
      await file.appendFile(isCut ? `\n${lines}` : lines);
      await file.datasync();
    } catch (error) {
      throw new SinkError(`The file cannot be written: ${(error as NodeJS.ErrnoException).code}.`);
    } finally {
      await file.close();
    }
  };
}
