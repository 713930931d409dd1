/** The generator of a worker on the real SmolLM2-135M: requests to an adapter whose logits are NaN, beside fifteen valid chats. */
import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileTensorsFor } from '@graft/peft-core/check';
import { parsePeftConfig } from '@graft/peft-core/config';
import { openBaseModel, writeAdapter } from '@graft/peft-core/files';
import { createLogger } from '@graft/service/logger';
import { GeneratorProcess } from '../../apps/worker/src/generation/generator-process.ts';
import type { GeneratorRequest } from '../../apps/worker/src/generation/generator-protocol.ts';
import { realModel } from '../golden/fixtures/real-model.ts';
import { scratchFolder } from '../golden/fixtures/scratch-folder.ts';

const model = await realModel();
const folder = scratchFolder('poisoned-adapter');

/** Creates a LoRA adapter on the attention with values between −`size` and `size`. */
async function lora(name: string, size: number): Promise<string> {
  const base = await openBaseModel(model);
  const peft = parsePeftConfig({ peft_type: 'LORA', r: 4, target_modules: ['q_proj', 'v_proj'] });
  const tensors = new Map(
    fileTensorsFor(peft, base.config).map(({ key, shape }, part) => {
      const length = shape.reduce((product, n) => product * n, 1);
      return [key, { shape, data: Float32Array.from({ length }, (_, i) => size * Math.sin(i + part)) }];
    }),
  );
  await base.close();
  const card = { steps: 1, trainedTokens: 1, finalLoss: 1, validationLoss: null };
  const own = join(folder, name);
  await mkdir(own, { recursive: true });
  await writeAdapter(own, { peft, baseModelNameOrPath: 'smollm2', tensors, card });
  return own;
}

test('its own answers fail and name it; the others are the same texts as alone, by the same process', async () => {
  const honest = [null, await lora('honest', 0.02)];
  const poisoned = await lora('poisoned', 3e38);
  const generator = new GeneratorProcess({
    entry: new URL('../../apps/worker/src/generation/generator.ts', import.meta.url),
    device: { kind: 'cpu' },
    log: createLogger({ level: 'silent', name: 'test' }),
    limits: { rows: 16 },
    queueLimit: 64,
    waitMilliseconds: 300_000,
    stallMilliseconds: 300_000,
    idleMilliseconds: 60_000,
  });
  const ask = async (adapterDir: string | null, options: GeneratorRequest['options'], team: string) => {
    const request = { baseModel: 'smollm2', basePath: model, digestCache: folder, adapterDir, options };
    let text = '';
    for await (const event of generator.generate(request, AbortSignal.timeout(500_000), {
      team,
      weight: 1,
    })) {
      if (event.type === 'failed') return event.fault;
      if (event.type === 'token') text += event.text;
    }
    return text;
  };
  const sampled = { temperature: 0.8, top_p: 0.9, max_tokens: 10 };
  const chat = (i: number) => {
    const content = `Write about the number ${i}.`;
    const how = i % 3 === 0 ? { ...sampled, temperature: 0 } : sampled;
    return ask(honest[i % 2]!, { messages: [{ role: 'user', content }], seed: i, ...how }, `team ${i % 4}`);
  };
  const poison = () =>
    ask(poisoned, { prompt: 'Write', adapterName: 'adptver-poisoned', seed: 1, ...sampled }, 'team 0');
  try {
    const chats = Array.from({ length: 15 }, (_, i) => i);
    const alone = [];
    for (const i of chats) alone.push(await chat(i));
    const { pid } = generator;
    assert.ok(new Set(alone).size > 12 && alone.every((text) => typeof text === 'string'), alone.join('\n'));
    const [fault, ...texts] = await Promise.all([poison(), ...chats.map(chat)]);
    assert.deepEqual(texts, alone);
    assert.ok(typeof fault === 'object', `it answers ${fault}`);
    assert.deepEqual([fault.code, fault.fault, fault.param], ['non_finite_logits', 'user', 'model']);
    assert.match(fault.message, /^the adapter adptver-poisoned gives logits that are not finite/);
    assert.equal(await chat(1), alone[1]);
    assert.equal(generator.pid, pid, 'the generator was not restarted');
  } finally {
    await generator.close();
  }
});
