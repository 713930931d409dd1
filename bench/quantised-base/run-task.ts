import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { PeftConfig, ResolvedTraining } from '@graft/peft-core/config';
import { runForResult, typeScript } from '../../scripts/measuring/processes.ts';

/** What one process of bench/quantised-base is to do. */
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
  listen: (line: string) => void = (line) => process.stderr.write(`${line}\n`),
): Promise<TaskResults[T]> {
  const folder = await mkdtemp(join(tmpdir(), 'graft-plan-'));
  try {
    const log = await open(join(folder, 'stderr'), 'w+');
    const script = join(import.meta.dirname, 'graft.ts');
    try {
      return await runForResult(typeScript(script, env), plan, { stderr: log.fd });
    } finally {
      // Closed with its stream.
      for await (const line of createInterface({ input: log.createReadStream({ start: 0 }) })) listen(line);
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
