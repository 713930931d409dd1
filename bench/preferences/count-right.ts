/**
 * Greedy answers of adapters to the bike shop's held-out questions: how many are right, so that what preferences do to answers can be seen.
 *
 * usage: count-right.ts ADAPTER…
 */
import { join } from 'node:path';
import { openGenerator } from '@graft/peft-core';
import { openBaseModel } from '@graft/peft-core/files';
import { exactMatch, greedyAnswers, readHeldOut } from '../../scripts/demo/held-out.ts';
import { packagedModel } from '../../scripts/methods/packaged-model.ts';

const questions = await readHeldOut(join(import.meta.dirname, '../../examples/bike-shop/heldout.jsonl'));
const base = await openBaseModel(await packagedModel('smollm2'));
const generator = await openGenerator({ base });
for (const adapter of process.argv.slice(2)) {
  const requests = questions.map(({ messages }) => ({ messages, adapter, max_tokens: 16 }));
  const right = exactMatch(questions, await greedyAnswers(generator, requests));
  console.log(`${adapter}: ${right} of ${questions.length}`);
}
await generator.close();
await base.close();
