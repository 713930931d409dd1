/**
 * A trainer that acts as if an attacker had taken it over. Its training file names the attack, as JSON of type `Attack`. The paths
 * of the data folder come from its request.
 */
import { execFileSync } from 'node:child_process';
import {
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import type { TrainingRequest } from '../training/trainer-protocol.ts';

interface Attack {
  attack: keyof typeof attacks;
  /** A published folder of another job, and a file in it. */
  folder: string;
  file: string;
}

type Aims = Attack & { request: TrainingRequest; dataDir: string };
const send = (message: unknown) => void process.send!(message, undefined, undefined, () => {});
const record = (of: Record<string, unknown>) => send({ type: 'record', record: of });

/** Writes directly into the channel, bypassing Node. The channel may be full. */
function write(text: string): void {
  for (let rest = Buffer.from(text); rest.length > 0; ) {
    try {
      rest = rest.subarray(writeSync(3, rest));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
    }
  }
}

const start = {
  type: 'start',
  trainableParameters: 10,
  totalParameters: 1000,
  totalSteps: 100,
  examples: 8,
  tokensPerEpoch: 100,
  paddingFraction: 0,
  resumedFrom: null,
  passedOver: [],
  precision: 'fp32',
  sharing: { savedFraction: 0, message: 'Nothing is shared.' },
  trials: null,
};
const step = (at: number) => ({
  type: 'step',
  step: at,
  totalSteps: 100,
  epoch: 0.1,
  loss: 1,
  tokenAccuracy: 0.5,
  learningRate: 1,
  gradNorm: 1,
  tokens: at,
  tokensPerSecond: 1,
  memoryBytes: 1,
  secondsRemaining: 1,
});
const snapshot = (at: number) => ({
  type: 'snapshot',
  step: at,
  trainedTokens: 1,
  best: null,
  trainingLoss: 1,
  trainingAccuracy: null,
  validationLoss: null,
  validationAccuracy: null,
  metrics: {},
});
const checkpoint = (at: number) => ({ type: 'checkpoint', step: at, seconds: 1 });
const done = (steps: number) => ({
  type: 'done',
  steps,
  publishedStep: steps,
  totalSteps: 100,
  best: null,
  evaluationsWithoutGain: 0,
  trainedTokens: 1,
  finalLoss: 1,
  validationLoss: null,
  metrics: {},
  peakMemoryBytes: 1,
  verification: { loss: 1, examples: 8, measuredOn: 'training' },
});
const written = { digest: '0'.repeat(64), bytes: 1, seconds: 1 };
const config = JSON.stringify({ peft_type: 'LORA' });

/** Creates a folder with an adapter config and whatever `more` adds. */
function leave(folder: string, more: (folder: string) => void): void {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'adapter_config.json'), config);
  more(folder);
}

function finish(steps: number): void {
  for (let at = 1; at <= steps; at++) record(step(at));
  record(done(steps));
  send({ type: 'finished' });
}

const inAdapter = (more: (aims: Aims, folder: string) => void) => (aims: Aims) => {
  leave(aims.request.outputDir, (folder) => more(aims, folder));
  record(start);
  finish(1);
};
const inFolderOfStep = (kind: 'snapshot' | 'checkpoint', more: (aims: Aims, folder: string) => void) => {
  return (aims: Aims) => {
    const { snapshotDir, checkpoints } = aims.request;
    const folder = join(kind === 'snapshot' ? snapshotDir! : checkpoints.dir, 'step-00000001');
    mkdirSync(dirname(folder), { recursive: true });
    more(aims, folder);
    record(start);
    record(step(1));
    record(kind === 'snapshot' ? snapshot(1) : checkpoint(1));
    // The worker detects the attack before this.
    setTimeout(() => finish(1), 20_000).unref();
  };
};
const manyOf = (make: (at: number) => unknown) => () => {
  record(start);
  for (let at = 1; at <= 1000; at++) send(make(at));
};

