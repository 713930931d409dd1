import { join } from 'node:path';
import type { TaskType } from '@graft/peft-core/outlines';
import { writeExamples } from '../example-data.ts';

/** Writes short examples for a task; returns the file. */
export async function writeTrainingFile(folder: string, task: TaskType): Promise<string> {
  const file = join(folder, `${task}.jsonl`);
  await writeExamples(file, 'prompt_completion', 24);
  return file;
}
