import { peftTypes } from '@graft/peft-core/config';
import { Type } from 'typebox';
import { maxRunning } from './lists.ts';
import { named, namedInput, nullable, oneOf, Time } from './schema.ts';

const noLimit = 'Null: no limit.';
/** A nullable amount up to the largest exact integer in JSON. */
const amount = (description: string) =>
  nullable(Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }), {
    description: `${description} ${noLimit}`,
  });
const count = (description: string, { minimum = 0, whenNull = noLimit } = {}) =>
  nullable(Type.Integer({ minimum, maximum: 2 ** 31 - 1 }), { description: `${description} ${whenNull}` });

const limits = {
  running_jobs: Type.Integer({
    minimum: 1,
    maximum: maxRunning,
    description:
      'Maximum number of jobs that run at the same time; further jobs wait. Same as `running_limit` of the team.',
  }),
  queued_jobs: count('Maximum number of jobs that wait: validating, queued or paused.'),
  stored_bytes: amount(
    'Maximum total bytes of files, pending uploads and adapters. A deleted adapter counts until it can no longer be restored.',
  ),
  files: count('Maximum number of files and pending uploads.'),
  adapters: count('Maximum number of adapter versions. Those that jobs train are kept beyond it.'),
  exports: count('Maximum number of exports that wait, are being written or are kept.'),
  tokens_per_month: amount('Maximum number of tokens trained per calendar month (UTC).'),
  open_uploads: count('Maximum number of pending multipart uploads.', {
    whenNull: 'Null: the default of the server.',
  }),
  models: nullable(Type.Array(Type.String({ minLength: 1, maxLength: 256 }), { maxItems: 64 }), {
    description: `Base models that jobs may train: ids, or prefixes ending in \`*\`. ${noLimit}`,
  }),
  methods: nullable(Type.Array(oneOf(peftTypes), { maxItems: peftTypes.length }), {
    description: `\`peft_type\`s that jobs may use. ${noLimit}`,
  }),
  max_rank: count('Maximum rank of a job, including `rank_pattern`.', { minimum: 1 }),
  max_seq_length: count('Maximum `max_seq_length` of a job.', { minimum: 1 }),
  tokens_per_job: amount(
    'Maximum number of tokens of the training data × epochs. A job beyond it fails after validation of its files.',
  ),
};

export const TeamQuotaSchema = named('TeamQuota', {
  object: Type.Literal('team.quota'),
  team_id: Type.String(),
  ...limits,
  use: Type.Object({
    running_jobs: Type.Integer(),
    queued_jobs: Type.Integer(),
    stored_bytes: Type.Integer(),
    files: Type.Integer(),
    adapters: Type.Integer(),
    exports: Type.Integer(),
    trained_tokens: Type.Integer({ description: 'Number of tokens trained this month.' }),
    planned_tokens: Type.Integer({
      description: 'Maximum number of tokens that validated, unfinished jobs will train.',
    }),
    open_uploads: Type.Integer(),
  }),
  has_budget: Type.Boolean({
    description: 'Whether the operator has also set a budget, see GET /v1/usage/budget.',
  }),
  month_ends: Time,
});

export const UpdateTeamQuotaSchema = namedInput(
  'UpdateTeamQuota',
  {
    running_jobs: Type.Optional(limits.running_jobs),
    queued_jobs: Type.Optional(limits.queued_jobs),
    stored_bytes: Type.Optional(limits.stored_bytes),
    files: Type.Optional(limits.files),
    adapters: Type.Optional(limits.adapters),
    exports: Type.Optional(limits.exports),
    tokens_per_month: Type.Optional(limits.tokens_per_month),
    open_uploads: Type.Optional(limits.open_uploads),
    models: Type.Optional(limits.models),
    methods: Type.Optional(limits.methods),
    max_rank: Type.Optional(limits.max_rank),
    max_seq_length: Type.Optional(limits.max_seq_length),
    tokens_per_job: Type.Optional(limits.tokens_per_job),
  },
  { minProperties: 1 },
);