export const attacks = {
  'a snapshot of the data folder': ({ dataDir }: Aims) => {
    record(start);
    record({ ...snapshot(1), dir: dataDir, files: [] });
  },
  'a snapshot of another job': ({ folder }: Aims) => {
    record({ ...start, series: null });
    record(step(1));
    record({ ...snapshot(1), dir: folder, files: [] });
  },
  'a checkpoint of another job': ({ folder }: Aims) => {
    record({ ...start, series: null });
    record(step(1));
    record({ ...checkpoint(1), dir: folder, ...written });
  },
  'a result of another job': ({ folder }: Aims) => {
    record({ ...start, series: null });
    record(step(1));
    record({ ...done(1), adapterDir: folder, files: [] });
    send({ type: 'finished' });
  },
  'a link among its files': inAdapter(({ file }, folder) =>
    symlinkSync(file, join(folder, 'adapter_model.safetensors')),
  ),
  'another name of a file of another job': inAdapter(({ file }, folder) =>
    linkSync(file, join(folder, 'adapter_model.safetensors')),
  ),
  'a pipe among its files': inAdapter((_, folder) =>
    execFileSync('mkfifo', [join(folder, 'adapter_model.safetensors')]),
  ),
  'a file of a terabyte': inAdapter((_, folder) => {
    writeFileSync(join(folder, 'adapter_model.safetensors'), '');
    truncateSync(join(folder, 'adapter_model.safetensors'), 2 ** 40);
  }),
  'a program among its files': inAdapter((_, folder) => writeFileSync(join(folder, 'modeling.py'), '')),
  'weights that are none': inAdapter((_, folder) =>
    writeFileSync(join(folder, 'adapter_model.safetensors'), 'x'.repeat(100)),
  ),
  'a class to import': inAdapter((_, folder) =>
    writeFileSync(
      join(folder, 'adapter_config.json'),
      JSON.stringify({ auto_mapping: { base_model_class: 'x', parent_library: 'os' } }),
    ),
  ),
  'a link in place of its folder': ({ request, folder }: Aims) => {
    symlinkSync(folder, request.outputDir);
    record(start);
    finish(1);
  },
  'a link in place of a snapshot': inFolderOfStep('snapshot', ({ folder }, own) => symlinkSync(folder, own)),
  'a link in place of a checkpoint': inFolderOfStep('checkpoint', ({ folder }, own) =>
    symlinkSync(folder, own),
  ),
  'a checkpoint that names other files': inFolderOfStep('checkpoint', ({ file }, own) => {
    mkdirSync(own);
    const files = {
      [`../../../../../../${file}`]: { bytes: 1, sha256: '0' },
      '/dev/zero': { bytes: 0, sha256: '0' },
    };
    writeFileSync(join(own, 'manifest.json'), JSON.stringify({ version: 3, step: 1, files }));
  }),
  '1,000 steps out of order': manyOf((at) => ({ type: 'record', record: step(1001 - at) })),
  '1,000 starts': manyOf(() => ({ type: 'record', record: start })),
  '1,000 evaluations': manyOf(() => ({
    type: 'record',
    record: { type: 'evaluation', step: 0, loss: 1, tokenAccuracy: null, metrics: {} },
  })),
  '1,000 pieces of advice': manyOf((at) => ({
    type: 'record',
    record: { type: 'advice', kind: 'flat', step: 0, message: `advice ${at}`, try: {} },
  })),
  '1,000 checkpoints': manyOf((at) => ({ type: 'record', record: checkpoint(at) })),
  '1,000 snapshots': manyOf((at) => ({ type: 'record', record: snapshot(at) })),
  '1,000 lost snapshots': manyOf((at) => ({
    type: 'record',
    record: { type: 'snapshot_lost', step: at, reason: 'EIO' },
  })),
  '1,000 trials': manyOf((at) => ({
    type: 'record',
    record: { type: 'trials', trials: [{ trial: at, status: 'won', step: 1, rungs: [] }] },
  })),
  '1,000 series': manyOf((at) => ({ type: 'series', trial: null, offset: 0, firstStep: at })),
  '1,000 results': manyOf(() => ({ type: 'finished' })),
  '1,000 verifications': manyOf(() => ({
    type: 'verification',
    verification: { reloadedLoss: 0, baseLoss: 0, moved: true, served: null },
  })),
  '1,000 stops': manyOf(() => ({ type: 'record', record: { type: 'stopped', step: 0 } })),
  // If accepted, the job would be requeued again and again, and no attempt would count.
  'an unrequested stop': () => send({ type: 'stopped' }),
  'more steps than any job has': () => {
    record({ ...start, totalSteps: 2 ** 31 - 1 });
  },
  'a line without an end': () => {
    for (;;) write('x'.repeat(2 ** 20));
  },
  'a line of 100 MB': () => {
    write(`"${'x'.repeat(100 * 2 ** 20)}"\n`);
  },
  'a deep message': () => write(`${'['.repeat(500_000)}${']'.repeat(500_000)}\n`),
  'deep numbers': () => write(`${'['.repeat(100_000)}{"#":"NaN"}${']'.repeat(100_000)}\n`),
  'no JSON': () => write('{"type":\n'),
  'keys of prototypes': () =>
    write(`{"type":"record","__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}\n`),
  'numbers that are none': () => {
    record(start);
    write(
      `${JSON.stringify({ type: 'record', record: step(1) }).replace('"loss":1', '"loss":{"#":"NaN"}')}\n`,
    );
  },
  'text that Postgres refuses': () => {
    record({ ...start, sharing: { savedFraction: 0, message: 'a\0b\ud800' } });
  },
  'a handle by a message of Node': () => {
    send({ cmd: 'NODE_HANDLE', type: 'net.Socket', msg: { type: 'finished' } });
  },
  'a disconnection by a message of Node': () => send({ cmd: 'NODE_DISCONNECT' }),
} satisfies Record<string, (aims: Aims) => void>;

// Without the lease descriptor, the test only imports the names of the attacks.
if (process.env.GRAFT_LEASE_FD) listen();

function listen(): void {
  send({ type: 'ready' });
  process.on('message', (message: { type: string; request: TrainingRequest }) => {
    if (message.type !== 'train') return;
    const { request } = message;
    const aims = JSON.parse(readFileSync(request.trainingFile, 'utf8')) as Attack;
    const [dataDir] = request.outputDir.split('/staging/');
    if (readdirSync(dataDir!).length === 0) throw new Error('this is not the data folder');
    attacks[aims.attack]({ ...aims, request, dataDir: dataDir! });
  });
  process.on('disconnect', () => process.exit());
}
