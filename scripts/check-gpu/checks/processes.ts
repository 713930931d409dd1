import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openLocalCheckpoints } from '@graft/peft-core/checkpoints';
import { parsePeftConfig, resolveTraining } from '@graft/peft-core/config';
import { parseJsonl } from '@graft/peft-core/examples';
import { threadCount } from '@graft/peft-core/precision';
import { createLogger } from '@graft/service/logger';
import { GeneratorProcess } from '../../../apps/worker/src/generation/generator-process.ts';
import type { GeneratorRequest } from '../../../apps/worker/src/generation/generator-protocol.ts';
import type { ProcessOptions } from '../../../apps/worker/src/processes/forked-process.ts';
import { TrainerProcess } from '../../../apps/worker/src/training/trainer-process.ts';
import type { TrainerRecord, TrainingRequest } from '../../../apps/worker/src/training/trainer-protocol.ts';
import type { CheckContext } from '../check.ts';
import type { Task } from '../models.ts';

/** How a worker starts a child on this device. */
const processOptions = ({ device }: CheckContext, entry: URL): ProcessOptions => ({
  entry,
  device,
  log: createLogger({ level: 'silent', name: 'check-gpu' }),
  stallMilliseconds: 600_000,
  idleMilliseconds: 600_000,
});

/** A worker's generator for at most `rows` chats. `cardBytes`: what it may hold of a card; all unless given. */
export const startGenerator = (context: CheckContext, rows: number, cardBytes?: number): GeneratorProcess =>
  new GeneratorProcess({
    ...processOptions(context, new URL('../../../apps/worker/src/generation/generator.ts', import.meta.url)),
    limits: { rows },
    queueLimit: rows,
    waitMilliseconds: 600_000,
    cardBytes,
  });

/** Milliseconds until the first token and until the end of an answer, and its tokens. */
export async function answerOf(
  generator: GeneratorProcess,
  { model, workload }: Task,
  { folder }: CheckContext,
  options: GeneratorRequest['options'],
): Promise<{ first: number; all: number; tokens: number }> {
  const began = performance.now();
  const request = {
    baseModel: workload.name,
    basePath: model,
    digestCache: folder,
    adapterDir: null,
    options,
  };
  const found = { first: Number.NaN, all: 0, tokens: 0 };
  for await (const event of generator.generate(request, new AbortController().signal)) {
    if (event.type === 'failed') throw new Error(`the generator: ${event.fault.message}`);
    if (event.type === 'token' && Number.isNaN(found.first)) found.first = performance.now() - began;
    if (event.type === 'done') found.tokens = event.completionTokens;
  }
  return { ...found, all: performance.now() - began };
}

/** `cardBytes`: as for a generator. */
export const startTrainer = (context: CheckContext, cardBytes?: number): TrainerProcess =>
  new TrainerProcess({
    ...processOptions(context, new URL('../../../apps/worker/src/training/trainer.ts', import.meta.url)),
    cardBytes,
  });

/** A job of `steps` steps as a worker passes it to its trainer; another one of the same `name` resumes from its checkpoints. */
export async function trainingRequest(
  { device, precision, folder }: CheckContext,
  { model, workload }: Task,
  { name, steps }: { name: string; steps: number },
): Promise<TrainingRequest> {
  const checkpoints = await openLocalCheckpoints(join(folder, name, 'checkpoints'));
  const peft = parsePeftConfig(workload.peft);
  const exampleCount = parseJsonl(await readFile(workload.trainingFile)).examples.length;
  const training = resolveTraining({
    peft,
    exampleCount,
    training: { max_steps: steps, n_epochs: 50, batch_size: workload.batchSize, checkpoint_steps: 2 },
  });
  return {
    basePath: model,
    digestCache: join(folder, 'digests'),
    baseModelName: workload.name,
    publicBaseName: workload.name,
    trainingFile: workload.trainingFile,
    validationFile: null,
    peft,
    training: { ...training, precision },
    method: 'supervised',
    requirements: {
      precision,
      threads: threadCount(),
      device: device.kind,
      kernels: device.kind === 'gpu' ? 'xla' : 'stock',
    },
    trials: null,
    initialAdapter: null,
    initialName: null,
    outputDir: join(folder, name, 'adapter'),
    checkpoints: {
      ...checkpoints,
      candidates: checkpoints.candidates.map(({ dir, step, digest }) => ({ dir, step, digest })),
    },
  };
}

/** The records of a training until its end, or until `endAt` aborts it; throws where it ended otherwise. */
export async function recordsOf(
  trainer: TrainerProcess,
  request: TrainingRequest,
  onRecord: (record: TrainerRecord, kill: () => void) => void = () => {},
): Promise<TrainerRecord[]> {
  const records: TrainerRecord[] = [];
  const kill = new AbortController();
  const outcome = await trainer.run(request, {
    stop: new AbortController().signal,
    kill: kill.signal,
    onRecord: (record) => {
      records.push(record);
      onRecord(record, () => kill.abort());
    },
  });
  if (outcome.type === 'finished' || (outcome.type === 'killed' && kill.signal.aborted)) return records;
  throw new Error(`the trainer: ${'fault' in outcome ? outcome.fault.message : JSON.stringify(outcome)}`);
}
