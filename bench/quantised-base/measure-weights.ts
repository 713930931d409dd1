import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { PeftConfig, ResolvedTraining } from '@graft/peft-core/config';
import { environmentFor } from '@graft/peft-core/precision';
import { runForResult, typeScript } from '../../scripts/measuring/processes.ts';
import { scratchFolder } from '../../test/golden/fixtures/scratch-folder.ts';

/** Input of one process of bench/quantised-base. */
export interface Plan {
  task: 'weights' | 'train' | 'answer';
  model: string;
  trainingFile: string;
  heldOutFile: string;
  peft: PeftConfig;
  training: ResolvedTraining;
  /** Where the adapter is written, or read. */
  adapter: string;
}

export interface TaskResults {
  /** How to recognise weights in TensorFlow's log. */
  weights: { trainableParameters: number; vocabularySize: number; hiddenSize: number; linearValues: number };
  train: { tokensPerSecond: number; loadedBytes: number; peakBytes: number; heldOutLoss: number };
  answer: { right: number; of: number };
}

/**
 * Runs graft.ts on a plan in a separate process. At its end the lines of its standard error go to `listen`, or are shown.
 * Until then they are kept in a file: Node makes pipes non-blocking, and TensorFlow drops what a full pipe does not take.
 */
export async function runTask<T extends Plan['task']>(
  plan: Plan & { task: T },
  env: Record<string, string>,
  listen: (line: string) => void = console.error,
): Promise<TaskResults[T]> {
  const log = await open(join(scratchFolder('plan'), 'stderr'), 'w+');
  const program = typeScript(join(import.meta.dirname, 'graft.ts'), env);
  try {
    return await runForResult(program, plan, { stderr: log.fd });
  } finally {
    // Closed with its stream.
    for await (const line of createInterface({ input: log.createReadStream({ start: 0 }) })) listen(line);
  }
}

/** Bytes that TensorFlow holds for the base model in one dtype. */
export interface HeldBytes {
  /** Linear modules' weights, with all that is stored to unpack them. */
  linear: number;
  /** The token embedding, which is the head too. */
  embedding: number;
  norms: number;
}

/** Measures a running trainer's memory of the base model. It is read from TensorFlow's own log during one step and one evaluation. */
export async function measureWeights(
  plan: Omit<Plan, 'task'>,
): Promise<{ held: HeldBytes; model: TaskResults['weights'] }> {
  const reads: ReadTensor[] = [];
  const listen = (line: string) => {
    const read = readTensor(line);
    if (read) reads.push(read);
  };
  const model = await runTask(
    { ...plan, task: 'weights', training: { ...plan.training, max_steps: 1 } },
    { ...environmentFor('auto'), ...MEMORY_LOG },
    listen,
  );
  return { held: heldBytes(reads, model), model };
}

interface ReadTensor {
  run: string;
  shape: number[];
  bytes: number;
}

/** Environment in which TensorFlow writes every tensor that it allocates or hands on to standard error. */
const MEMORY_LOG = { TF_CPP_MIN_LOG_LEVEL: '0', TF_CPP_VMODULE: 'log_memory=2' };

/**
 * The tensor of a line of the log, if the function `evaluate` read it from a variable, else null. `evaluate` reads each
 * variable once; a wide head it reads slice by slice. `bytes` is the size of the buffer that TensorFlow allocated.
 */
function readTensor(line: string): ReadTensor | null {
  if (!line.includes('MemoryLogTensorOutput') || !line.includes('"evaluate/ReadVariableOp')) return null;
  const run = /step_id: (\d+)/.exec(line);
  const bytes = /requested_bytes: (\d+)/.exec(line);
  if (!run || !bytes) throw new Error(`TensorFlow's memory log has changed: ${line}`);
  const shape = [...line.matchAll(/dim { size: (\d+) }/g)].map(([, size]) => Number(size));
  return { run: run[1]!, shape, bytes: Number(bytes[1]) };
}

/** Bytes that the first evaluation read, by kind. The rest of what is stored is the linear weights'. */
function heldBytes(reads: ReadTensor[], model: TaskResults['weights']): HeldBytes {
  const held: HeldBytes = { linear: 0, embedding: 0, norms: 0 };
  const tables = new Set<string>();
  for (const { run, shape, bytes } of reads) {
    if (run !== reads[0]!.run || shape.join() === `${model.trainableParameters}`) continue;
    const kind =
      shape[0] === model.vocabularySize
        ? 'embedding'
        : shape.join() === `${model.hiddenSize}`
          ? 'norms'
          : 'linear';
    // There is one token table; a slice of the head is the same table, read again.
    if (kind === 'embedding' && tables.has(shape.join())) continue;
    if (kind === 'embedding') tables.add(shape.join());
    held[kind] += bytes;
  }
  if (held.linear === 0) throw new Error("TensorFlow's memory log lists no weights");
  return held;
}
