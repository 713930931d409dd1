import { environmentFor } from '@graft/peft-core/precision';
import { type HeldBytes, heldBytes, MEMORY_LOG, readTensor } from './memory-log.ts';
import type { Plan, TaskResults } from './plan.ts';
import { runTask } from './run-task.ts';

/** What a running trainer holds of the base model, read from TensorFlow's own memory log during one step and one evaluation. */
export async function measureWeights(
  plan: Omit<Plan, 'task'>,
): Promise<{ held: HeldBytes; model: TaskResults['weights'] }> {
  const reads: NonNullable<ReturnType<typeof readTensor>>[] = [];
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
