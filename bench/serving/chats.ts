import { join } from 'node:path';
import { parsePeftConfig } from '@graft/peft-core/config';
import type { BaseModel } from '@graft/peft-core/files';
import { Random } from '../../packages/peft-core/src/random.ts';
import { writeValues } from '../published-model.ts';
import { adapters } from '../training/workloads.ts';

/** A question to one adapter; answered by `answerTokens` tokens at most. */
export interface Chat {
  /** Folder of the adapter's files. */
  adapter: string;
  prompt: string;
}

export const answerTokens = 48;
/** Words of a prompt of about 100 tokens; where a byte is a token, with its last words. */
export const promptWords = { words: 75, bytes: 14 };

const topics = ['bikes', 'rivers', 'bread', 'chess', 'trams', 'bees', 'maps', 'tides'];
const facts = [
  'were first written about by people who travelled',
  'are looked after by two families in turn',
  'cost more in winter than in summer',
  'came to the town when the bridge was built',
  'need a quiet place and a little patience',
  'have names that nobody can explain any more',
];

/** `count` prompts of about 100 tokens, no two of which begin alike. */
export function chatsOf(adapters: readonly string[], count: number, length = promptWords.words): Chat[] {
  return Array.from({ length: count }, (_, i) => {
    const words = [`${i + 1}.`, 'The'];
    for (let n = i; words.length < length; n++)
      words.push(...`${topics[(i + n * 3) % topics.length]} ${facts[n % facts.length]}, and the`.split(' '));
    const prompt = `${words.join(' ')} last of them`;
    return { adapter: adapters[i % adapters.length]!, prompt };
  });
}

/** Adapters on every linear module of a block, with small random values; by their folders. */
export async function writeAdapters(base: BaseModel, folder: string, count: number): Promise<string[]> {
  const peft = parsePeftConfig(adapters.large);
  return await Promise.all(
    Array.from({ length: count }, (_, i) => {
      const random = new Random(i, 'order');
      const own = join(folder, `adapter-${i}`);
      return writeValues(own, { peft, model: base.config }, () => 0.1 * random.uniform() - 0.05);
    }),
  );
}
