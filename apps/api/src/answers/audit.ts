import type { AuditCheck, AuditHead, AuditRecord } from '@graft/service/audit';
import type { AuditChainSchema, AuditCheckSchema, AuditEntrySchema, ListAuditQuery } from '@graft/wire/audit';
import type { Static } from 'typebox';
import { csvLine } from './csv.ts';
import { toDate, unixSeconds } from './list.ts';

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
