import { Type } from 'typebox';
import { After, limit } from './list.ts';
import { input, named, nullable, oneOf, optional, ref, Time } from './schema.ts';

export const AuditEntrySchema = named('AuditEntry', {
  id: Type.String(),
  object: Type.Literal('audit.entry'),
  created_at: Time,
  action: Type.String({ description: 'Action, as `<resource>.<verb>`.' }),
  target: Type.String({ description: 'Id of the object that was acted on.' }),
  key_id: nullable(Type.String(), { description: 'Id of the key that acted. Null if no key was used.' }),
  person_id: nullable(Type.String(), {
    description: 'Id of the person who acted, by a key or while signed in. Null for a key of the team.',
  }),
  system: nullable(Type.String(), {
    description:
      'Who acted if it was neither a key nor a person: `graft_admin`, the command on the server, or `graft` itself. Null otherwise, and in entries of earlier versions.',
  }),
  detail: Type.Unknown({ description: 'Details, depending on the action. Null if there are none.' }),
  sequence: Type.Integer({
    description: 'Position of the entry in the chain of the team, from 1, without gaps.',
  }),
  hash: Type.String({
    description:
      'SHA-256 (hexadecimal) of the previous entry’s hash and this entry’s content. docs/teams.md describes how to verify it.',
  }),
});

const Moment = Type.Integer({
  minimum: 0,
  maximum: 253_402_300_799,
  description: 'Unix timestamp (in seconds).',
});
const filter = {
  ...optional({
    action: Type.String({
      maxLength: 100,
      description: 'Action such as `job.cancel`, or a prefix ending in `*` such as `job.*`.',
    }),
    actor: Type.String({
      maxLength: 100,
      description: 'Id of the key or person that acted, `graft_admin`, or `graft`.',
    }),
    target: Type.String({ maxLength: 256 }),
    since: Moment,
    until: Moment,
  }),
  after: After,
};

export const ListAuditQuery = input({ ...filter, limit: limit(20, 1000) });
export const ExportAuditQuery = input({
  ...filter,
  format: oneOf(['jsonl', 'csv'], { default: 'jsonl' }),
  limit: limit(10_000, 100_000),
});

export const AuditChainSchema = named('AuditChain', {
  id: Type.String({ description: 'Id of a team, or `installation` for entries that belong to no team.' }),
  object: Type.Literal('audit.chain'),
  sequence: Type.Integer({ description: 'Number of entries.' }),
  hash: Type.String({ description: 'Hash of the last entry.' }),
});

export const AuditFaultSchema = named('AuditFault', {
  sequence: Type.Integer(),
  entry_id: nullable(Type.String(), { description: 'Id of the entry. Null if it is missing.' }),
  reason: oneOf(['missing', 'changed', 'unsealed', 'head'], {
    description:
      '`missing`: there is no entry with this number. `changed`: its content or the previous hash was changed after it was written. `unsealed`: it was inserted without being added to the chain. `head`: entries at the end are missing.',
  }),
});

export const AuditCheckSchema = named('AuditCheck', {
  id: Type.String({ description: 'Id of the chain: a team id, or `installation`.' }),
  object: Type.Literal('audit.check'),
  last_sequence: Type.Integer({
    description: 'Sequence of the last entry that was verified. All entries up to it are valid.',
  }),
  last_hash: Type.String(),
  done: Type.Boolean({
    description:
      'True if the end of the chain or a fault was reached. If false, continue with `after` set to `last_sequence`.',
  }),
  fault: nullable(ref(AuditFaultSchema), { description: 'First invalid entry. Null if none was found.' }),
});

export const AuditChainParams = Type.Object({ chain_id: Type.String({ minLength: 1, maxLength: 256 }) });
export const AuditCheckQuery = input({
  after: Type.Integer({
    minimum: 0,
    maximum: Number.MAX_SAFE_INTEGER,
    default: 0,
    description: '`last_sequence` of the previous page.',
  }),
  limit: limit(1_000, 1_000),
});
