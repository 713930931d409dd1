/** Thread: tokenizes jobs' files as training will, and reports every example that cannot be used. */
import { parentPort } from 'node:worker_threads';
import { checkInitialText } from '@graft/peft-core/check';
import { GraftError, type PeftConfig } from '@graft/peft-core/config';
import { readExamples } from '@graft/peft-core/examples';
import { loadTokenizer, type Tokenizer, type TokenizerFiles } from '@graft/peft-core/text';
import type { ValidationProgress } from '@graft/service';
import { LineRanges, messageOfLines } from '../uploads/line-ranges.ts';

export interface ValidationTask {
  /** Paths. */
  trainingFile: string;
  validationFile: string | null;
  /** Names the tokenizer; its files come along unless the thread's task before had the same. */
  tokenizerKey: string;
  tokenizerFiles: TokenizerFiles | null;
  /** The base model's config.json. */
  modelConfig: Record<string, unknown>;
  peft: PeftConfig;
  maxSeqLength: number;
}

export type ValidationReport =
  | { ok: true; tokens: number }
  | { ok: false; code: string; message: string; param: string; fault: 'user' | 'system' | 'environment' };

/** What the thread says: how far it is, then how it ended. A fault of the program comes as text. */
export type ValidationMessage =
  | { progress: ValidationProgress }
  | { report: ValidationReport }
  | { broken: string };

const progressMilliseconds = 200;

let held: { key: string; tokenizer: Tokenizer } | null = null;

function tokenizerOf({ tokenizerKey, tokenizerFiles }: ValidationTask): Tokenizer {
  if (tokenizerFiles) held = { key: tokenizerKey, tokenizer: loadTokenizer(tokenizerFiles) };
  if (held?.key !== tokenizerKey) throw new Error(`the thread has no tokenizer ${tokenizerKey}`);
  return held.tokenizer;
}

async function validate(
  task: ValidationTask,
  tell: (progress: ValidationProgress) => void,
): Promise<ValidationReport> {
  const bad = new LineRanges();
  let examples = 0;
  /** Of the training file, once through. */
  let tokens = 0;
  let told = 0;
  try {
    const tokenizer = tokenizerOf(task);
    checkInitialText(task.peft, task.modelConfig, (text) => tokenizer.encode(text));
    await readExamples(
      { ...task, tokenizer },
      {
        onBadLine: (line) => bad.add(line),
        onExample: (example, file) => {
          examples++;
          if (file === 'training_file') tokens += example.tokens;
        },
        onBytes: (bytes, totalBytes) => {
          const now = performance.now();
          if (now - told < progressMilliseconds) return;
          told = now;
          tell({ bytes, totalBytes, examples });
        },
      },
    );
    return { ok: true, tokens };
  } catch (error) {
    if (!(error instanceof GraftError)) throw error;
    const { code, message, fault, details } = error;
    const param = error.param ?? 'training_file';
    if (!details) return { ok: false, code, message: storable(message), param, fault: faultOf(fault) };
    return {
      ok: false,
      code: `invalid_${param}`,
      message: storable(messageOfLines(details, bad)),
      param,
      fault: 'user',
    };
  }
}

function faultOf(fault: string): 'user' | 'system' {
  return fault === 'user' ? 'user' : 'system';
}

/** Messages quote users' text, and Postgres keeps no U+0000 and no halves of characters. */
function storable(message: string): string {
  return Buffer.from(message.replaceAll('\u0000', '\\u0000')).toString();
}

const port = parentPort!;
port.on('message', async (task: ValidationTask) => {
  const tell = (message: ValidationMessage) => port.postMessage(message);
  try {
    tell({ report: await validate(task, (progress) => tell({ progress })) });
  } catch (error) {
    tell({ broken: error instanceof Error ? (error.stack ?? error.message) : String(error) });
  }
});
