/** Tests graphs with GPU layout at their limits: prompts of any length, little memory, adapters with non-finite results. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { parsePeftConfig } from '../../config/index.ts';
import type { GraftError } from '../../errors.ts';
import { type BaseModel, openBaseModel, writeAdapter } from '../../files.ts';
import { layingOutFor } from '../../nn/computation.ts';
import { Random } from '../../random.ts';
import { tempFolder } from '../../testing/temp-folder.ts';
import { writeTinyModel } from '../../testing/tiny-model.ts';
import { fileTensorsFor } from '../../tuners/check.ts';
import { type GenerateRequest, type Generator, type GeneratorOptions, openGenerator } from '../generator.ts';

const at = tempFolder();
let base: BaseModel;
before(async () => {
  await writeTinyModel(at('model'), { max_position_embeddings: 6000 });
  base = await openBaseModel(at('model'));
  const low = { peft_type: 'LORA', r: 2, target_modules: 'all-linear' };
  await writeValues('lora', low, 0.3);
  await writeValues('other lora', low, 0.2);
  await writeValues('huge lora', low, 3e38);
  await writeValues('huge head', { ...low, target_modules: ['lm_head'] }, 3e38);
  // At the limit of float32, so that sums overflow whatever the order in which a processor adds.
  await writeValues('huge prefix', { peft_type: 'PREFIX_TUNING', num_virtual_tokens: 3 }, 1e40);
});
after(() => base.close());

async function writeValues(name: string, fields: Record<string, unknown>, scale: number): Promise<void> {
  const peft = parsePeftConfig(fields);
  const tensors = new Map(
    fileTensorsFor(peft, base.config).map(({ key, shape }, part) => {
      const random = new Random(1, 'test', part);
      const data = Float32Array.from({ length: shape.reduce((size, n) => size * n, 1) }, () =>
        Math.max(-3.4e38, Math.min(3.4e38, scale * random.normal())),
      );
      return [key, { shape, data }];
    }),
  );
  const card = { steps: 1, trainedTokens: 1, finalLoss: 1, validationLoss: null };
  await writeAdapter(at(name), { peft, baseModelNameOrPath: 'tiny', tensors, card });
}

type Options = Omit<GeneratorOptions, 'base'>;
async function within<T>(options: Options, body: (generator: Generator) => Promise<T>): Promise<T> {
  const generator = await openGenerator({ base, baseDtype: 'fp32', ...options });
  try {
    return await body(generator);
  } finally {
    await generator.close();
  }
}
const onCard = <T>(options: Options, body: (generator: Generator) => Promise<T>): Promise<T> =>
  layingOutFor('gpu', () => within(options, body));

async function textOf(generator: Generator, request: GenerateRequest): Promise<string> {
  let text = '';
  for await (const piece of generator.generate({ max_tokens: 6, ...request })) text += piece.text;
  return text;
}

test('prompts of 1 to 5,000 tokens, at once and in any pieces', async () => {
  const limits = { context: 5200, rows: 8, cacheBytes: 2 ** 25 };
  const random = new Random(5, 'test');
  const lengths = [1, 2, 16, 17, 127, 128, 129, 1000, 2048, 2049, 4097, 5000];
  const prompts = lengths.map((length) => ({
    prompt: String.fromCharCode(...Array.from({ length }, () => 97 + random.integer(26))),
    adapter: length % 2 === 0 ? at('lora') : null,
    team: `team ${length % 3}`,
  }));
  const all = (generator: Generator) => Promise.all(prompts.map((each) => textOf(generator, each)));
  const expected = await within(limits, all);
  assert.ok(new Set(expected).size > 6, 'they say different things');
  assert.deepEqual(await onCard(limits, all), expected);
});

test('a cache for one answer, stop strings, and aborted answers', async () => {
  const limits = { context: 160, rows: 8, cacheBytes: 1 };
  const asked = Array.from({ length: 8 }, (_, seed) => ({
    prompt: 'b'.repeat(140),
    temperature: 1,
    seed,
    max_tokens: 20,
  }));
  const free = await within(limits, (generator) => Promise.all(asked.map((each) => textOf(generator, each))));
  const answers = asked.map((each, i) => ({ ...each, stop: [free[i]!.slice(5, 7) || 'none'] }));
  const all = (generator: Generator) => Promise.all(answers.map((each) => textOf(generator, each)));
  const expected = await within(limits, all);
  await onCard(limits, async (generator) => {
    const leaving = new AbortController();
    const left = asked.slice(0, 3).map(async (request) => {
      for await (const _ of generator.generate({ ...request, signal: leaving.signal }))
        leaving.abort(new Error('gone'));
    });
    for (const each of left) await assert.rejects(each, /gone/);
    assert.deepEqual(await all(generator), expected);
  });
});

test('a team that asks once does not wait for the many long prompts of another', async () => {
  await onCard({ context: 2200, rows: 4, cacheBytes: 2 ** 24 }, async (generator) => {
    const ended: string[] = [];
    let began = () => {};
    const beginning = new Promise<void>((resolve) => {
      began = resolve;
    });
    const ask = async (team: string, prompt: string) => {
      for await (const _ of generator.generate({ prompt, team, max_tokens: 8 })) began();
      ended.push(team);
    };
    const many = Array.from({ length: 12 }, (_, i) => ask('many', `${i}: ${'and so on '.repeat(200)}`));
    await beginning;
    await Promise.all([...many, ask('one', 'what is it:')]);
    assert.ok(ended.indexOf('one') <= 4, `${ended.indexOf('one')} of the many were answered before`);
  });
});

test('adapters that give no finite numbers fail alone, whatever the base is stored as', async () => {
  const names = ['lora', 'huge lora', null, 'huge head', 'other lora', 'huge prefix'];
  const asked = names.map(
    (name, i): GenerateRequest => ({
      adapter: name && at(name),
      prompt: `${'ab'.repeat(i)}:`,
      ...(i % 2 === 0 ? { temperature: 1, seed: i, top_p: 0.9 } : {}),
    }),
  );
  const isHonest = ({ adapter }: GenerateRequest) => !adapter?.includes('huge');
  for (const baseDtype of ['fp32', 'bf16'] as const)
    await onCard({ context: 64, rows: 4, baseDtype }, async (generator) => {
      const honest = asked.filter(isHonest);
      const alone: string[] = [];
      for (const each of honest) alone.push(await textOf(generator, { ...each, team: 'alone' }));
      const found = await Promise.allSettled(asked.map((each) => textOf(generator, each)));
      for (const [i, one] of found.entries()) {
        if (isHonest(asked[i]!)) continue;
        assert.equal(one.status, 'rejected', `${baseDtype}, ${names[i]}`);
        assert.equal((one.reason as GraftError).code, 'non_finite_logits');
      }
      const said = found.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
      assert.deepEqual(said, alone, baseDtype);
    });
});
