/**
 * A trainer for tests of the worker's protocol. It follows trainer-protocol.ts and writes and loads checkpoints with the real
 * trainer's code, but instead of computing it blocks its thread, as a TensorFlow step does. Its training file defines its behaviour,
 * as JSON of type `Timing`.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { TrainRecord } from '@graft/peft-core';
import {
  folderOfStep,
  loadCheckpoint,
  MetricLog,
  type MetricSeries,
  writeCheckpoint,
} from '@graft/peft-core/checkpoints';
import { GraftError } from '@graft/peft-core/config';
import { trainingFault } from '../processes/child-fault.ts';
import { listenToParent } from '../processes/listen-to-parent.ts';
import {
  checkTrainerCall,
  type TrainerMessages,
  type TrainingRequest,
  type VerificationRequest,
} from '../training/trainer-protocol.ts';
import { messagesOf } from '../training/untrusted/trainer-reports.ts';

export interface Timing {
  steps: number;
  stepMilliseconds: number;
  checkpointSteps: number;
  /** The adapter of every step that is a multiple of it is kept; the best is that of `bestStep`, once it exists. */
  snapshotSteps?: number;
  bestStep?: number;
  /** The step at which advice is reported, also by every attempt that resumes after it. */
  adviceStep?: number;
  /** Time between the last checkpoint and the end, as for writing the adapter's files. */
  finishMilliseconds?: number;
  /** The failure of the verification; absent: it succeeds. */
  verification?: 'other loss' | 'no effect' | 'unmoved';
  /** Replaces a step by a failure, each time the step is reached. */
  atStep?: {
    step: number;
    does: 'hang' | 'exit' | 'user fault' | 'unknown fault' | 'disk fault' | 'lost card';
  };
  /** With a larger (mini-)batch than this, the first step runs out of memory. */
  maxAtOnce?: number;
}

let stopping = false;
const send = listenToParent<TrainerMessages>(checkTrainerCall, (message) => {
  if (message.type === 'stop') stopping = true;
  else if (message.type === 'train') void run(message.request);
  else if (message.type === 'prove') prove(message.measure);
  else verify(message.request);
});
send({ type: 'ready' });

function report(record: TrainRecord): void {
  for (const message of messagesOf(record)) send(message);
}

async function run(request: TrainingRequest): Promise<void> {
  stopping = false;
  try {
    send({ type: await train(request) });
  } catch (error) {
    send({
      type: 'failed',
      fault: trainingFault(error, { code: 'training_failed', message: 'Training stopped.' }),
    });
  }
}

async function train(request: TrainingRequest): Promise<'finished' | 'stopped'> {
  const timing = JSON.parse(readFileSync(request.trainingFile, 'utf8')) as Timing;
  const { steps } = timing;
  const { dir, candidates } = request.checkpoints;
  mkdirSync(dir, { recursive: true });
  const { checkpoint: adopted, passedOver } = await loadCheckpoint(candidates, layout, ['adapter'], identity);
  const resumedFrom = adopted?.step ?? null;
  const log = new MetricLog(adopted?.series ?? null);
  let kept = resumedFrom ?? 0;
  const checkpoint = async (step: number) => {
    if (step === kept) return;
    kept = step;
    await writeStep(dir, step, log.series);
  };
  report({
    type: 'start',
    trainableParameters: 10,
    totalParameters: 1000,
    totalSteps: steps,
    examples: 8,
    tokensPerEpoch: 100,
    paddingFraction: 0,
    resumedFrom,
    series: adopted?.series ?? null,
    passedOver,
    sharing: { savedFraction: 0, message: 'Nothing is shared.' },
    precision: process.env.TF_SET_ONEDNN_FPMATH_MODE === 'BF16' ? 'bf16' : 'fp32',
  });
  if (resumedFrom && timing.adviceStep && resumedFrom >= timing.adviceStep) advise(timing.adviceStep);
  for (let step = (resumedFrom ?? 0) + 1; step <= steps; step++) {
    await nextTurn();
    if (stopping) {
      await checkpoint(step - 1);
      report({ type: 'stopped', step: step - 1 });
      return 'stopped';
    }
    allocate(request, timing);
    if (timing.atStep?.step === step) act(timing.atStep.does);
    block(timing.stepMilliseconds);
    const progress = {
      epoch: step / steps,
      loss: 2 / step,
      tokenAccuracy: 0.5,
      learningRate: 1e-4,
      gradNorm: 1,
    };
    const speed = { tokens: step * 100, tokensPerSecond: 1000, secondsRemaining: steps - step };
    const measured = { ...progress, ...speed, memoryBytes: process.memoryUsage.rss() };
    log.addStep(measured);
    report({ type: 'step', step, totalSteps: steps, ...measured });
    if (step === timing.adviceStep) advise(step);
    if (timing.snapshotSteps && step % timing.snapshotSteps === 0) snapshot(request, step, timing);
    if (step % timing.checkpointSteps === 0 || step === steps) await checkpoint(step);
  }
  block(timing.finishMilliseconds ?? 0);
  mkdirSync(request.outputDir, { recursive: true });
  writeFileSync(join(request.outputDir, 'adapter_config.json'), JSON.stringify(request.peft));
  report({
    type: 'done',
    adapterDir: request.outputDir,
    steps,
    totalSteps: steps,
    publishedStep: steps,
    best: null,
    evaluationsWithoutGain: 0,
    trainedTokens: steps * 100,
    finalLoss: 2 / steps,
    validationLoss: null,
    metrics: {},
    verification: { loss: 2 / steps, examples: 8, measuredOn: 'training' },
    peakMemoryBytes: process.memoryUsage.rss(),
    files: [],
  });
  return 'finished';
}

