import { parsePeftConfig, type ResolvedTraining } from '@graft/peft-core/config';
import { createFile } from '../files/file-records.ts';
import { randomText } from '../ids.ts';
import { type Job, type JobState, leaseOf } from '../jobs/job.ts';
import { getJob } from '../jobs/records/read-jobs.ts';
import { claimJob } from '../jobs/transitions/claim-job.ts';
import { createJob, type NewJob } from '../jobs/transitions/create-job.ts';
import { failJob } from '../jobs/transitions/fail-job.ts';
import {
  type NewAdapterVersion,
  publishAdapterVersion,
} from '../jobs/transitions/publish-adapter-version.ts';
import { cancelJob, pauseJob } from '../jobs/transitions/user-requests.ts';
import { claimValidation, finishValidation } from '../jobs/transitions/validate-job.ts';
import { createApiKey } from '../keys/create-api-key.ts';
import type { Dispatch } from '../queue/job-queue.ts';
import type { Services } from '../services.ts';
import { createTeam } from '../teams/team-records.ts';

export interface TestTeam {
  id: string;
  name: string;
  keyId: string;
  /** A full key with the role admin. */
  key: string;
  /** A file with 2 chat examples, whose bytes are in the store. */
  fileId: string;
}

/** Creates a team with a key and a training file. */
export async function createTestTeam(services: Services, runningLimit?: number): Promise<TestTeam> {
  const team = await createTeam(services, { name: `team-${randomText(10).toLowerCase()}`, runningLimit });
  const key = await createApiKey(services, team.id, { name: 'test', role: 'admin' });
  const line = '{"messages":[{"role":"user","content":"1+1?"},{"role":"assistant","content":"2"}]}\n';
  const stored = await services.files.receive(oneChunk(Buffer.from(line + line)), { limit: 1000 });
  const file = await createFile(services, team.id, {
    ...stored,
    keyId: key.keyId,
    filename: 'train.jsonl',
    purpose: 'fine-tune',
    status: 'processed',
    format: 'chat',
    examples: 2,
  });
  return { id: team.id, name: team.name, ...key, fileId: file.id };
}

async function* oneChunk(chunk: Buffer): AsyncGenerator<Buffer> {
  yield chunk;
}

export function newTestJob(team: TestTeam, changes: Partial<NewJob> = {}): NewJob {
  return {
    keyId: team.keyId,
    model: 'smollm2-135m-instruct',
    suffix: null,
    seed: 7,
    trainingFileId: team.fileId,
    validationFileId: null,
    method: 'supervised',
    hyperparameters: { n_epochs: 'auto' },
    peft: parsePeftConfig({ peft_type: 'LORA', r: 4 }),
    training: {},
    metadata: null,
    requestHash: randomText(16),
    idempotencyKey: null,
    isRetry: false,
    ...changes,
  } as NewJob;
}

export const testAdapter: NewAdapterVersion = {
  digest: 'ab'.repeat(32),
  artifact: 'ab'.repeat(32),
  files: [{ path: 'adapter_config.json', bytes: 2, sha256: 'cd'.repeat(32) }],
  bytes: 2,
  lineage: { seed: 7, base_model: { id: 'tiny', digest: 'b'.repeat(64) } },
  metrics: null,
  trainedTokens: 1234,
};

export const systemFault = {
  code: 'trainer_crashed',
  message: 'It crashed.',
  param: null,
  fault: 'system',
} as const;
export const userFault = {
  code: 'bad_data',
  message: 'Bad data.',
  param: 'training_file',
  fault: 'user',
} as const;

/** The part of resolved training that tests of database rows need. */
const resolvedTraining = { n_epochs: 3 } as ResolvedTraining;

/** Creates a job and moves it to `state` through the regular transitions. */
export async function createTestJob(
  services: Services,
  team: TestTeam,
  state: JobState,
  changes: Partial<NewJob> = {},
): Promise<Job> {
  const { job } = await createJob(services, team.id, newTestJob(team, changes));
  if (state === 'validating') return job;
  const claimed = await claimValidation(services, {
    workerId: 'validator-test',
    leaseSeconds: 60,
    id: job.id,
  });
  const trials = (changes.sweep?.trials ?? []).map(() => resolvedTraining);
  await finishValidation(services, leaseOf(claimed!), { ok: true, resolvedTraining, trials });
  const by = { keyId: team.keyId };
  if (state === 'cancelled') await cancelJob(services, team.id, job.id, by);
  if (state === 'paused') await pauseJob(services, team.id, job.id, by);
  if (state !== 'queued' && state !== 'cancelled' && state !== 'paused') {
    const dispatched = await dispatch(services, job.id);
    if (state !== 'dispatched') {
      const running = await claimJob(services, dispatched, { workerId: 'worker-test', leaseSeconds: 60 });
      if (state === 'succeeded') await publishAdapterVersion(services, leaseOf(running!), testAdapter);
      if (state === 'failed') await failJob(services, leaseOf(running!), userFault);
    }
  }
  return (await getJob(services, team.id, job.id))!;
}

/** Dispatches one job regardless of others in the queue, as the dispatcher does. */
export async function dispatch(services: Services, id: string): Promise<Dispatch> {
  const { rows } = await services.sql.query<Dispatch>(
    `UPDATE jobs SET state = 'dispatched', lease_epoch = lease_epoch + 1, dispatched_at = now()
     WHERE id = $1 AND state = 'queued' RETURNING id, lease_epoch AS epoch`,
    [id],
  );
  return rows[0]!;
}
