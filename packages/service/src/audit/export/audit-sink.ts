import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { createEgressRules } from '../../egress/address-rules.ts';
import { EgressError, requestPinned } from '../../egress/post-pinned.ts';
import { hostOf } from '../../egress/team-url.ts';
import { createEgress } from '../../work/start-sending.ts';

/** Destination to which the audit log is exported. */
export interface AuditSink {
  /** Digest of the URL, which may hold a token; cursors are stored under it. */
  id: string;
  /** Resolves when the lines are stored. Throws SinkError if that is not certain. */
  send(lines: string): Promise<void>;
}

/** Error when a batch was not stored; `retryAfter` is the pause that the receiver requested, in seconds. */
export class SinkError extends Error {
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
