import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  parsePeftConfig,
  parseSweep,
  resolveTraining,
  type TrainingOptions,
  trialsOf,
} from '@graft/peft-core/config';
import type { FormatName } from '@graft/peft-core/examples';
import { writeTinyModel } from '@graft/peft-core/testing';
import { createFile } from '@graft/service/files';
import {
  claimValidation,
  createJob,
  finishValidation,
  getJob,
  isTerminal,
  type Job,
  type JobState,
  leaseOf,
} from '@graft/service/jobs';
import type { Services } from '@graft/service/services';
import { createTeam } from '@graft/service/teams';
import { openTestServices } from '@graft/service/testing';
import type { Timing } from './timed-trainer.ts';

export interface QueueOptions {
  /** Base model, default `tiny`. */
  model?: string;
  /** As in a request; default LoRA on two modules. */
  peft?: Record<string, unknown>;
  training?: TrainingOptions;
  suffix?: string;
  /** Data format; texts by default. */
  format?: FormatName;
  /** The adapter version to continue from. */
  startFrom?: { id: string; modelName: string };
  /** As in a request. */
  sweep?: unknown;
  /** Lines of a validation file. */
  validation?: string;
}

/** Real services, a tiny base model named `tiny`, and a team that creates jobs. */
export interface WorkerBench {
  services: Services;
  teamId: string;
  /** Folder of the base model with this id. */
  modelFolder(id: string): string;
  /** Creates a queued job with these lines of training data. */
  queueJob(lines: string, options?: QueueOptions): Promise<Job>;
  /** Creates a queued job for timed-trainer.ts. */
  queueTimedJob(timing: Partial<Timing>): Promise<Job>;
  job(id: string): Promise<Job>;
  /** Resolves with the job once `holds` is true; fails after `seconds`, or when the job ends before. */
  until(id: string, holds: (job: Job) => boolean, seconds?: number): Promise<Job>;
  untilState(id: string, state: JobState, seconds?: number): Promise<Job>;
  /** Number of adapter versions that this job published. */
  versions(id: string): Promise<number>;
  messages(id: string): Promise<string[]>;
  close(): Promise<void>;
}

/** `models`: additional tiny models, as fields of config.json by id. */
export async function openWorkerBench(
  env: NodeJS.ProcessEnv = {},
  models: Record<string, Record<string, unknown>> = {},
): Promise<WorkerBench> {
  const folder = await mkdtemp(join(tmpdir(), 'graft-worker-'));
  const modelFolder = (id: string) => join(folder, id);
  const entries: Record<string, { folder: string }> = {};
  for (const [id, config] of Object.entries({ tiny: {}, ...models })) {
    await writeTinyModel(modelFolder(id), config);
    entries[id] = { folder: modelFolder(id) };
  }
  await writeFile(join(folder, 'base-models.json'), JSON.stringify(entries));
  const services = await openTestServices({
    role: 'worker',
    env: { GRAFT_BASE_MODELS: join(folder, 'base-models.json'), ...env },
  });
  const team = await createTeam(services, { name: 'acme' });
  const teamId = team.id;

  const job = async (id: string) => (await getJob(services, teamId, id))!;
  const until = async (id: string, holds: (job: Job) => boolean, seconds = 30) => {
    const end = performance.now() + seconds * 1000;
    for (;;) {
      const row = await job(id);
      if (holds(row)) return row;
      if (performance.now() > end || isTerminal(row.state)) {
        const { state, attempts, progress, error } = row;
        throw new Error(
          `Waited ${seconds} s in vain: ${JSON.stringify({ state, attempts, progress, error })}`,
        );
      }
      await sleep(50);
    }
  };

  const addFile = async (lines: string, format: FormatName) => {
    const stored = await services.files.receive(Readable.from([Buffer.from(lines)]), { limit: 2 ** 20 });
    const examples = lines.split('\n').filter(Boolean).length;
    const file = {
      filename: 'train.jsonl',
      purpose: 'fine-tune',
      status: 'processed',
      keyId: 'key-test',
    } as const;
    const { id } = await createFile(services, teamId, { ...file, ...stored, format, examples });
    return { id, examples };
  };

  const queueJob: WorkerBench['queueJob'] = async (lines, options = {}) => {
    const { format = 'text', validation, training = {} } = options;
    const { id: trainingFileId, examples } = await addFile(lines, format);
    const validationFileId = validation ? (await addFile(validation, format)).id : null;
    const asked = options.peft ?? { peft_type: 'LORA', r: 4, target_modules: ['q_proj', 'v_proj'] };
    const sweep = parseSweep(options.sweep);
    const trials = sweep
      ? trialsOf(sweep, { peft: asked, training, hyperparameters: {}, startPeft: null })
      : [{ peft: parsePeftConfig(asked), training }];
    const { peft } = trials[0]!;
    const { job: created } = await createJob(services, teamId, {
      keyId: 'key-test',
      model: options.model ?? 'tiny',
      suffix: options.suffix ?? null,
      seed: 1,
      trainingFileId,
      validationFileId,
      method: 'supervised',
      hyperparameters: {},
      peft,
      training,
      sweep: sweep && { grid: sweep, peft: asked, trials },
      metadata: null,
      startFrom: options.startFrom ?? null,
      requestHash: randomBytes(16).toString('hex'),
      idempotencyKey: null,
      isRetry: false,
    });
    const claimed = (await claimValidation(services, {
      workerId: 'validator-test',
      leaseSeconds: 60,
      id: created.id,
    }))!;
    const resolved = trials.map((trial) =>
      resolveTraining({
        ...trial,
        exampleCount: examples,
        hasValidationFile: validation !== undefined,
        ...(sweep && { trials: trials.length }),
      }),
    );
    const outcome = { resolvedTraining: resolved[0]!, trials: sweep ? resolved : [] };
    return (await finishValidation(services, leaseOf(claimed), { ok: true, ...outcome }))!;
  };

  return {
    services,
    teamId,
    modelFolder,
    queueJob,
    queueTimedJob: async (timing) => {
      const whole: Timing = { steps: 6, stepMilliseconds: 20, checkpointSteps: 2, ...timing };
      return await queueJob(JSON.stringify(whole));
    },
    job,
    until,
    untilState: (id, state, seconds) => until(id, (row) => row.state === state, seconds),
    versions: async (id) => {
      const { rows } = await services.sql.query<{ count: number }>(
        'SELECT count(*)::int AS count FROM adapter_versions WHERE job_id = $1',
        [id],
      );
      return rows[0]!.count;
    },
    messages: async (id) => {
      const { rows } = await services.sql.query<{ message: string }>(
        'SELECT message FROM job_events WHERE job_id = $1 ORDER BY seq',
        [id],
      );
      return rows.map((row) => row.message);
    },
    close: async () => {
      await services.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
