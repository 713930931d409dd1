/** Thread: tokenizes jobs' files as training will, and reports every example that cannot be used. */
import { createReadStream } from 'node:fs';
import { parentPort } from 'node:worker_threads';
import { type ErrorDetail, GraftError } from '@graft/peft-core/config';
import {
  createJsonlChecker,
  loadTokenizer,
  MAX_LISTED_LINES,
  type RawExample,
  type Tokenizer,
  type TokenizerFiles,
  tokenizeExamples,
} from '@graft/peft-core/text';

export interface ValidationTask {
  files: { param: 'training_file' | 'validation_file'; path: string }[];
  tokenizerFiles: TokenizerFiles;
  maxSeqLength: number;
}

export type ValidationReport =
  | { ok: true }
  | { ok: false; code: string; message: string; param: string; fault: 'user' | 'system' };

/** Examples tokenized at a time: bounds memory, and is at most what one error lists. */
const batchSize = Math.min(64, MAX_LISTED_LINES);

async function validate(task: ValidationTask): Promise<ValidationReport> {
  const tokenizer = loadTokenizer(task.tokenizerFiles);
  for (const file of task.files) {
    const { faults, total } = await checkFile(file.path, tokenizer, task.maxSeqLength);
    if (total === 0) continue;
    const more = total > faults.length ? `; and ${total - faults.length} more bad lines` : '';
    const lines = faults.map(({ line, message }) => `line ${line} ${message}`).join('; ');
    const { param } = file;
    return { ok: false, code: `invalid_${param}`, message: `${lines}${more}`, param, fault: 'user' };
  }
  return { ok: true };
}

async function checkFile(
  path: string,
  tokenizer: Tokenizer,
  maxSeqLength: number,
): Promise<{ faults: ErrorDetail[]; total: number }> {
  const faults: ErrorDetail[] = [];
  let total = 0;
  let batch: RawExample[] = [];
  const checkBatch = () => {
    try {
      tokenizeExamples(tokenizer, batch, { maxSeqLength });
    } catch (error) {
      if (!(error instanceof GraftError) || !error.details) throw error;
      total += error.details.length;
      faults.push(...error.details.slice(0, MAX_LISTED_LINES - faults.length));
    }
    batch = [];
  };
  const reader = createJsonlChecker((example) => {
    batch.push(example);
    if (batch.length === batchSize) checkBatch();
  });
  for await (const chunk of createReadStream(path, { highWaterMark: 256 * 1024 })) reader.write(chunk);
  reader.end();
  checkBatch();
  return { faults, total };
}

async function report(task: ValidationTask): Promise<ValidationReport> {
  try {
    return await validate(task);
  } catch (error) {
    if (!(error instanceof GraftError)) throw error;
    const { code, message, param, fault } = error;
    return { ok: false, code, message, param: param ?? 'training_file', fault };
  }
}

parentPort!.on('message', async (task: ValidationTask) => {
  parentPort!.postMessage(await report(task));
});
