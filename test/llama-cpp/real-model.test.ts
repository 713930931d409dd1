/** SmolLM2-135M-Instruct with an adapter, exported as GGUF in every type: llama.cpp answers as Graft does. */
import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { openGenerator, writeExport } from '@graft/peft-core';
import { openBaseModel } from '@graft/peft-core/files';
import { loadTokenizer } from '@graft/peft-core/text';
import { graftOutputs } from '../golden/fixtures/graft-outputs.ts';
import { realModel } from '../golden/fixtures/real-model.ts';
import { scratchFolder } from '../golden/fixtures/scratch-folder.ts';
import { writeRandomAdapter } from './random-models.ts';
import { compareLogprobs, hasRuntime, runGguf } from './runtime.ts';

const folder = scratchFolder('llama-real');
const model = await realModel();
const base = await openBaseModel(model);
after(() => base.close());
const tokenizer = loadTokenizer(base.tokenizerFiles);
const lora = { peft_type: 'LORA', r: 8, lora_alpha: 16, target_modules: 'all-linear' };
const adapterDir = join(folder, 'adapter');
await writeRandomAdapter(adapterDir, { config: base.config, peft: lora, deviation: 0.012 });

const questions = [
  'What is grafting?',
  'Name three fruits.',
  'How many legs has a spider?',
  'Write a short poem about rain.',
  'What is 12 + 30?',
  'Why is the sky blue?',
  'Translate "good morning" into French.',
  'Give me a recipe for soup.',
  'What does a compiler do?',
  'Who wrote Hamlet?',
  'List the days of the week.',
  'How do I plant a tree?',
];
const conversations = questions.map((content) => [{ role: 'user' as const, content }]);
const prompts = conversations.map((messages) =>
  tokenizer.encode(tokenizer.applyChatTemplate(messages, { addGenerationPrompt: true }), {
    addSpecialTokens: false,
  }),
);
const texts = [
  'A gardener grafts a young branch onto an old root. What grows then, and when may it be cut?',
  '<|im_start|>user\nHow many green pears grow on tree 13?<|im_end|>\n<|im_start|>assistant\n13 pears.<|im_end|>\n',
  'def area(radius):\n    return 3.14159 * radius ** 2  # 🙂 Straße 東京',
  "It's 2026: I'll   pay $1,234.56…\n\n\tOK?",
];
const probes = texts.map((text) => tokenizer.encode(text, { addSpecialTokens: false }));
const answerLength = 16;
const skip = !hasRuntime();

async function write(format: string, options: Record<string, unknown>): Promise<string> {
  const outputDir = join(folder, [format, ...Object.values(options)].join('-'));
  await mkdir(outputDir);
  const { files } = await writeExport(format, { base, adapterDir, outputDir, options, name: 'smollm2' });
  return join(outputDir, files[0]!.path);
}

const expected = skip ? [] : await graftOutputs(model, adapterDir, probes);

test('f16: texts have the same tokens, and greedy answers are the same', { skip }, async () => {
  const generator = await openGenerator({ base, context: 128 });
  const answers: number[][] = [];
  for (const messages of conversations) {
    const found: number[] = [];
    const request = { adapter: adapterDir, messages, max_tokens: answerLength };
    for await (const { tokenId } of generator.generate(request)) if (tokenId !== -1) found.push(tokenId);
    answers.push(found);
  }
  await generator.close();
  const answer = await runGguf({
    model: await write('gguf', { dtype: 'f16' }),
    texts,
    sequences: probes,
    greedy: prompts.map((prompt) => ({ prompt, tokens: answerLength })),
  });
  assert.deepEqual(answer.texts, probes);
  assert.deepEqual(
    answer.answers.map((ids) => tokenizer.decode(ids)),
    answers.map((ids) => tokenizer.decode(ids)),
  );
  assert.equal(answer.eos, tokenizer.eosId);
  const { mean } = compareLogprobs(answer.logprobs, expected);
  assert.ok(mean < 0.005, `log-probabilities differ by ${mean} on average`);
});

test('gguf-lora beside the exported base model', { skip }, async () => {
  const nothing = join(folder, 'nothing');
  await writeRandomAdapter(nothing, {
    config: base.config,
    peft: { peft_type: 'LORA', r: 1, target_modules: ['q_proj'] },
    deviation: 0,
  });
  const outputDir = join(folder, 'base');
  await mkdir(outputDir);
  await writeExport('gguf', {
    base,
    adapterDir: nothing,
    outputDir,
    options: { dtype: 'f16' },
    name: 'base',
  });
  const baseFile = join(outputDir, 'model.gguf');
  const strong = join(folder, 'strong');
  await writeRandomAdapter(strong, { config: base.config, peft: lora, deviation: 0.03 });
  const [output, strongOutputs] = [join(folder, 'lora'), await graftOutputs(model, strong, probes)];
  await mkdir(output);
  await writeExport('gguf-lora', { base, adapterDir: strong, outputDir: output, name: 'strong' });
  const adapter = join(output, 'adapter.gguf');
  const [plain, adapted] = [
    await runGguf({ model: baseFile, sequences: probes }),
    await runGguf({ model: baseFile, adapter, sequences: probes }),
  ];
  assert.ok(compareLogprobs(plain.logprobs, strongOutputs).mean > 0.05, 'the adapter changes too little');
  const { mean } = compareLogprobs(adapted.logprobs, strongOutputs);
  assert.ok(mean < 0.01, `log-probabilities differ by ${mean} on average`);
});

/** Measured means are in docs/gguf.md. The file that llama.cpp's own quantiser writes as q5_k_m differs as much: 0.52, and Graft's 0.48. */
const bounds = { q8_0: 0.25, q6_k: 0.3, q5_k_m: 0.7, q4_k_m: 0.7 };

for (const [dtype, bound] of Object.entries(bounds))
  test(`${dtype}: log-probabilities differ by less than ${bound} on average`, { skip }, async () => {
    const { logprobs } = await runGguf({ model: await write('gguf', { dtype }), sequences: probes });
    const { mean } = compareLogprobs(logprobs, expected);
    assert.ok(mean < bound, `they differ by ${mean}`);
  });
