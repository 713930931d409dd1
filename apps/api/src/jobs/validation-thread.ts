/** Thread: tokenizes jobs' files as training will, and reports every example that cannot be used. */
import { parentPort } from 'node:worker_threads';
import { checkInitialText } from '@graft/peft-core/check';
import { GraftError, type PeftConfig } from '@graft/peft-core/config';
import { readExamples } from '@graft/peft-core/examples';
import { loadTokenizer, type TokenizerFiles } from '@graft/peft-core/text';
import { LineRanges, messageOfLines } from '../uploads/line-ranges.ts';

export interface ValidationTask {
  /** Paths. */
  trainingFile: string;
  validationFile: string | null;
  tokenizerFiles: TokenizerFiles;
  /** The base model's config.json. */
  modelConfig: Record<string, unknown>;
  peft: PeftConfig;
  maxSeqLength: number;
}

export type ValidationReport =
  | { ok: true }
  | { ok: false; code: string; message: string; param: string; fault: 'user' | 'system' | 'environment' };

async function validate({ tokenizerFiles, ...task }: ValidationTask): Promise<ValidationReport> {
  const bad = new LineRanges();
  try {
    const tokenizer = loadTokenizer(tokenizerFiles);
    checkInitialText(task.peft, task.modelConfig, (text) => tokenizer.encode(text));
    await readExamples({ ...task, tokenizer }, { onBadLine: (line) => bad.add(line) });
    return { ok: true };
  } catch (error) {
    if (!(error instanceof GraftError)) throw error;
    const { code, message, fault, details } = error;
    const param = error.param ?? 'training_file';
    if (!details) return { ok: false, code, message, param, fault };
    return {
      ok: false,
      code: `invalid_${param}`,
      message: messageOfLines(details, bad),
      param,
      fault: 'user',
    };
  }
}

parentPort!.on('message', async (task: ValidationTask) => {
  parentPort!.postMessage(await validate(task));
});
