/** Thread that reads one case at a time as the service does. */
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parentPort } from 'node:worker_threads';
import { checkAgainstModel } from '@graft/peft-core/check';
import { defaultPeft, GraftError, parsePeftConfig } from '@graft/peft-core/config';
import { checkDataFile } from '@graft/peft-core/examples';
import { byteTokenizer, tinyConfig } from '@graft/peft-core/testing';
import { loadTokenizerWith } from '@graft/peft-core/text';
import { answerCalls } from '@graft/peft-core/threads';
import { AnswerConstraints } from '../../packages/peft-core/src/generate/constrained/answer-constraints.ts';
import type { Case } from './cases.ts';

/** Result of a case: read, or rejected with an error of this code and number of characters. */
export type End = 'read' | { code: string; characters: number; isUsers: boolean };

const file = path.join(mkdtempSync(path.join(tmpdir(), 'graft-fuzz-')), 'file');
const tokenizer = { tokenizerJson: byteTokenizer(), tokenizerConfig: null, chatTemplate: null };
const tokens = 260;
const last = 257;
const messages = [
  { role: 'user', content: 'What is "a"? '.repeat(20) },
  { role: 'assistant', content: 'b' },
];
const owner = { team: 'a', weight: 1 };
const constraints = new AnswerConstraints(tokenizer, tokens, []);

async function read(one: Case): Promise<void> {
  if (one.kind === 'template') loadTokenizerWith(tokenizer, one.text).applyChatTemplate(messages);
  else if (one.kind === 'pattern') {
    const tensors = { names: () => [], has: () => true, info: () => ({ dtype: 'F32', shape: [] }) };
    checkAgainstModel(
      parsePeftConfig({ ...defaultPeft, target_modules: one.text }),
      tinyConfig,
      tensors as never,
    );
  } else if (one.kind === 'schema') await follow(one.schema);
  else {
    writeFileSync(file, one.bytes);
    await checkDataFile(file);
  }
}

/** Generates up to ten tokens under the schema, each time the last that its mask allows. */
async function follow(schema: object): Promise<void> {
  const format = { type: 'json_schema', json_schema: schema } as const;
  const constraint = await constraints.start(
    { format: format as never, param: 'response_format', ends: new Set([last]) },
    owner,
  );
  try {
    for (let i = 0; i < 10; i++) {
      let mask = constraint.mask(20);
      while (!mask) {
        await constraint.ready();
        mask = constraint.mask(20);
      }
      const bits = mask;
      const allowed = Array.from({ length: tokens }, (_, token) => token).filter(
        (token) => (bits[token >> 5]! >> (token & 31)) & 1,
      );
      const next = allowed.at(-1);
      if (next === undefined || next === last) return;
      constraint.accept(next);
    }
  } finally {
    constraint.close();
  }
}

answerCalls<Case, End>(parentPort!, async (one) => {
  try {
    await read(one);
    return 'read';
  } catch (error) {
    if (!(error instanceof GraftError)) throw error;
    const characters = error.message.length + JSON.stringify(error.details ?? []).length;
    return { code: error.code, characters, isUsers: error.fault === 'user' };
  }
});
