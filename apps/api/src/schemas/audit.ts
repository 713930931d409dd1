import type { AuditCheck, AuditHead, AuditRecord } from '@graft/service';
import { type Static, Type } from 'typebox';
import { csvLine } from './csv.ts';
import { After, limit } from './list.ts';
import { input, named, nullable, ref, Time, toDate, unixSeconds } from './schema.ts';

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
  sequence: Type.Integer({ description: 'Its place in the team’s chain, from 1 and without gaps.' }),
  hash: Type.String({
    description:
      'SHA-256 in hexadecimal over the previous entry’s hash and this entry’s content. docs/teams.md describes how to check it.',
  }),
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

export const ListAuditQuery = input({ ...filter, limit: limit(20, 1000) });
export const ExportAuditQuery = input({
  ...filter,
  format: Type.Enum(['jsonl', 'csv'], { type: 'string', default: 'jsonl' }),
  limit: limit(10_000, 100_000),
});

/** Converts the query's filter to the service's. */
export function auditFilter({ since, until, ...query }: Static<typeof ListAuditQuery>) {
  return { ...query, since: toDate(since), until: toDate(until) };
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
    sequence: record.sequence,
    hash: record.hash,
  };
}

const columns = [
  'id',
  'created_at',
  'action',
  'target',
  'key_id',
  'person_id',
  'detail',
  'system',
  'sequence',
  'hash',
] as const;
export const auditCsvHead = csvLine(columns);

export function toCsvAuditEntry(record: AuditRecord): string {
  const entry = toWireAuditEntry(record);
  const detail = entry.detail === null ? '' : JSON.stringify(entry.detail);
  return csvLine(columns.map((name) => (name === 'detail' ? detail : entry[name])));
}

const installation = 'installation';

export const AuditChainSchema = named('AuditChain', {
  id: Type.String({ description: 'A team, or `installation` for entries of no team.' }),
  object: Type.Literal('audit.chain'),
  sequence: Type.Integer({ description: 'Number of entries.' }),
  hash: Type.String({ description: 'Hash of the last entry.' }),
});

export const AuditFaultSchema = named('AuditFault', {
  sequence: Type.Integer(),
  entry_id: nullable(Type.String(), { description: 'Null: the entry is missing.' }),
  reason: Type.Enum(['missing', 'changed', 'unsealed', 'head'], {
    type: 'string',
    description:
      '`missing`: no entry has this number. `changed`: its content or the hash before it is another than when it was written. `unsealed`: it was added past the chain. `head`: entries at the end are missing.',
  }),
});

export const AuditCheckSchema = named('AuditCheck', {
  id: Type.String({ description: 'The chain.' }),
  object: Type.Literal('audit.check'),
  last_sequence: Type.Integer({ description: 'All entries up to here are in order.' }),
  last_hash: Type.String(),
  done: Type.Boolean({
    description: 'False: continue with `after`, the last sequence. True: the end, or a fault.',
  }),
  fault: nullable(ref(AuditFaultSchema), { description: 'The first entry that is not in order.' }),
});

export const AuditChainParams = Type.Object({ chain_id: Type.String({ minLength: 1, maxLength: 256 }) });
export const AuditCheckQuery = input({
  after: Type.Integer({
    minimum: 0,
    maximum: Number.MAX_SAFE_INTEGER,
    default: 0,
    description: 'Sequence of the last entry of the page before.',
  }),
  limit: limit(1_000, 1_000),
});

/** A chain's name in the database; empty for that of the installation. */
export const chainOf = (id: string) => (id === installation ? '' : id);

export function toWireAuditChain({ chain, sequence, hash }: AuditHead): Static<typeof AuditChainSchema> {
  return { id: chain || installation, object: 'audit.chain', sequence, hash };
}

export function toWireAuditCheck({ chain, last, done, fault }: AuditCheck): Static<typeof AuditCheckSchema> {
  return {
    id: chain || installation,
    object: 'audit.check',
    last_sequence: last.sequence,
    last_hash: last.hash,
    done,
    fault: fault && { sequence: fault.sequence, entry_id: fault.id, reason: fault.reason },
  };
}
