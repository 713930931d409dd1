/** Thread that reads the files of jobs with the tokenizers of their base models. */
import { parentPort } from 'node:worker_threads';
import { loadTokenizer, type Tokenizer, unpackTokenizer } from '@graft/peft-core/text';
import type { ValidationProgress } from '@graft/service';
import { type EstimateReport, type EstimateTask, estimateFiles } from './estimate-task.ts';
import { faultOf, type ValidationReport, type ValidationTask, validateFiles } from './validation-task.ts';

/** The tokenizer that a task uses. */
export interface TaskTokenizer {
  /** Identifies the tokenizer. The packed files are sent only if the thread's previous task used another tokenizer. */
  tokenizerKey: string;
  tokenizerFiles: Uint8Array | null;
}

export type FileTask = TaskTokenizer & ({ validate: ValidationTask } | { estimate: EstimateTask });

/** Message from the thread: started, progress, then the result. A program error is sent as text. */
export type FileMessage =
  | { started: true }
  | { progress: ValidationProgress }
  | { report: ValidationReport | EstimateReport }
  | { broken: string };

let held: { key: string; tokenizer: Tokenizer } | null = null;

function tokenizerOf({ tokenizerKey, tokenizerFiles }: TaskTokenizer): Tokenizer {
  if (tokenizerFiles) held = { key: tokenizerKey, tokenizer: loadTokenizer(unpackTokenizer(tokenizerFiles)) };
  if (held?.key !== tokenizerKey) throw new Error(`the thread has no tokenizer ${tokenizerKey}`);
  return held.tokenizer;
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