/** Fails like TensorFlow does when memory runs out. */
function allocate({ training }: TrainingRequest, { maxAtOnce = Number.POSITIVE_INFINITY }: Timing): void {
  if (Math.min(training.batch_size, training.mini_batch_size ?? training.batch_size) <= maxAtOnce) return;
  const message =
    'OOM when allocating tensor with shape[8,2048,11008] and type float on /job:localhost/replica:0/task:0/device:GPU:0 by allocator GPU_0_bfc';
  throw Object.assign(new Error(message), { code: 'RESOURCE_EXHAUSTED' });
}

function advise(step: number): void {
  const message = 'The training loss hardly moves. Try learning_rate 1e-3 instead of 1e-4.';
  report({ type: 'advice', kind: 'flat', step, message, try: { learning_rate: 1e-3 } });
}

function snapshot(request: TrainingRequest, step: number, { bestStep = 0 }: Timing): void {
  const dir = join(request.snapshotDir!, folderOfStep(step));
  mkdirSync(dir, { recursive: true });
  const text = JSON.stringify({ ...request.peft, step });
  writeFileSync(join(dir, 'adapter_config.json'), text);
  const accuracies = { trainingAccuracy: 0.5, validationAccuracy: 0.5 };
  const measured = { trainingLoss: 2 / step, validationLoss: 1, ...accuracies };
  report({
    type: 'snapshot',
    step,
    dir,
    trainedTokens: step * 100,
    metrics: {},
    ...measured,
    files: [{ path: 'adapter_config.json', bytes: text.length, sha256: sha256(text) }],
    best: step >= bestStep && bestStep > 0 ? { step: bestStep, metric: 'eval_loss', value: 1 } : null,
  });
}

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');

function verify({ trainingFile }: VerificationRequest): void {
  const { steps, verification } = JSON.parse(readFileSync(trainingFile, 'utf8')) as Timing;
  const live = 2 / steps;
  send({
    type: 'verification',
    verification: {
      reloadedLoss: verification === 'other loss' ? live + 0.01 : live,
      baseLoss: verification === 'no effect' || verification === 'unmoved' ? live : live + 1,
      moved: verification !== 'unmoved',
      served: null,
    },
  });
  send({ type: 'finished' });
}

function prove(measure: boolean): void {
  send({ type: 'kernels', sets: ['avx2', 'stock'] });
  if (measure) send({ type: 'speed', flops: 1e9 });
  send({ type: 'finished' });
}

function act(does: NonNullable<Timing['atStep']>['does']): void {
  switch (does) {
    case 'hang':
      block(600_000);
      break;
    case 'exit':
      process.exit(7);
      break;
    case 'user fault':
      throw new GraftError('example_too_long', 'line 3 has 5000 tokens', { param: 'training_file' });
    case 'disk fault':
      throw Object.assign(new Error('EIO: i/o error, write'), { code: 'EIO' });
    case 'lost card':
      throw Object.assign(new Error('CUDA_ERROR_ECC_UNCORRECTABLE: uncorrectable ECC error encountered'), {
        code: 'INTERNAL',
      });
    case 'unknown fault':
      throw new Error('ENOENT: /secret/path');
  }
}

const identity = 'of every timed job';
const layout = {
  size: 1,
  entries: [{ name: 'a', shape: [1], offset: 0, length: 1, decayed: true }],
  views: (flat: Float32Array) => new Map([['a', { shape: [1], data: flat }]]),
};

async function writeStep(dir: string, step: number, series: MetricSeries): Promise<void> {
  const state = new Map([['adapter', Float32Array.of(step)]]);
  const written = await writeCheckpoint(
    dir,
    { step, trainedTokens: 100 * step, state, series },
    layout,
    identity,
  );
  report({ type: 'checkpoint', step, ...written });
}

function block(milliseconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
}
