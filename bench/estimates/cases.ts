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

const file = path.join(import.meta.dirname, 'testdata', 'cases.json');

/** Every method, and what changes memory and time most: batch, length, precision, how the base is kept, checkpointing. */
export const cases: Case[] = JSON.parse(readFileSync(file, 'utf8'));
