import type { DataSize } from '@graft/peft-core/config';
import { parseJsonl } from '@graft/peft-core/examples';
import { sha256 } from '../../../packages/peft-core/src/sha256.ts';

export interface Message {
  role: string;
  content?: string;
  tool_calls?: { id: string; type: string; function: { name: string; arguments: string } }[];
}

/** A line of preferences: texts, or messages, with tools where the answer is a call. */
export type Pair =
  | { prompt: string; chosen: string; rejected: string }
  | { prompt: Message[]; chosen: Message[]; rejected: Message[]; tools?: object[] };

/** Pairs to train on, and others to measure on. */
export interface Pairs {
  training: Pair[];
  heldOut: Pair[];
}

/** What supervised training learns of pairs: the chosen answers. */
export const demonstrationOf = (pair: Pair): object =>
  typeof pair.prompt === 'string'
    ? { prompt: pair.prompt, completion: (pair as { chosen: string }).chosen }
    : {
        ...('tools' in pair && { tools: pair.tools }),
        messages: [...pair.prompt, ...(pair.chosen as Message[])],
      };

/** As `dataSizeOf`, of rows. */
export function sizeOf(rows: readonly object[]): DataSize {
  const { examples, answerCharacters, format } = parseJsonl(rows.map((row) => JSON.stringify(row)));
  return { exampleCount: examples.length, answerCharacters, format };
}

/** Of a task's pairs: trials of others say nothing of it. */
export const digestOf = (pairs: Pairs): string => sha256(JSON.stringify(pairs)).slice(0, 12);
