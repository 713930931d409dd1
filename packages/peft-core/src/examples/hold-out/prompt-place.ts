import { hash } from 'node:crypto';
import { formatOf, type RawExample } from '../formats/formats.ts';

export function promptOf(example: RawExample): string {
  return formatOf(example.format).prompt(example);
}

/** The whole content of an example as one text: examples with equal texts are identical, whatever their weights. */
export function contentOf({ line: _, weight: __, ...content }: RawExample): string {
  return JSON.stringify(content);
}

/**
 * Place of a prompt in [0, 1): uniformly distributed, and independent of its position in a file. 48 bits of the SHA-256 of
 * seed and prompt.
 */
export function placeOf(prompt: string, seed: number): number {
  return hash('sha256', `${seed}:${prompt}`, 'buffer').readUIntBE(0, 6) / 2 ** 48;
}
