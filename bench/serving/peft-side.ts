import { join } from 'node:path';
import { python, runForResult } from '../../scripts/measuring/processes.ts';
import { answerTokens, type Chat } from './chats.ts';

interface Measured {
  /** Token ids of the answers, in the order of the chats. */
  ids: number[][];
  tokens: number;
  seconds: number;
}

export interface PeftOptions {
  /** Folder of the base model in Hugging Face's form. */
  model: string;
  adapters: readonly string[];
  chats: readonly Chat[];
  rows: number;
  alone: number;
  seconds: number;
  threads: number;
}

/** Beyond what its questions may take: loading the model, and the answers that are under way then. */
const graceSeconds = 300;

/** The same questions by transformers and HF PEFT, which reports progress on standard error. Throws when it fails or takes far too long. */
export async function peftSide(options: PeftOptions): Promise<{ oneByOne: Measured; together: Measured }> {
  const { adapters } = options;
  const plan = {
    ...options,
    tokens: answerTokens,
    chats: options.chats.map(({ adapter, prompt }) => ({ adapter: adapters.indexOf(adapter), prompt })),
  };
  const program = await python(join(import.meta.dirname, 'hf_peft.py'));
  return await runForResult(program, plan, { seconds: 2 * options.seconds + graceSeconds });
}
