/**
 * The fields of OpenAI's objects in its specification. OpenAI's Node client casts responses to types without checks; these are the
 * checks. Additional fields of Graft are allowed.
 */
import assert from 'node:assert/strict';

type Check = (value: unknown) => boolean;
export type Shape = Record<string, Check>;

const text: Check = (value) => typeof value === 'string' && value.length > 0;
const idOf =
  (prefix: string): Check =>
  (value) =>
    typeof value === 'string' && value.startsWith(prefix) && value.length > prefix.length;
const oneOf =
  (...values: unknown[]): Check =>
  (value) =>
    values.includes(value);
const whole: Check = (value) => Number.isInteger(value) && Number(value) >= 0;
/** Unix seconds, not milliseconds: from 2020 to 2100. */
const time: Check = (value) => whole(value) && Number(value) > 1_577_836_800 && Number(value) < 4_102_444_800;
const nullOr =
  (check: Check): Check =>
  (value) =>
    value === null || check(value);
/** A field that the specification does not require. */
const optional =
  (check: Check): Check =>
  (value) =>
    value === undefined || check(value);
const record = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const list: Check = (value) => Array.isArray(value);
const autoOr =
  (check: Check): Check =>
  (value) =>
    value === 'auto' || check(value);
const number: Check = (value) => typeof value === 'number' && Number.isFinite(value);
const has =
  (shape: Shape): Check =>
  (value) =>
    record(value) && faultsOf(value, shape).length === 0;

const hyperparameters = has({
  n_epochs: optional(autoOr(whole)),
  batch_size: optional(autoOr(whole)),
  learning_rate_multiplier: optional(autoOr(number)),
});

const preferring = has({
  n_epochs: optional(autoOr(whole)),
  batch_size: optional(autoOr(whole)),
  learning_rate_multiplier: optional(autoOr(number)),
  beta: optional(autoOr(number)),
});

export const file: Shape = {
  id: idOf('file-'),
  object: oneOf('file'),
  bytes: whole,
  created_at: time,
  filename: text,
  purpose: oneOf('fine-tune', 'fine-tune-results'),
  status: oneOf('uploaded', 'processed', 'error'),
  expires_at: optional(nullOr(time)),
  status_details: optional(nullOr(text)),
};

export const job: Shape = {
  id: idOf('ftjob-'),
  object: oneOf('fine_tuning.job'),
  created_at: time,
  model: text,
  organization_id: text,
  status: oneOf('validating_files', 'queued', 'running', 'paused', 'succeeded', 'failed', 'cancelled'),
  training_file: idOf('file-'),
  validation_file: nullOr(idOf('file-')),
  fine_tuned_model: nullOr(idOf('ft:')),
  finished_at: nullOr(time),
  trained_tokens: nullOr(whole),
  hyperparameters,
  result_files: list,
  seed: whole,
  error: nullOr(has({ code: text, message: text, param: nullOr(text) })),
  estimated_finish: optional(nullOr(time)),
  integrations: optional(nullOr(list)),
  metadata: optional(nullOr(record)),
  method: optional(
    has({
      type: oneOf('supervised', 'dpo'),
      supervised: optional(has({ hyperparameters })),
      dpo: optional(has({ hyperparameters: preferring })),
    }),
  ),
};

export const event: Shape = {
  id: idOf('ftevent-'),
  object: oneOf('fine_tuning.job.event'),
  created_at: time,
  level: oneOf('info', 'warn', 'error'),
  message: text,
  type: oneOf('message', 'metrics'),
  data: record,
};

export const checkpoint: Shape = {
  id: idOf('ftckpt_'),
  object: oneOf('fine_tuning.job.checkpoint'),
  created_at: time,
  fine_tuned_model_checkpoint: idOf('ft:'),
  step_number: whole,
  fine_tuning_job_id: idOf('ftjob-'),
  metrics: has({ step: number, train_loss: number, train_mean_token_accuracy: optional(number) }),
};

export const model: Shape = { id: text, object: oneOf('model'), created: time, owned_by: text };

function faultsOf(value: object, shape: Shape): string[] {
  return Object.entries(shape)
    .filter(([field, check]) => !check((value as Record<string, unknown>)[field]))
    .map(([field]) => `${field}: ${JSON.stringify((value as Record<string, unknown>)[field])}`);
}

/** Fails with the list of fields that do not match the specification. */
export function shaped(value: unknown, shape: Shape): void {
  assert.ok(record(value), JSON.stringify(value));
  assert.deepEqual(faultsOf(value, shape), []);
}
