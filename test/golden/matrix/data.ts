import { join } from 'node:path';
import type { TaskType } from '@graft/peft-core/outlines';
import { type ExampleFormat, writeExamples } from '../fixtures/example-data.ts';

const formats: Record<TaskType, ExampleFormat> = {
  CAUSAL_LM: 'prompt_completion',
  SEQ_2_SEQ_LM: 'prompt_completion',
  SEQ_CLS: 'classification',
  TOKEN_CLS: 'token_classification',
  FEATURE_EXTRACTION: 'pairs',
};

/** Writes short examples for a task; returns the file. */
export async function writeTrainingFile(folder: string, task: TaskType): Promise<string> {
  const file = join(folder, `${task}.jsonl`);
  await writeExamples(file, formats[task], 24);
  return file;
}
