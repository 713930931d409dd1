/** Thread: tokenizes jobs' files as training will, and reports every example that cannot be used. */
import { createReadStream } from 'node:fs';
import { parentPort } from 'node:worker_threads';
import { checkInitialText } from '@graft/peft-core/check';
import { type ErrorDetail, GraftError, leadingPositions, type PeftConfig } from '@graft/peft-core/config';
import {
  type ClassOf,
  classesBy,
  createJsonlChecker,
  LabelCollector,
  MAX_LISTED_LINES,
  type RawExample,
  type TokenizeOptions,
  tokenizeExamples,
} from '@graft/peft-core/examples';
import { outlineOf, ownLabels } from '@graft/peft-core/outlines';
import { loadTokenizer, type Tokenizer, type TokenizerFiles } from '@graft/peft-core/text';
import { LineRanges } from '../line-ranges.ts';
import { messageOfLines } from '../message-of-lines.ts';

export interface ValidationTask {
  files: { param: 'training_file' | 'validation_file'; path: string }[];
  tokenizerFiles: TokenizerFiles;
  /** The base model's config.json. */
  modelConfig: Record<string, unknown>;
  peft: PeftConfig;
  maxSeqLength: number;
}

export type ValidationReport =
  | { ok: true }
  | { ok: false; code: string; message: string; param: string; fault: 'user' | 'system' };

/** Examples tokenized at a time: bounds memory, and is at most what one error lists. */
const batchSize = Math.min(64, MAX_LISTED_LINES);

async function validate(task: ValidationTask): Promise<ValidationReport> {
  const { peft, maxSeqLength, modelConfig } = task;
  const tokenizer = loadTokenizer(task.tokenizerFiles);
  checkInitialText(peft, modelConfig, (text) => tokenizer.encode(text));
  const { virtualTokens, prefixLength } = leadingPositions(peft);
  const { decoderStart = null, vocabularySize } = outlineOf(modelConfig, peft.task_type);
  const classOf = await classesOf(task);
  const options: TokenizeOptions = {
    maxSeqLength,
    leading: virtualTokens + prefixLength,
    vocabularySize,
    decoderStart,
    ...(classOf ? { classOf } : {}),
  };
  for (const file of task.files) {
    const { faults, bad } = await checkFile(file.path, tokenizer, options);
    if (bad.count === 0) continue;
    const { param } = file;
    const message = messageOfLines(faults, bad);
    return { ok: false, code: `invalid_${param}`, message, param, fault: 'user' };
  }
  return { ok: true };
}

/** The classes of a classifier's labels, as training will have them; null for other tasks. */
async function classesOf({ files, modelConfig, peft }: ValidationTask): Promise<ClassOf | null> {
  const [{ path }] = files as [ValidationTask['files'][0]];
  if (peft.task_type !== 'SEQ_CLS' && peft.task_type !== 'TOKEN_CLS') return null;
  const labels = new LabelCollector();
  await readExamples(path, (example) => labels.add(example));
  return classesBy(labels.namesFor(ownLabels(modelConfig, peft.task_type)));
}

async function checkFile(
  path: string,
  tokenizer: Tokenizer,
  options: TokenizeOptions,
): Promise<{ faults: ErrorDetail[]; bad: LineRanges }> {
  const faults: ErrorDetail[] = [];
  const bad = new LineRanges();
  let batch: RawExample[] = [];
  const checkBatch = () => {
    try {
      tokenizeExamples(tokenizer, batch, options);
    } catch (error) {
      if (!(error instanceof GraftError) || !error.details) throw error;
      for (const { line } of error.details) bad.add(line!);
      faults.push(...error.details.slice(0, MAX_LISTED_LINES - faults.length));
    }
    batch = [];
  };
  await readExamples(path, (example) => {
    batch.push(example);
    if (batch.length === batchSize) checkBatch();
  });
  checkBatch();
  return { faults, bad };
}

async function readExamples(path: string, take: (example: RawExample) => void): Promise<void> {
  const reader = createJsonlChecker(take);
  for await (const chunk of createReadStream(path, { highWaterMark: 256 * 1024 })) reader.write(chunk);
  reader.end();
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
