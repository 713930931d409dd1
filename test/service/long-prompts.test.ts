/** A complete Graft on the real SmolLM2-135M: 48 clients of one team send prompts that are too long, beside chats of another team. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { longPrompts } from '../../bench/serving/long-prompts.ts';
import { realModel } from '../golden/fixtures/real-model.ts';

test('each is refused for its length and recorded in the ledger with the tokens read, and the chats are answered', async () => {
  const report = () => {};
  const loads = await longPrompts({ model: await realModel(), clients: 48, chats: 2, report });
  // 900,000 bytes are rejected untokenised, at 81 bytes per token; 160,000 bytes are tokenised.
  const tokens = [0, 11_112, 36_722];
  for (const [i, { name, first, refused, inputTokens }] of loads.entries()) {
    assert.equal(first.length, 2, name);
    if (i === 0) continue;
    assert.deepEqual(Object.keys(refused), ['context_length_exceeded'], name);
    const count = refused.context_length_exceeded!;
    assert.ok(count >= 48, `${count} of ${name}`);
    assert.equal(inputTokens, count * tokens[i]!, name);
  }
});
