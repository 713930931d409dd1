import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { DataName } from './data.ts';

/** A training that is estimated and measured. */
export interface Case {
  /** A name in testdata/models.json. */
  model: string;
  data: DataName;
  peft: { peft_type: string; task_type?: string } & Record<string, unknown>;
  training: Record<string, unknown>;
}

/** Every method, and what changes memory and time most: batch, length, precision, how the base is kept, checkpointing. */
export const cases = read('cases.json');

/** Long examples, with each scaling of rotary positions, windows, and layers that are not rotated. */
export const longCases = read('long-cases.json');

function read(file: string): Case[] {
  return JSON.parse(readFileSync(path.join(import.meta.dirname, 'testdata', file), 'utf8'));
}
