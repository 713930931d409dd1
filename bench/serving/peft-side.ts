import { spawn } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { withParent } from '../../scripts/golden/environment/run-python.ts';
import { answerTokens, type Chat } from './chats.ts';

interface Measured {
  /** Token ids of the answers, in the order of the chats. */
  ids: number[][];
  tokens: number;
  seconds: number;
}

export interface PeftOptions {
  python: string;
  /** Where the plan is written. */
  folder: string;
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
export async function peftSide({
  python,
  folder,
  ...options
}: PeftOptions): Promise<{ oneByOne: Measured; together: Measured }> {
  const { adapters } = options;
  const plan = {
    ...options,
    tokens: answerTokens,
    chats: options.chats.map(({ adapter, prompt }) => ({ adapter: adapters.indexOf(adapter), prompt })),
  };
  const file = join(folder, 'plan.json');
  await writeFile(file, JSON.stringify(plan));
  const seconds = 2 * options.seconds + graceSeconds;
  const child = spawn(python, withParent(join(import.meta.dirname, 'hf_peft.py'), file), {
    stdio: ['ignore', 'pipe', 'inherit'],
    timeout: seconds * 1000,
    killSignal: 'SIGKILL',
  });
  let said = '';
  for await (const part of child.stdout.setEncoding('utf8')) said += part;
  const [code, signal] = await new Promise<[number | null, string | null]>((resolve, reject) => {
    if (child.exitCode !== null || child.signalCode !== null) resolve([child.exitCode, child.signalCode]);
    child.once('error', reject);
    child.once('exit', (...ended) => resolve(ended));
  });
  if (signal !== null) throw new Error(`hf_peft.py was ended by ${signal}; it may take ${seconds} s`);
  if (code !== 0) throw new Error(`hf_peft.py failed (${code}); what it said is above`);
  return JSON.parse(said.trim().split('\n').at(-1)!);
}
