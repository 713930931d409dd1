/**
 * The trainer, a child process of a worker. It trains jobs, one at a time, and sends every record to the worker. TensorFlow blocks this
 * process during a step, so the worker kills it when it cannot wait.
 */
import { writeFileSync } from 'node:fs';
import { getPriority, setPriority } from 'node:os';
import { dirname } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { loadEngine } from '@graft/peft-core/load-engine';
import { type OperatorFiles, trainingFault } from '../processes/child-fault.ts';
import { listenToParent } from '../processes/listen-to-parent.ts';
import {
  checkTrainerCall,
  type TrainerMessages,
  type TrainingRequest,
  type VerificationRequest,
} from './trainer-protocol.ts';
import { messagesOf } from './untrusted/trainer-reports.ts';

const send = listenToParent<TrainerMessages>(checkTrainerCall, (message) => {
  if (message.type === 'stop') stopping.abort();
  else if (message.type === 'train') {
    const { request } = message;
    const { outputDir, snapshotDir, checkpoints } = request;
    const candidates = checkpoints.candidates.map(({ dir }) => dir);
    const folders = [outputDir, snapshotDir, dirname(checkpoints.dir), ...candidates].filter(
      (folder) => folder !== undefined,
    );
    void answer((signal) => trainAndReport(request, signal), { base: baseOf(request), folders });
  } else if (message.type === 'prove') {
    void answer(async () => {
      const { checkEngine, measureSpeed, checkedKernelSets } = await engine;
      checkEngine(message.precision, message.device);
      const sets = checkedKernelSets((fault) => console.warn(`XLA compiles nothing here: ${fault.message}`));
      send({ type: 'kernels', sets: [...sets] });
      if (message.measure) send({ type: 'speed', flops: await measureSpeed(message.precision) });
      return 'finished';
    }, null);
  } else {
    const { request } = message;
    void answer(() => verifyAndReport(request), { base: baseOf(request), folders: [request.adapterDir] });
  }
});
volunteerForOutOfMemory();
// Training uses the CPUs for hours: API, worker and Postgres on the same machine have priority. Threads inherit the priority. A process
// without root cannot raise a priority that is already lower.
if (getPriority() < 5) setPriority(5);
const engine = loadEngine();
const models = import('@graft/peft-core/files');
let stopping = new AbortController();
let warm: InstanceType<Awaited<typeof engine>['WarmModel']> | undefined;
engine.then(
  () => send({ type: 'ready' }),
  () => {},
);

function baseOf({ baseModelName, basePath }: TrainingRequest | VerificationRequest): OperatorFiles['base'] {
  return { id: baseModelName, path: basePath };
}

async function answer(
  job: (stop: AbortSignal) => Promise<'finished' | 'stopped'>,
  files: OperatorFiles | null,
): Promise<void> {
  stopping = new AbortController();
  try {
    send({ type: await job(stopping.signal) });
  } catch (error) {
    if (stopping.signal.aborted) send({ type: 'stopped' });
    else send({ type: 'failed', fault: trainingFault(error, unexpected, files) });
  }
}

const unexpected = {
  code: 'training_failed',
  message: 'Training stopped because of a fault in the service.',
};

async function trainAndReport(
  request: TrainingRequest,
  signal: AbortSignal,
): Promise<'finished' | 'stopped'> {
  const { train, trainSweep, WarmModel } = await engine;
  const { openBaseModel } = await models;
  warm ??= new WarmModel();
  const { basePath, publicBaseName, digestCache, trials, comparison, peft, training, snapshotDir, ...rest } =
    request;
  const base = await openBaseModel(basePath, { digestCache });
  const given = { ...rest, baseModelName: publicBaseName, base, verify: true, signal, warm };
  try {
    let done = false;
    const records = trials
      ? trainSweep({ ...given, trials, ...(comparison && { comparison }) })
      : train({ ...given, peft, training, snapshotDir: snapshotDir ?? null });
    for await (const record of records) {
      for (const message of messagesOf(record)) send(message);
      done = record.type === 'done';
      // Yields to the event loop, so that a stop message is received before the end of the job.
      await nextTurn();
    }
    return done ? 'finished' : 'stopped';
  } finally {
    await base.close();
  }
}

async function verifyAndReport(request: VerificationRequest): Promise<'finished'> {
  const { verifyAdapter } = await engine;
  const { openBaseModel } = await models;
  const { basePath, digestCache, ...rest } = request;
  const base = await openBaseModel(basePath, { digestCache });
  try {
    send({ type: 'verification', verification: await verifyAdapter({ ...rest, base }) });
    return 'finished';
  } finally {
    await base.close();
  }
}

/** Lets Linux kill this process, whose job can resume, before Postgres or the worker when memory runs out. */
function volunteerForOutOfMemory(): void {
  try {
    writeFileSync('/proc/self/oom_score_adj', '500');
  } catch {
    // Not Linux, or not allowed: the kernel chooses.
  }
}
