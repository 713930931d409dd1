import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { adapterCard } from '../adapter-files/adapter-card.ts';
import { parsePeftConfig } from '../config/index.ts';
import { folderCard } from './folder-card.ts';
import { exportFormat, exportFormats, parseExportOptions } from './formats.ts';
import { type ModelCard, modelCard } from './model-card.ts';

const config = parsePeftConfig({ peft_type: 'LORA', r: 4, target_modules: ['q_proj'] });
const card = (changes: Partial<ModelCard> = {}): ModelCard => ({
  format: exportFormat('merged'),
  options: {},
  repository: 'org/poet',
  base: {
    name: 'smol',
    hub: 'org/base',
    digest: 'a'.repeat(64),
    license: 'apache-2.0',
    modelClass: 'AutoModelForCausalLM',
  },
  config,
  training: { n_epochs: 3, learning_rate: 1e-4, seed: 7, system_prompt: 'Stay silent.' },
  data: [{ use: 'training', sha256: 'c'.repeat(64), examples: 12 }],
  figures: [['validation loss', 1.2345678]],
  notes: [],
  adapterReadme: null,
  graft: '1.0.0',
  ...changes,
});
const frontOf = (text: string) => /^---\n([\s\S]*?)\n---\n/.exec(text)![1]!;

test('a card has the front matter of the Hub, origin, options, data and results', () => {
  const text = modelCard(card());
  assert.equal(
    frontOf(text),
    [
      'base_model: "org/base"',
      'base_model_relation: finetune',
      'license: "apache-2.0"',
      'library_name: transformers',
      'pipeline_tag: text-generation',
      'tags:',
      '- "graft"',
      '- "lora"',
    ].join('\n'),
  );
  for (const part of [
    `| SHA-256 of its weights | \`${'a'.repeat(64)}\` |`,
    '| n epochs | 3 |',
    `| training data, 12 examples | \`SHA-256 ${'c'.repeat(64)}\` |`,
    '| validation loss | 1.235 |',
    '| Graft | `1.0.0` |',
    'AutoModelForCausalLM.from_pretrained("org/poet")',
  ])
    assert.ok(text.includes(part), `${part}\n${text}`);
  assert.doesNotMatch(text, /Stay silent/);
});

test('texts of training are shown only from fixed lists', () => {
  const training = {
    metric_for_best_model: 'eval_acme_customers_loss',
    chat_template: 'Pirate',
    lr_scheduler_type: 'cosine',
    precision: 'bf16',
    train_on: 'everybody',
    constructor: 'Object',
  };
  const text = modelCard(
    card({ training, format: exportFormat('gguf'), options: { dtype: 'q8_0', base: 'mine' } }),
  );
  assert.doesNotMatch(text, /acme|Pirate|everybody|Object|mine/);
  for (const line of ['| lr scheduler type | `cosine` |', '| precision | `bf16` |', '| dtype | `q8_0` |'])
    assert.ok(text.includes(line), `${line}\n${text}`);
  const shared = modelCard(card({ training: { metric_for_best_model: 'eval_loss' } }));
  assert.ok(shared.includes('| metric for best model | `eval_loss` |'));
  const system = modelCard(
    card({ format: exportFormat('ollama'), options: { system: 'Pirate', num_ctx: 2048 } }),
  );
  assert.ok(system.includes('| num ctx | 2048 |'));
  assert.doesNotMatch(system, /Pirate/);
});

test('each format has its relation, library and code', () => {
  const relations = new Map<string, unknown>();
  for (const format of exportFormats) {
    const text = modelCard(card({ format, options: parseExportOptions(format) }));
    assert.match(text, /```(sh|python)\n[^`]*org\/poet/, format.name);
    const [, relation] = /base_model_relation: (\w+)/.exec(text)!;
    relations.set(format.name, [relation, /library_name: (\S+)/.exec(text)![1]]);
  }
  for (const [name, expected] of Object.entries({
    merged: ['finetune', 'transformers'],
    peft: ['adapter', 'peft'],
    gguf: ['quantized', 'gguf'],
    'gguf-lora': ['adapter', 'gguf'],
    mlx: ['adapter', 'mlx'],
    ollama: ['quantized', 'gguf'],
  }))
    assert.deepEqual(relations.get(name), expected);
  const f16 = modelCard(card({ format: exportFormat('gguf'), options: { dtype: 'f16' } }));
  assert.match(f16, /base_model_relation: finetune/);
});

