/** Thread that reads the files of jobs with the tokenizers of their base models. */
import { parentPort } from 'node:worker_threads';
import { GraftError } from '@graft/peft-core/config';
import { loadTokenizerWith, type Tokenizer, unpackTokenizer } from '@graft/peft-core/text';
import type { ValidationProgress } from '@graft/service/jobs';
import { type EstimateReport, type EstimateTask, estimateFiles } from './estimate-task.ts';
import type { TaskTokenizer } from './task-tokenizer.ts';
import { faultOf, type ValidationReport, type ValidationTask, validateFiles } from './validation-task.ts';

export type FileTask = TaskTokenizer & ({ validate: ValidationTask } | { estimate: EstimateTask });

/** Message from the thread: started, progress, then the result. A program error is sent as text. */
export type FileMessage =
  | { started: true }
  | { progress: ValidationProgress }
  | { report: ValidationReport | EstimateReport }
  | { broken: string };

/** The latest tokenizer, or why its files or its template are none. */
let held: { key: string; loaded: Tokenizer | GraftError } | null = null;

function tokenizerOf({ tokenizerKey, tokenizerFiles, chatTemplate }: TaskTokenizer): Tokenizer {
  if (tokenizerFiles) held = { key: tokenizerKey, loaded: load(tokenizerFiles, chatTemplate) };
  if (held?.key !== tokenizerKey) throw new Error(`the thread has no tokenizer ${tokenizerKey}`);
  if (held.loaded instanceof GraftError) throw held.loaded;
  return held.loaded;
}

function load(files: Uint8Array, chatTemplate: string | null): Tokenizer | GraftError {
  try {
    return loadTokenizerWith(unpackTokenizer(files), chatTemplate);
  } catch (error) {
    if (error instanceof GraftError) return error;
    throw error;
  }
}

async function work(
  task: FileTask,
  onProgress: (progress: ValidationProgress) => void,
): Promise<ValidationReport | EstimateReport> {
  let tokenizer: Tokenizer;
  try {
    tokenizer = tokenizerOf(task);
  } catch (error) {
    return faultOf(error);
  }
  return 'validate' in task
    ? await validateFiles(task.validate, tokenizer, onProgress)
    : await estimateFiles(task.estimate, tokenizer);
}

const port = parentPort!;
port.on('message', async (task: FileTask) => {
  const send = (message: FileMessage) => port.postMessage(message);
  send({ started: true });
  try {
    send({ report: await work(task, (progress) => send({ progress })) });
  } catch (error) {
    send({ broken: error instanceof Error ? (error.stack ?? error.message) : String(error) });
  }
});
