/**
 * Outside its folder, the name of a PEFT method may only be in the two lists of methods, the list of the wire's types and in the outlines' default targets. Names of
 * options (`lora_alpha`) come from PEFT and are allowed everywhere.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { methods } from '../../packages/peft-core/src/tuners/methods.ts';
import { sourceFiles } from './source-tree.ts';

const root = join(import.meta.dirname, '../..');
const tuners = 'packages/peft-core/src/tuners';
const lists = [`${tuners}/methods.ts`, `${tuners}/registry.ts`, 'packages/wire/src/types.ts'];
/**
 * Texts that contain a method's name with another meaning: a verb, a method that Graft does not have, a tensor's name, a line of a file, and
 * options of the runtimes that serve adapters.
 * Texts that contain a method's name with another meaning: a method that Graft does not have, names of tensors and files, a line of a file,
 * and options of the runtimes that serve adapters.
 */
const others = [
  'MULTITASK_PROMPT_TUNING',
  'trainable_tokens_delta',
  "bottleneck', 'lora', 'reft', 'invertible",
  'enable-lora',
  'max-lora-rank',
  'lora-modules',
  'lora_path',
  'lora-paths',
  'id BASE \\W+lora-adapters',
  'convert_lora_to_gguf',
  'gguf --lora',
  'may miss',
  'gguf-lora',
  'cpp .--lora',
  'lora_[ab]',
  'adapter\\.lora\\.alpha',
  "value: 'lora",
  'lora_parameters',
  "fine_tune_type: 'lora",
  '(?:tuner|config)/lora\\.py',
  'MaxLoRARanks',
];

/** Files with commands and requests of other programs, whose flags and paths contain a method's name. */
const isOfOtherPrograms = /\/adapter\/runtime-code\.ts$|\/service\/src\/deploy\/runtimes\//;

interface Named {
  folder: string;
  patterns: RegExp[];
}
const named: Named[] = Object.entries(methods).map(([type, { title }]) => ({
  folder: `${tuners}/${type.toLowerCase().replaceAll('_', '-')}/`,
  patterns: [type, title].map(patternOf),
}));

/** Options whose names contain a method's name. */
const options = Object.values(methods)
  .flatMap(({ schema, unimplemented }) => Object.keys({ ...schema.properties, ...unimplemented }))
  .filter((option) => named.some(({ patterns }) => patterns.some((pattern) => option.search(pattern) >= 0)));
const apart = new RegExp(`\\b(${[...options, ...others].join('|')})\\b`, 'g');

/** Matches a name in any case, with a dash, a space or nothing between its words, in the singular or plural. */
function patternOf(name: string): RegExp {
  const words = name.normalize('NFKC').match(/[A-Za-z]+|\d+/g) ?? [];
  return new RegExp(`${words.join('[-_ )]{0,2}').replace(/s$/i, '')}s?`, 'gi');
}

/** Returns true if a match is a word or a part of a camelCase word, instead of letters within a longer word ("explorative"). */
function isWord(text: string, start: number, found: string): boolean {
  const before = text[start - 1] ?? ' ';
  const after = text.slice(start + found.length);
  const begins =
    !/[a-z]/i.test(before) || (/^[A-Z]/.test(found) && (/[a-z]/.test(before) || /[a-z]/.test(found)));
  const ends = !/^[a-z]/i.test(after) || (/[a-z0-9]$/.test(found) ? /^[A-Z]/ : /^[A-Z][a-z]/).test(after);
  return begins && ends;
}

/** Names of methods that may not be in this file. */
function strayNames(file: string, source: string): string[] {
  const withoutKeys = file.startsWith('packages/peft-core/src/outlines/')
    ? source.replaceAll(new RegExp(`\\b(${Object.keys(methods).join('|')}): \\{`, 'g'), '{')
    : source;
  // Joined into one line, because a comment may break a name over two lines.
  const text = withoutKeys
    .normalize('NFKC')
    .replaceAll(/\s*\n[\s*/#]*/g, ' ')
    .replaceAll(apart, '…');
  return named
    .filter(({ folder }) => !file.startsWith(folder))
    .flatMap(({ patterns }) => patterns.flatMap((pattern) => [...text.matchAll(pattern)]))
    .filter(({ index, 0: found }) => isWord(text, index, found))
    .map(({ index, 0: found }) => text.slice(Math.max(0, index - 30), index + found.length + 30));
}

test('a method is named in its own folder and in the lists', () => {
  const files = sourceFiles(root, ['packages', 'apps', 'scripts', 'bench']).filter(
    ({ path }) =>
      !/\.test\.ts$|\/(testing|testdata)\//.test(path) &&
      !path.startsWith('scripts/golden/') &&
      !isOfOtherPrograms.test(path) &&
      !lists.includes(path),
  );
  assert.ok(files.length > 300, `only ${files.length} files were found`);
  const stray = files.flatMap(({ path, text }) =>
    strayNames(path, text).map((place) => `${path}: … ${place} …`),
  );
  assert.deepEqual(stray, []);
});

test('names are found however they are written, and other words are not taken for them', () => {
  const found = (text: string) => strayNames('packages/service/src/x.ts', text).length > 0;
  for (const text of [
    "'LORA'",
    'loraTuner',
    'isLora',
    'QLoRA',
    'LoraConfig',
    'LORAS',
    'lora-adapters',
    'tuners/lora/tuner.ts',
    '(IA)³',
    'IA3',
    'ia3_l',
    'prompt tuning',
    'PromptTuning',
    'prompt-\n * tuning',
    'prompt_tuning',
    'P-tuning',
    'pTuning',
    'LayerNorm tuning',
    'bottlenecks',
    'trainable token',
    'selectiveMethod',
  ])
    assert.ok(found(text), text);
  for (const text of [
    'lora_alpha',
    'trainable_token_indices',
    'prompt_tuning_init_text',
    'ADALORA',
    'MULTITASK_PROMPT_TUNING',
    'exploration',
    'floral',
    'media3',
    'step tuning',
    'selectively',
    'a prompt, tuning nothing',
  ])
    assert.ok(!found(text), text);
  const target = "LORA: { target_modules: ['q_proj'] }";
  assert.ok(!strayNames('packages/peft-core/src/outlines/decoders.ts', target).length);
  assert.ok(found(target));
  assert.ok(!strayNames(`${tuners}/lora/layer.ts`, 'LoRA').length);
  assert.ok(strayNames(`${tuners}/lora/layer.ts`, 'IA3').length);
});
