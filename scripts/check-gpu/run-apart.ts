import { spawn } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { type Device, resolvePrecision } from '../../apps/worker/src/devices.ts';
import { childEnvironment } from '../../apps/worker/src/processes/child-environment.ts';
import type { Check, CheckContext, Made, Outcome } from './check.ts';

const everyMilliseconds = 200;

/**
 * Watches the memory in use on a card, by any process: TensorFlow and PyTorch keep what they once allocated, so this is what a card must
 * have rather than what was in use. The returned function stops watching and returns the peak above the first reading, in MiB; null on a
 * processor, and where nvidia-smi reports none.
 */
export function watchCardMemory(device: Device): () => number | null {
  if (device.kind === 'cpu') return () => null;
  const query = [
    '--query-gpu=memory.used',
    '--format=csv,noheader,nounits',
    `--loop-ms=${everyMilliseconds}`,
  ];
  const child = spawn('nvidia-smi', [`--id=${device.uuid}`, ...query], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  child.on('error', () => {}); // it was there when the device was found
  let first: number | null = null;
  let most = 0;
  createInterface({ input: child.stdout }).on('line', (line) => {
    const used = Number.parseInt(line, 10);
    if (!Number.isFinite(used)) return;
    first ??= used;
    most = Math.max(most, used - first);
  });
  return () => {
    child.kill();
    return first === null ? null : most;
  };
}

const root = join(import.meta.dirname, '..', '..');
const keptLines = 20;

export type RunOptions = Pick<CheckContext, 'device' | 'small' | 'shared'> & {
  /** A check that takes longer is ended, and has failed. */
  limitSeconds: number;
  /** Aborted: the check is ended. */
  signal: AbortSignal;
  /** The process's entry; another one in tests. */
  entry?: string;
};

/** Makes a check in a separate process, with all that it starts in a group, so that whatever becomes of it is an outcome. */
export async function runApart(check: Check, options: RunOptions): Promise<Made> {
  const { device, small, shared, entry = fileURLToPath(new URL('one-check.ts', import.meta.url)) } = options;
  const folder = join(shared, check.name);
  await mkdir(folder);
  const precision = resolvePrecision(check.precision, device);
  const context: CheckContext = { device, precision, small, folder, shared };
  const [contextFile, outcomeFile] = [join(folder, 'context.json'), join(folder, 'outcome.json')];
  await writeFile(contextFile, JSON.stringify(context));

  const memory = watchCardMemory(device);
  const started = performance.now();
  const ended = await inGroup([entry, check.name, contextFile, outcomeFile], check, context, options);
  const seconds = (performance.now() - started) / 1000;
  const made = { name: check.name, seconds, cardMib: memory() };
  const written = await readFile(outcomeFile, 'utf8').catch(() => null);
  if (ended.reason !== null || written === null) {
    const reason = ended.reason ?? 'it ended without an outcome';
    return { ...made, result: 'failed', reason, output: ended.output };
  }
  const outcome = JSON.parse(written) as Outcome;
  if (outcome.result === 'failed') return { ...made, ...outcome, output: ended.output };
  if (outcome.result === 'passed' && check.mustLog && !ended.logged)
    return { ...made, result: 'not possible', reason: check.mustLog.otherwise };
  return { ...made, ...outcome };
}

/** `reason`: why its process did not end by itself in good order; null where it did. */
async function inGroup(
  args: string[],
  { environment, mustLog }: Check,
  { device, precision }: CheckContext,
  { limitSeconds, signal }: RunOptions,
): Promise<{ reason: string | null; output: string[]; logged: boolean }> {
  const child = spawn(process.execPath, [...process.execArgv, ...args], {
    cwd: root,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...childEnvironment(device, precision), ...environment },
  });
  const output: string[] = [];
  let logged = false;
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on('line', (line) => {
      logged ||= mustLog !== undefined && line.includes(mustLog.text);
      output.push(line);
      output.splice(0, output.length - keptLines);
    });
  }
  let ending: string | null = null;
  const endGroup = () => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
    } catch {
      // nothing of it is left
    }
  };
  const end = (why: string) => {
    ending ??= why;
    endGroup();
  };
  const late = setTimeout(() => end(`it took longer than ${limitSeconds} s`), limitSeconds * 1000);
  const onAbort = () => end('it was interrupted');
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) onAbort();
  try {
    const how = await new Promise<string | null>((resolve) => {
      child.on('error', (error) => resolve(error.message));
      child.on('exit', (code, killedBy) => {
        endGroup(); // what it may have left, which would hold the pipes
        child.once('close', () => resolve(code === 0 ? null : (killedBy ?? `exit code ${code}`)));
      });
    });
    return { reason: ending ?? (how === null ? null : `its process ended by ${how}`), output, logged };
  } finally {
    clearTimeout(late);
    signal.removeEventListener('abort', onAbort);
  }
}
