/** The name of a model family may only be in the lists of families, in the family's two files, in lists of export formats, and in tests. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { modelTypes } from '../../packages/peft-core/src/outlines/index.ts';

const root = join(import.meta.dirname, '..', '..');
const core = 'packages/peft-core/src';
/** Families that consist of a row in a file of `outlines/decoders/` and of this list. A row may be based on that of a relative. */
const rows = `${core}/outlines/decoders.ts`;
const rowFiles = rows.replace('.ts', '/');
const lists = [rows, `${core}/outlines/families.ts`, `${core}/models/registry.ts`];
/** The export formats that list the families whose adapters another program reads. */
const exportLists = [`${core}/exports/mlx/format.ts`];

/** Texts that contain a family's name with another meaning. `where`: file or folder; absent: everywhere. */
const others: { text: RegExp; where?: string; meaning: string }[] = [
  {
    text: /llama\.cpp|llama-(cli|cpp|server|quant|quantize|adapter|addon)\b|llamaAddon|llamaCppSide|LLaMA-Factory|Ollama/gi,
    meaning: 'programs, their tools and files',
  },
  { text: /llama_4_scaling_beta/g, where: rowFiles, meaning: 'a field of config.json' },
  {
    text: /gemma(Part|[-_ ]?3[-_ ]270m)?/gi,
    where: `${core}/hub/packaged-models.ts`,
    meaning: 'a packaged model',
  },
  { text: /llama|qwen[\d.]*/gi, where: 'packages/wire/src/suggested-models.ts', meaning: 'published models' },
  { text: /gemma/gi, where: 'packages/service/src/settings/basics.ts', meaning: 'that packaged model' },
  { text: /gemma[- ]?3[- ]270m/gi, meaning: 'that packaged model' },
  { text: /\bgemma\b/g, where: 'bench/training/workloads.ts', meaning: 'that packaged model' },
  {
    text: /'llama'/g,
    where: 'bench/families/report.ts',
    meaning: 'the model that families are compared with',
  },
  {
    text: /"family": "[a-z0-9_]+"/g,
    where: 'bench/families/results.json',
    meaning: 'measurements by family',
  },
  { text: /Llama 3\.2 3B/g, where: `${core}/tuners/`, meaning: "the model of HF PEFT's benchmark" },
  { text: /smollm2/gi, meaning: 'the example model, whose family has another name' },
  {
    text: /llama-cli/g,
    where: 'apps/web/src/pages/adapter/runtime-code.ts',
    meaning: 'the command of that program',
  },
  {
    text: /'llama3'/g,
    where: `${core}/outlines/rope.ts`,
    meaning: "a value of config.json's rope_type, which models of any family may have",
  },
  { text: /sentence_bert_config\.json/g, meaning: 'a file of sentence-transformers' },
  {
    text: /BertNormalizer|BertPreTokenizer/g,
    where: `${core}/text/steps/`,
    meaning: 'types of steps in tokenizer.json',
  },
  {
    text: /'bert'|\bbert[:.]/g,
    where: `${core}/tuners/bottleneck/`,
    meaning: "a value of the adapters library's init_weights",
  },
];

/** Longest first, so that a name within another one does not match. */
const names = [...modelTypes].sort((a, b) => b.length - a.length);

/** Matches spellings of `qwen2`: any case, a dash or space before the digit, and without the digit for names of 4 letters or more. */
function pattern(name: string, whole: boolean): RegExp {
  const [, letters, digits] = /^(.*?)(\d*)$/.exec(name) as unknown as [string, string, string];
  if (letters.length >= 4 && !whole) return new RegExp(letters, 'gi');
  const edge = letters.length < 4 ? '(?<![a-z0-9])' : '';
  return new RegExp(`${edge}${letters}${digits && `[-_ ]?${digits}(?![0-9])`}`, 'gi');
}

/** The families that `text` names, except `own`. */
function named(file: string, text: string, own: string | undefined): string[] {
  let rest = others
    .filter(({ where }) => where === undefined || file.startsWith(where))
    .reduce((left, other) => left.replaceAll(other.text, ''), text);
  return names.filter((name) => {
    const without = rest.replaceAll(pattern(name, own !== undefined), '');
    const found = without !== rest;
    rest = without;
    return found && name !== own;
  });
}

/** Paths from the root of all files except tests, test data and generated files. */
function sources(folder: string): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = `${folder}/${entry.name}`;
    const skipped = ['node_modules', 'testing', 'testdata', 'golden', 'generated', 'build', 'dist'];
    if (entry.isDirectory()) return skipped.includes(entry.name) ? [] : sources(path);
    return /\.(ts|mts|js|mjs|json|py|cc|cpp|h|sh|css|html)$/.test(path) && !/\.test\.ts$/.test(path)
      ? [path]
      : [];
  });
}

const files = ['packages', 'apps', 'scripts', 'bench'].flatMap(sources);
const textOf = (file: string) => readFileSync(join(root, file), 'utf8');

test('nothing names a model family but its two files and the lists', () => {
  const faults = files.flatMap((file) => {
    if ([...lists, ...exportLists].includes(file) || file.startsWith(rowFiles)) return [];
    const own = modelTypes.find((name) =>
      [`outlines/${name}.ts`, `models/${name}.ts`].some((f) => file === `${core}/${f}`),
    );
    const found = named(file, textOf(file), own);
    return found.length > 0 ? [`${file} names ${found.join(', ')}`] : [];
  });
  assert.deepEqual(faults, []);
});

test('each family is a row of decoders.ts, or has two files and a row in both lists', () => {
  for (const name of modelTypes) {
    const row = new RegExp(`\\b${name}\\b`);
    if (row.test(textOf(rows))) continue;
    for (const list of lists.filter((each) => each !== rows)) {
      assert.ok(files.includes(list.replace(/[^/]*$/, `${name}.ts`)), `${name} has no file beside ${list}`);
      assert.match(textOf(list), row, `${name} has no row in ${list}`);
    }
  }
});

test('every other meaning is still in use', () => {
  for (const { text, where = '', meaning } of others)
    assert.ok(
      files.some((file) => file.startsWith(where) && textOf(file).search(text) !== -1),
      `nothing holds ${text} any more, ${meaning}`,
    );
});

test('a name is found in each way of writing it, and not in longer words', () => {
  const found = (text: string) => named('a.ts', text, undefined);
  assert.deepEqual(found('as GPT-2 and gpt2Outline do; SmolLM2, llama.cpp, list5'), ['gpt2']);
  assert.deepEqual(found('RobertaModel'), ['roberta']);
  assert.deepEqual(found('a_bert_config.json'), ['bert']);
  assert.deepEqual(found("T5's and TinyLlama"), ['llama', 't5']);
  assert.deepEqual(found('const qwen = 1'), ['qwen2']);
});
