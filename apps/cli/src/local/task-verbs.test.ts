// The local verbs for every task and for methods other than LoRA: scoring, merging, and continuing from an adapter.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { writeTinyModel } from '@graft/peft-core/testing';
import { type Ran, runGraft, temporaryFolder } from '../testing/run-graft.ts';

let folder = '';
const graft = (...args: string[]): Promise<Ran> => runGraft(args, { cwd: folder });
const ok = async (...args: string[]): Promise<Ran> => {
  const ran = await graft(...args);
  assert.equal(ran.code, 0, `graft ${args.join(' ')}: ${ran.stderr}`);
  return ran;
};
const linesOf = (text: string) =>
  text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
const writeLines = (name: string, lines: object[]) =>
  writeFile(join(folder, name), lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
const train = (model: string, data: string, output: string, peft: object | null, ...more: string[]) =>
  ok(
    'train',
    '--model',
    model,
    '--data',
    data,
    '--output',
    output,
    ...(peft === null ? [] : ['--peft', JSON.stringify(peft)]),
    '--max-steps',
    '4',
    '--batch-size',
    '4',
    '--learning-rate',
    '0.02',
    '--json',
    '--training',
    '{"precision":"fp32"}',
    ...more,
  );
/** The scores of `lines` for the base model, or with an adapter. */
async function score(model: string, lines: object[], adapter?: string) {
  const file = `score-${model}-${adapter ?? 'base'}.jsonl`;
  await writeLines(file, lines);
  const use = ['--model', model, ...(adapter === undefined ? [] : ['--adapter', adapter])];
  return linesOf((await ok('score', ...use, '--input', file, '--output', '-')).stdout);
}
const examples = (example: (i: number) => object) => Array.from({ length: 16 }, (_, i) => example(i));
const difference = (one: number[], other: number[]) => {
  assert.equal(one.length, other.length);
  return Math.max(...one.map((value, i) => Math.abs(value - other[i]!)));
};

before(async (t) => {
  folder = temporaryFolder(t as never);
  await writeTinyModel(join(folder, 'decoder'));
  await writeTinyModel(join(folder, 'encoder'), { model_type: 'bert' });
  const sizes = { d_model: 32, d_kv: 8, d_ff: 48, num_layers: 2, num_heads: 4, decoder_start_token_id: 258 };
  await writeTinyModel(join(folder, 'translator'), { model_type: 't5', ...sizes });
  await writeLines(
    'texts.jsonl',
    examples((i) => ({ prompt: `${i % 4}+1=`, completion: `${(i % 4) + 1}` })),
  );
  await writeLines(
    'words.jsonl',
    examples((i) => ({ tokens: ['aa', 'bb', `${i}`], labels: ['X', 'Y', 'Z'] })),
  );
  await writeLines(
    'pairs.jsonl',
    examples((i) => ({ anchor: `${i} a`, positive: `${i} is the same` })),
  );
  await writeLines(
    'targets.jsonl',
    examples((i) => ({ text: `${i} a`, target: `a ${i % 3}` })),
  );
});

test('score of an encoder-decoder: the target, as text or as token ids', async () => {
  const peft = { peft_type: 'LORA', task_type: 'SEQ_2_SEQ_LM', r: 4, target_modules: ['q', 'v'] };
  await train('translator', 'targets.jsonl', 'translation', peft);
  const input = [
    { text: '2+1', target: '3!' },
    { input_ids: [50, 43, 49], labels: [51, 33, 257] },
  ];
  const base = await score('translator', input);
  // Token ids of letters follow their bytes, and the end-of-sequence token ends a target.
  assert.deepEqual(
    base[0].input_ids,
    [17, 10, 16].map((id) => id + 33),
  );
  assert.equal(base[0].labels.at(-1), 257);
  assert.deepEqual(
    base.map((each) => each.logprobs.length),
    base.map((each) => each.labels.length),
  );
  assert.ok(base[0].logprobs.every((value: number) => value < 0));
  assert.deepEqual(base[1].labels, base[0].labels);
  assert.deepEqual(base[1].logprobs, base[0].logprobs);
  const adapted = await score('translator', input, 'translation');
  assert.ok(difference(adapted[0].logprobs, base[0].logprobs) > 1e-3);
});

test('score of words and of embeddings', async () => {
  const modules = { r: 4, target_modules: ['query', 'value'] };
  await train('encoder', 'words.jsonl', 'words', { peft_type: 'LORA', task_type: 'TOKEN_CLS', ...modules });
  const [words] = await score('encoder', [{ text: 'ab c' }], 'words');
  assert.equal(words.logits.length, words.input_ids.length);
  assert.ok(words.logits.every((logits: number[]) => logits.length === 3 && logits.every(Number.isFinite)));
  assert.match((await ok('inspect', 'words', '--model', 'encoder')).stdout, /^ {2}labels +X, Y, Z$/m);

  const peft = { peft_type: 'LORA', task_type: 'FEATURE_EXTRACTION', ...modules };
  await train('encoder', 'pairs.jsonl', 'embedder', peft);
  const input = [{ text: 'ab c' }, { input_ids: [65, 66] }];
  const [adapted, base] = [await score('encoder', input, 'embedder'), await score('encoder', input)];
  assert.deepEqual(
    adapted.map((each) => each.embedding.length),
    [32, 32],
  );
  assert.ok(difference(adapted[0].embedding, base[0].embedding) > 1e-4);
});

test('score says which input does not fit the model', async () => {
  const wrong: [string, object, RegExp][] = [
    ['translator', { text: 'a' }, /input 2 has no target to score; give "text" and "target", or/],
    [
      'translator',
      { input_ids: [5], labels: [260] },
      /the target of input 2: 260 is not a token id; ids are 0…259/,
    ],
    ['decoder', { text: 'a', target: 'b' }, /input 2 has a target, which only encoder-decoder models have/],
    ['decoder', { input_ids: [5], labels: [6] }, /input 2 has a target, which only/],
    ['decoder', { input_ids: [5, -1] }, /input 2: -1 is not a token id; ids are 0…259/],
    ['decoder', { text: 'a', labels: [1] }, /line 2 must hold either "text".* also a "target", or "labels"/],
    ['translator', { input_ids: [5], target: 'a' }, /line 2 must hold either "text"/],
  ];
  const good = { translator: { text: 'a', target: 'b' }, decoder: { text: 'ab' } } as Record<string, object>;
  for (const [i, [model, line, message]] of wrong.entries()) {
    await writeLines(`wrong-${i}.jsonl`, [good[model]!, line]);
    const args = ['--model', model, '--input', `wrong-${i}.jsonl`, '--output', `scores-${i}.jsonl`];
    const ran = await graft('score', ...args);
    assert.equal(ran.code, 1, `${JSON.stringify(line)}: ${ran.stderr}`);
    assert.match(ran.stderr, message);
    assert.doesNotMatch(ran.stderr, /--debug/);
  }
  const left = (await readdir(folder)).filter((name) => /^scores-/.test(name));
  assert.deepEqual(left, [], 'half a file of scores stayed');
  const help = (await ok('score', '--help')).stdout.replace(/\s+/g, ' ');
  assert.match(help, /\{"text","target"\} or \{"input_ids","labels"\}/);
  for (const name of ['logprobs', 'logits', 'embedding']) assert.ok(help.includes(`"${name}"`));
});

test('merge of methods that merge, and a refusal of those that do not', async () => {
  const line = [{ text: '2+1=3' }];
  const base = await score('decoder', line);
  const merging: Record<string, object> = {
    ia3: { peft_type: 'IA3' },
    selective: { peft_type: 'SELECTIVE', kinds: ['head', 'norm'] },
  };
  for (const [name, peft] of Object.entries(merging)) {
    await train('decoder', 'texts.jsonl', name, peft);
    const inspected = JSON.parse((await ok('inspect', name, '--model', 'decoder', '--json')).stdout);
    assert.deepEqual([inspected.fits.mergeable, inspected.fits.faults], [true, []]);
    await ok('merge', '--model', 'decoder', '--adapter', name, '--output', `${name}-merged`);
    const [beside] = await score('decoder', line, name);
    const [merged] = await score(`${name}-merged`, line);
    assert.ok(difference(beside.logprobs, base[0].logprobs) > 1e-3, `${name} changes nothing`);
    assert.ok(difference(beside.logprobs, merged.logprobs) < 1e-4, `${name} merged is not ${name}`);
  }
  const staying: [string, object, RegExp][] = [
    ['bottleneck', { peft_type: 'BOTTLENECK' }, /BOTTLENECK cannot be merged: its activations lie between/],
    [
      'prompt',
      { peft_type: 'PROMPT_TUNING', num_virtual_tokens: 4 },
      /PROMPT_TUNING cannot be merged: virtual tokens stand before the text/,
    ],
  ];
  for (const [name, peft, message] of staying) {
    await train('decoder', 'texts.jsonl', name, peft);
    const ran = await graft('merge', '--model', 'decoder', '--adapter', name, '--output', `${name}-merged`);
    assert.equal(ran.code, 1, ran.stderr);
    assert.match(ran.stderr, message);
    assert.equal(existsSync(join(folder, `${name}-merged`)), false);
  }
});

test('train --start-from continues from an adapter, and refuses one of another shape', async () => {
  const peft = { peft_type: 'LORA', r: 4, target_modules: ['q_proj', 'v_proj'] };
  const first = await train('decoder', 'texts.jsonl', 'first', peft);
  const files = await readFile(join(folder, 'first/adapter_model.safetensors'));
  // With a negligible learning rate, the output equals the input, and the first loss is that of the trained adapter.
  const more = ['--start-from', 'first', '--learning-rate', '1e-12'];
  const still = await train('decoder', 'texts.jsonl', 'still', null, ...more);
  const lossOf = (ran: Ran) => linesOf(ran.stdout).find(({ type }) => type === 'step').loss;
  assert.ok(lossOf(still) < lossOf(first) - 1e-3, `${lossOf(still)} and ${lossOf(first)}`);
  assert.ok(files.equals(await readFile(join(folder, 'first/adapter_model.safetensors'))));
  const line = [{ text: '2+1=3' }];
  const [before, after] = [await score('decoder', line, 'first'), await score('decoder', line, 'still')];
  assert.ok(difference(before[0].logprobs, after[0].logprobs) < 1e-5);

  for (const [from, given, message] of [
    [
      'first',
      ['--peft', JSON.stringify({ ...peft, r: 8 })],
      /--start-from continues an adapter .*leave out --peft/,
    ],
    ['nowhere', [], /nowhere/],
  ] as const) {
    const args = ['--data', 'texts.jsonl', '--output', `never-${from}`, ...given];
    const ran = await graft('train', '--model', 'decoder', ...args, '--start-from', from);
    assert.notEqual(ran.code, 0, ran.stderr);
    assert.match(ran.stderr, message);
    assert.equal(existsSync(join(folder, `never-${from}`)), false);
    assert.equal(existsSync(join(folder, `never-${from}.checkpoints`)), false);
  }
});

test("train --start-from keeps the adapter's own chat template, unless another is given", async () => {
  const template = (name: string) =>
    `{# ${name} #}{% for m in messages %}{{ m.role + ': ' + m.content + '</s>' }}{% endfor %}{% if add_generation_prompt %}{{ 'assistant: ' }}{% endif %}`;
  const chat = [
    { role: 'user', content: 'a' },
    { role: 'assistant', content: 'b' },
  ];
  await writeLines(
    'chats.jsonl',
    examples(() => ({ messages: chat })),
  );
  const peft = { peft_type: 'LORA', r: 4, target_modules: ['q_proj'] };
  const given = (name: string) => ['--training', JSON.stringify({ chat_template: template(name) })];
  await train('decoder', 'chats.jsonl', 'own-template', peft, ...given('one'));
  const ran = await train('decoder', 'chats.jsonl', 'kept', null, '--start-from', 'own-template');
  const written = (name: string) => readFile(join(folder, name, 'chat_template.jinja'), 'utf8');
  assert.equal(await written('kept'), template('one'));
  assert.match(ran.stdout + ran.stderr, /that of the adapter that training continues from/);
  await train('decoder', 'chats.jsonl', 'other', null, '--start-from', 'own-template', ...given('two'));
  assert.equal(await written('other'), template('two'));
});

test('train --start-from keeps the classes of a classifier, and refuses labels that are none of them', async () => {
  await writeLines(
    'fewer.jsonl',
    examples((i) => ({ tokens: ['a', 'b'], labels: ['Y', i % 2 === 0 ? 'Z' : 'Y'] })),
  );
  await train('encoder', 'fewer.jsonl', 'goes-on', null, '--start-from', 'words');
  assert.match((await ok('inspect', 'goes-on', '--model', 'encoder')).stdout, /^ {2}labels +X, Y, Z$/m);

  await writeLines(
    'others.jsonl',
    examples(() => ({ tokens: ['a', 'b'], labels: ['Y', 'W'] })),
  );
  const args = ['--data', 'others.jsonl', '--output', 'never', '--start-from', 'words'];
  const ran = await graft('train', '--model', 'encoder', ...args);
  assert.equal(ran.code, 1);
  assert.match(ran.stderr, /the adapter to continue has 3 classes \(X, Y, Z\), and the data has W, Y/);
});

test('an adapter of a quantised base: figures as it is used, and both ways to merge it', async () => {
  const data = ['--model', 'decoder', '--data', 'texts.jsonl', '--validation', 'texts.jsonl'];
  const training = ['--training', '{"precision":"fp32","base_dtype":"nf4"}', '--learning-rate', '0.02'];
  const ran = await ok('train', ...data, '--output', 'nf4', '--max-steps', '4', ...training, '--json');
  const records = linesOf(ran.stdout);
  const evaluation = records.findLast(({ type }) => type === 'evaluation');
  const { quantised, validationLoss, files } = records.at(-1);
  assert.equal(quantised.base_dtype, 'nf4');
  assert.equal(quantised.quantised_validation_loss, evaluation.loss);
  assert.equal(quantised.validation_loss, validationLoss);
  assert.notEqual(validationLoss, evaluation.loss);
  const card = await readFile(join(folder, 'nf4/README.md'));
  assert.equal(files.find(({ path }: { path: string }) => path === 'README.md').bytes, card.byteLength);

  const merge = async (...more: string[]) =>
    await ok('merge', '--model', 'decoder', '--adapter', 'nf4', '--overwrite', ...more);
  const output = (await merge('--output', 'nf4-served')).stdout;
  const loss = (value: number) => String(Number(value.toPrecision(6))).replaceAll('.', '\\.');
  assert.match(
    output,
    new RegExp(`was ${loss(evaluation.loss)} there, and is ${loss(validationLoss)} on the orig`),
  );
  assert.match(output, /base "dequantised" merges/);
  const found = (await merge('--output', 'nf4-trained', '--base', 'dequantised', '--json')).stdout;
  assert.match(JSON.parse(found).notes.join(), /is the one that was trained, on the base in nf4/);
  const line = [{ text: '2+1=3' }];
  const [[beside], [served], [trained]] = [
    await score('decoder', line, 'nf4'),
    await score('nf4-served', line),
    await score('nf4-trained', line),
  ];
  assert.ok(difference(beside.logprobs, served.logprobs) < 1e-4);
  assert.ok(difference(beside.logprobs, trained.logprobs) > 1e-3);
});
