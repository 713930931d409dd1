import type { Hyperparameters, JobCreateParams } from '@graft/client';
import { UsageError } from '../errors.ts';
import { given, suffixFrom } from '../options/arguments.ts';

/** A job of OpenAI's API: only the fields that are used, not validated. */
export interface OpenAiJob {
  id: string;
  model: string;
  status: string;
  training_file: string;
  validation_file?: string | null;
  fine_tuned_model?: string | null;
  seed?: unknown;
  hyperparameters?: unknown;
  integrations?: unknown;
  metadata?: unknown;
  method?: unknown;
  user_provided_suffix?: unknown;
}

/** The request that creates the job in Graft, with OpenAI's file ids, or the reason why the job cannot be imported. */
export type MappedJob =
  | { create: JobCreateParams; differs: string[]; why: null }
  | { create: null; differs: []; why: string };

export interface MapOptions {
  /** Graft's base model by OpenAI's model; `*` matches any. */
  models: Map<string, string>;
  /** `auto`: Graft chooses all hyperparameters. */
  hyperparameters: 'keep' | 'auto';
  /** `skip`: the job leaves out lines that Graft cannot read. */
  onBadLines?: 'fail' | 'skip' | undefined;
}

/** Parser for commander: collects `theirs=ours` pairs. */
export function modelMapping(text: string, mapping: Map<string, string> = new Map()): Map<string, string> {
  const [theirs, ours, ...more] = text.split('=');
  if (!theirs || !ours || more.length > 0) {
    throw new UsageError(
      `--model must be theirs=ours, such as gpt-4o-mini=smollm2-135m-instruct, not ${text}.`,
    );
  }
  return new Map([...mapping, [theirs, ours]]);
}

export function methodOf(job: OpenAiJob): string {
  const type = record(job.method).type;
  return typeof type === 'string' ? type : 'supervised';
}

/** Metadata key that identifies an imported job. */
export const originKey = 'openai_job';
const maxMetadata = 16;

export function mapJob(job: OpenAiJob, options: MapOptions): MappedJob {
  const left = (why: string): MappedJob => ({ create: null, differs: [], why });
  const method = methodOf(job);
  if (method === 'reinforcement') {
    return left('reinforcement fine-tuning: Graft learns from examples and has no graders');
  }
  if (!Object.hasOwn(methods, method)) return left(`the method ${method} is not known`);
  if (job.model.startsWith('ft:')) {
    return left(
      `it continued from the fine-tuned model ${job.model}, whose weights stay at OpenAI: train on all the data in one job`,
    );
  }
  const model = mappedModel(job.model, options.models);
  if (model === null) return left(`no base model is chosen for it: add --model ${job.model}=…`);

  const differs = [`${job.model} is replaced by ${model}, an open model: its answers will differ`];
  const hyperparameters = hyperparametersOf(job, method, options, differs);
  const suffix = suffixOf(job, differs);
  const seed = seedOf(job.seed);
  differs.push(
    "an adapter of Graft's default method and settings is trained; OpenAI does not document what it trains",
  );
  const integrations = Array.isArray(job.integrations) ? job.integrations.length : 0;
  if (integrations > 0) differs.push('integrations are left out: Graft serves the metrics itself');
  const skips = options.onBadLines === 'skip';
  if (skips) differs.push('lines that Graft cannot train on are left out: the events of the job count them');
  return {
    create: {
      model,
      training_file: job.training_file,
      ...given({ validation_file: job.validation_file || undefined, suffix, seed }),
      ...(skips && { training: { on_bad_lines: 'skip' } }),
      method: { type: method, [method]: { hyperparameters } } as NonNullable<JobCreateParams['method']>,
      metadata: metadataOf(job, differs),
    },
    differs,
    why: null,
  };
}

/** Looks up a model by its full name, by its name without the snapshot date, or by `*`. */
function mappedModel(model: string, models: Map<string, string>): string | null {
  const undated = model.replace(/-\d{4}-\d{2}-\d{2}$/, '');
  return models.get(model) ?? models.get(undated) ?? models.get('*') ?? null;
}

const shared = ['n_epochs', 'batch_size', 'learning_rate_multiplier'];
/** OpenAI's methods that Graft has, each with its hyperparameters. */
const methods: Record<string, readonly string[]> = { supervised: shared, dpo: [...shared, 'beta'] };

const limits: Record<string, { least: number; most: number; whole: boolean }> = {
  n_epochs: { least: 1, most: 50, whole: true },
  batch_size: { least: 1, most: 256, whole: true },
  learning_rate_multiplier: { least: 0, most: Number.POSITIVE_INFINITY, whole: false },
  beta: { least: 0, most: 100, whole: false },
};

function hyperparametersOf(
  job: OpenAiJob,
  method: string,
  options: MapOptions,
  differs: string[],
): Hyperparameters {
  const values = record(record(record(job.method)[method]).hyperparameters ?? job.hyperparameters);
  const kept: Record<string, number> = {};
  for (const name of methods[method]!) {
    const value = values[name];
    if (value === undefined || value === null || value === 'auto' || options.hyperparameters === 'auto')
      continue;
    const { least, most, whole } = limits[name]!;
    if (typeof value !== 'number' || value < least || value === 0 || (whole && !Number.isInteger(value))) {
      differs.push(`${name} is ${JSON.stringify(value)}, which is not valid in Graft: Graft chooses a value`);
    } else if (value > most) {
      kept[name] = most;
      differs.push(`${name} is ${value}; the maximum in Graft is ${most}`);
    } else kept[name] = value;
  }
  if (kept.learning_rate_multiplier !== undefined) {
    differs.push(
      "learning_rate_multiplier multiplies the learning rate of the method: at OpenAI an undocumented one, here that of Graft's default method, which the job shows; --hyperparameters auto leaves it at 1",
    );
  }
  return kept as Hyperparameters;
}

/** The suffix that the user chose, with the characters that Graft does not allow replaced. */
function suffixOf(job: OpenAiJob, differs: string[]): string | undefined {
  const name = job.user_provided_suffix ?? job.fine_tuned_model?.split(':')[3];
  if (typeof name !== 'string' || name === '') return undefined;
  const clean = suffixFrom(name);
  if (clean === name) return name;
  differs.push(`the suffix ${JSON.stringify(name.slice(0, 64))} becomes ${clean || 'none'}`);
  return clean || undefined;
}

const seedOf = (seed: unknown): number | undefined =>
  typeof seed === 'number' && Number.isInteger(seed) && seed >= 0 && seed <= 2_147_483_647 ? seed : undefined;

function metadataOf(job: OpenAiJob, differs: string[]): Record<string, string> {
  const own = Object.entries(record(job.metadata)).filter(
    (pair): pair is [string, string] =>
      typeof pair[1] === 'string' && pair[0].length <= 64 && pair[1].length <= 512,
  );
  if (own.length > maxMetadata - 1) {
    differs.push(`metadata holds ${maxMetadata - 1} pairs and ${originKey}, which names the original job`);
  }
  return { ...Object.fromEntries(own.slice(0, maxMetadata - 1)), [originKey]: job.id };
}

function record(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}
