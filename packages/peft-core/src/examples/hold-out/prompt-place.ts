import { hash } from 'node:crypto';
import type { RawExample } from '../raw-example.ts';

/**
 * What an example asks, by which duplicates are found: of a chat everything before its first learnt answer, else the prompt, the
 * text to classify or to turn into another, the words, or the first of texts that are compared. Where it asks nothing, such as a chat
 * without a question, it is all of its content.
 */
export function promptOf(example: RawExample): string {
  switch (example.format) {
    case 'chat': {
      const { messages } = example;
      const answer = messages.findIndex(({ role, weight }) => role === 'assistant' && weight !== 0);
      const before = messages.slice(0, answer);
      const asks = before.some(({ role }) => role === 'user') ? before : messages;
      return JSON.stringify(asks.map(({ role, content, name = null }) => [role, content, name]));
    }
    case 'prompt_completion':
      return example.prompt || example.completion;
    case 'text':
    case 'text_target':
    case 'classification':
    case 'multi_label_classification':
      return example.text;
    case 'token_classification':
      return JSON.stringify(example.words);
    case 'pairs':
    case 'scored_pairs':
      return example.texts[0]!;
  }
}

/** All that an example says, as one text: examples with the same one are the same word for word. */
export function contentOf({ line: _, ...content }: RawExample): string {
  return JSON.stringify(content);
}

/**
 * Where a prompt lies in [0, 1): evenly distributed, and the same wherever the prompt stands in a file. 48 bits of the SHA-256 of
 * seed and prompt.
 */
export function placeOf(prompt: string, seed: number): number {
  return hash('sha256', `${seed}:${prompt}`, 'buffer').readUIntBE(0, 6) / 2 ** 48;
}
