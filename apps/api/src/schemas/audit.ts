import type { AuditRecord } from '@graft/service';
import { type Static, Type } from 'typebox';
import { After, limit } from './list.ts';
import { closed, named, nullable, Time, unixSeconds } from './schema.ts';

export const AuditEntrySchema = named('AuditEntry', {
  id: Type.String(),
  object: Type.Literal('audit.entry'),
  created_at: Time,
  action: Type.String({ description: '`<resource>.<verb>`.' }),
  target: Type.String({ description: 'What it was done to.' }),
  key_id: nullable(Type.String(), { description: 'The key that acted.' }),
  person_id: nullable(Type.String(), {
    description: 'The person who acted, by a key or signed in. Of a key of the team: null.',
  }),
  system: nullable(Type.String(), {
    description:
      'Who acted where neither a key nor a person did: `graft_admin`, the command on the service’s machine, or `graft` itself. Null in entries of earlier versions.',
  }),
  detail: Type.Unknown({ description: 'What is known of it, by the action. Null: nothing more.' }),
});

const Moment = Type.Integer({ minimum: 0, maximum: 253_402_300_799, description: 'Unix seconds.' });
const filter = {
  action: Type.Optional(
    Type.String({
      maxLength: 100,
      description: '`job.cancel`, or the beginning with a `*` behind: `job.*`.',
    }),
  ),
  actor: Type.Optional(
    Type.String({
      maxLength: 100,
      description: 'The key or the person that acted, `graft_admin`, or `graft`.',
    }),
  ),
  target: Type.Optional(Type.String({ maxLength: 256 })),
  since: Type.Optional(Moment),
  until: Type.Optional(Moment),
  after: After,
};

export const ListAuditQuery = Type.Object({ ...filter, limit: limit(20, 1000) }, closed);
export const ExportAuditQuery = Type.Object(
  {
    ...filter,
    format: Type.Enum(['jsonl', 'csv'], { type: 'string', default: 'jsonl' }),
    limit: limit(10_000, 100_000),
  },
  closed,
);

/** The filter of a query, as the service takes it. */
export function auditFilter({ since, until, ...query }: Static<typeof ListAuditQuery>) {
  const moment = (seconds: number | undefined) =>
    seconds === undefined ? undefined : new Date(seconds * 1000);
  return { ...query, since: moment(since), until: moment(until) };
}

export function toWireAuditEntry(record: AuditRecord): Static<typeof AuditEntrySchema> {
  return {
    id: record.id,
    object: 'audit.entry',
    created_at: unixSeconds(record.createdAt),
    action: record.action,
    target: record.target,
    key_id: record.keyId,
    person_id: record.personId,
    system: record.system,
    detail: record.detail,
  };
}

const columns = ['id', 'created_at', 'action', 'target', 'key_id', 'person_id', 'detail', 'system'] as const;
export const auditCsvHead = `${columns.join(',')}\r\n`;

export function toCsvAuditEntry(record: AuditRecord): string {
  const entry = toWireAuditEntry(record);
  const detail = entry.detail === null ? '' : JSON.stringify(entry.detail);
  return `${columns.map((name) => cell(name === 'detail' ? detail : (entry[name] ?? ''))).join(',')}\r\n`;
}

/** What a spreadsheet would take for a formula is text. */
function cell(value: string | number): string {
  const text = String(value);
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
