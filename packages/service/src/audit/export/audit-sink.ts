import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { createEgressRules } from '../../egress/address-rules.ts';
import { createResolve, type Egress, EgressError, requestPinned } from '../../egress/post-pinned.ts';
import { hostOf } from '../../egress/team-url.ts';

/** Where entries of the audit log are exported to. */
export interface AuditSink {
  /** A digest of the URL, which may hold a token: what a cursor belongs to. */
  id: string;
  /** Resolves when the lines are stored there. Throws SinkError when that is not known. */
  send(lines: string): Promise<void>;
}

/** Why nothing was stored; `retryAfter`: seconds that the receiver asked to be left alone for. */
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
 * One POST of application/x-ndjson, which is stored when the answer is 2xx. The operator names the host, so it may be inside, but never
 * an address at which clouds keep their machines' secrets. Redirects are not followed.
 */
function postTo(url: URL, token: string | undefined): AuditSink['send'] {
  const rules = createEgressRules([hostOf(url)], 'GRAFT_AUDIT_SINK');
  const egress: Egress = {
    ...{ rules, connectMs, wholeMs },
    resolve: createResolve(rules, { timeoutMs: connectMs / 4 }),
  };
  const headers = {
    ...{ 'content-type': 'application/x-ndjson', 'user-agent': 'Graft-Audit/1' },
    ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
  };
  return async (lines) => {
    const limits = { mostBytes: 16 * 1024, bodyMs: 1_000 };
    const answer = await requestPinned(url, { headers, body: lines }, egress, limits).catch(
      (error: unknown) => {
        throw new SinkError(error instanceof EgressError ? error.message : 'Sending failed.');
      },
    );
    if (answer.status >= 200 && answer.status < 300) return;
    const seconds = /^\d{1,6}$/.test(answer.retryAfter ?? '') ? Number(answer.retryAfter) : 0;
    throw new SinkError(`The receiver answered ${answer.status}.`, seconds);
  };
}

/** Appended and flushed. Opened for each batch, so that the file may be renamed and a new one begun. */
function appendTo(path: string): AuditSink['send'] {
  return async (lines) => {
    const file = await open(path, 'a+', 0o600).catch((error: NodeJS.ErrnoException) => {
      throw new SinkError(`The file cannot be opened: ${error.code}.`);
    });
    try {
      const { size } = await file.stat();
      const last = Buffer.alloc(1);
      if (size > 0) await file.read(last, 0, 1, size - 1);
      // A line that a crash cut off ends here; it comes again whole.
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
