import { hash } from 'node:crypto';
import { formatOf, type RawExample } from '../formats/formats.ts';

/** What an example asks, as its format has it. */
export function promptOf(example: RawExample): string {
  return formatOf(example.format).prompt(example);
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