test('hostile names end no front matter, table, code or tag', () => {
  const image = '<img src=x onerror=alert(1)>';
  const odd = ['|', '\\|', '\\\\|', '||', '`|'].map((end) => `q${end}${image}`);
  const hostile =
    '"\n---\n# Free money\n<script>alert(1)</script> `x` | [a](http://b) \u2028license: mit\u0085```\nimport os';
  const text = modelCard(
    card({
      repository: 'org/poet',
      base: { name: hostile, hub: null, digest: null, license: hostile, modelClass: 'AutoModelForCausalLM' },
      notes: [hostile],
      config: parsePeftConfig({ peft_type: 'LORA', r: 4, target_modules: odd }),
      training: { [hostile]: 1, model: hostile },
      graft: hostile,
    }),
  );
  assert.doesNotMatch(frontOf(text), /mit|money|license/);
  assert.equal(text.split('\n').filter((line) => line === '---').length, 2);
  const lines = text.split('\n');
  assert.deepEqual(
    lines.filter((line) => /^#/.test(line)).map((line) => line.replace(/^#+ /, '')),
    ['poet', 'Origin', 'Training', 'Data', 'Results', 'Changes for this format', 'Use it'],
  );
  assert.equal(lines.filter((line) => line.startsWith('```')).length, 2);
  // Outside of code every special character has a backslash.
  const outside = text.replace(/```[\s\S]*?```/g, '').replace(/(?<!\\)`[^`\n]*`/g, '');
  assert.doesNotMatch(outside, /(?<!\\)<|(?<!\\)\[a/);
  // In tables code ends with its cell: a backslash before a character of punctuation, another backslash included, makes it no end (GFM).
  for (const line of lines.filter((each) => each.startsWith('|'))) {
    const cells = line.match(/(?:\\[!-/:-@[-`{-~]|[^|])+/g)!;
    assert.equal(cells.length, 2, line);
  }
  assert.match(text, /\| target modules \| `q\\\|<img/);
  // A path of the base model, which the Hub refuses and which is private.
  const path = modelCard(
    card({
      base: {
        name: 'x',
        hub: '/home/ada/models',
        digest: null,
        license: null,
        modelClass: 'AutoModelForCausalLM',
      },
    }),
  );
  assert.doesNotMatch(frontOf(path), /base_model/);
  const shell = modelCard(
    card({
      format: exportFormat('mlx'),
      base: {
        name: `'; rm -rf / #`,
        hub: null,
        digest: null,
        license: null,
        modelClass: 'AutoModelForCausalLM',
      },
    }),
  );
  assert.match(shell, /--model ''\\''; rm -rf \/ #'/);
});

test('what Graft reads from the README.md of an adapter remains', () => {
  const readme = adapterCard(config, 'org/base', {
    modelClass: 'AutoModelForCausalLM',
    baseDigest: 'b'.repeat(64),
    templateKwargs: {
      enable_thinking: false,
      persona: 'Acme clerk',
      depth: 2,
      more: { text: 'Secret' },
      list: ['Secret'],
    },
    quantised: { base_dtype: 'nf4', quantised_validation_loss: 1.5, validation_loss: 1.25 },
  });
  const text = modelCard(card({ format: exportFormat('peft'), adapterReadme: readme }));
  for (const line of [
    `base_model_sha256: "${'b'.repeat(64)}"`,
    'base_dtype: "nf4"',
    'quantised_validation_loss: 1.5',
    'chat_template_kwargs: {"enable_thinking":false,"depth":2}',
  ])
    assert.ok(frontOf(text).split('\n').includes(line), `${line}\n${text}`);
  assert.doesNotMatch(text, /Acme|Secret/);
});

test('a folder gets a card by its files, without paths, and keeps its README.md', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'graft-card-'));
  const read = () => folderCard(folder, 'org/poet', async (id) => (id === 'org/base' ? 'mit' : null));
  assert.equal(await read(), null);
  const write = (base: string) =>
    writeFile(
      join(folder, 'adapter_config.json'),
      JSON.stringify({ ...config, task_type: 'CAUSAL_LM', base_model_name_or_path: base }),
    );
  await write('org/base');
  assert.match(
    frontOf((await read())!),
    /base_model: "org\/base"\nbase_model_relation: adapter\nlicense: "mit"/,
  );
  await write('/home/ada/secret-model');
  assert.doesNotMatch((await read())!, /secret-model/);
  await writeFile(join(folder, 'readme.md'), '# Mine');
  assert.equal(await read(), null);
  await rm(folder, { recursive: true });
});
