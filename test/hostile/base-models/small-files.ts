import { tinyConfig } from '../../../packages/peft-core/src/testing/tiny-model.ts';
import {
  between,
  type Change,
  type Draw,
  type Json,
  json,
  MiB,
  nested,
  oddIds,
  oddNumbers,
  pick,
} from './draw.ts';
import { hostilePattern, hostileTemplate } from './patterns-and-templates.ts';

export function configChange(draw: Draw): Change {
  const set = (fields: Json, says: RegExp): Omit<Change, 'file'> => ({
    name: json(fields).slice(0, 60),
    content: json({ ...tinyConfig, ...fields }),
    says,
  });
  const size = pick(draw, [
    'hidden_size',
    'intermediate_size',
    'num_attention_heads',
    'vocab_size',
    'max_position_embeddings',
  ]);
  const odd = pick(draw, oddNumbers);
  const id = pick(draw, ['bos_token_id', 'eos_token_id', 'pad_token_id']);
  const strange = pick(draw, oddIds);
  const many = between(draw, 2 ** 20, 2 ** 31);
  return {
    file: 'config.json',
    ...pick(draw, [
      () => set({ [size]: odd }, new RegExp(`${size} must be a positive integer`)),
      () => set({ num_hidden_layers: many }, /num_hidden_layers must be a positive integer up to 1000/),
      () => set({ head_dim: many * 2 }, /head_dim must be a positive integer up to 16384/),
      () =>
        set(
          { num_labels: many, architectures: ['LlamaForSequenceClassification'] },
          /num_labels must be a positive integer up to 100000/,
        ),
      () =>
        set({ num_labels: 2 ** 31, architectures: ['LlamaForTokenClassification'] }, /num_labels must be/),
      () =>
        set(
          { id2label: Object.fromEntries(Array.from({ length: 150_000 }, (_, i) => [i, ''])) },
          /num_labels must be|values/,
        ),
      () => set({ [id]: strange }, new RegExp(`${id} is .*; ids are whole numbers`)),
      () =>
        set(
          { eos_token_id: Array.from({ length: (many % 1000) + 65 }, () => 1) },
          /eos_token_id has \d+ ids/,
        ),
      () =>
        set(
          { rope_scaling: { rope_type: pick(draw, ['yarn', '__proto__', 'x'.repeat(10_000)]), factor: odd } },
          /rope scaling/,
        ),
      () => set({ rope_scaling: { rope_type: 'linear', factor: -1 } }, /factor must be a positive number/),
      () =>
        set(
          { model_type: pick(draw, ['__proto__', 'constructor', 'toString', '', 'x'.repeat(100_000)]) },
          /not supported|unsupported|model_type/,
        ),
      () => set({ rms_norm_eps: pick(draw, ['0', null, {}]) ?? 'x' }, /rms_norm_eps must be a number/),
      () => ({
        name: 'deep',
        content: `{"a":${nested(between(draw, 65, 500_000))}}`,
        says: /levels deep|bytes/,
      }),
      () => ({ name: 'long', content: `{"a":[${'0,'.repeat(MiB)}0]}`, says: /values/ }),
      () => ({ name: 'longer', content: json({ a: 'x'.repeat(5 * MiB) }), says: /bytes; at most/ }),
      () => ({
        name: 'cut off',
        content: json(tinyConfig).slice(0, between(draw, 1, 100)),
        says: /is not JSON/,
      }),
      () => ({
        name: 'no object',
        content: pick(draw, ['[]', '7', '"x"', 'true']),
        says: /is not a JSON object/,
      }),
    ])(),
  };
}

export function tokenizerChange(draw: Draw, sound: Json): Change {
  const model = sound.model as Json & { vocab: Json };
  const set = (fields: Json, says: RegExp): Omit<Change, 'file'> => ({
    name: json(fields).slice(0, 60),
    content: json({ ...sound, ...fields }),
    says,
  });
  const inModel = (fields: Json, says: RegExp) => set({ model: { ...model, ...fields } }, says);
  const strange = pick(draw, oddIds);
  const pattern = hostilePattern(draw);
  const split = { type: 'Split', pattern: { Regex: pattern }, behavior: 'Isolated', invert: false };
  const replace = { type: 'Replace', pattern: { Regex: pattern }, content: '' };
  const endless = /Regex, .* may take time without end/;
  const doubling = { type: 'Replace', pattern: { String: 'a' }, content: 'aa' };
  return {
    file: 'tokenizer.json',
    ...pick(draw, [
      () =>
        inModel(
          { vocab: { ...model.vocab, odd: strange } },
          /model\.vocab\["odd"\] is .*; ids are whole numbers/,
        ),
      () => set({ added_tokens: [{ id: strange, content: 'x', special: true }] }, /added_tokens\[0\]\.id is/),
      () => set({ added_tokens: pick(draw, [7, [7], [{}], [{ id: 1, content: 7 }]]) }, /added_tokens/),
      () =>
        set(
          { added_tokens: [{ id: 1, content: 'x'.repeat(5000) }] },
          /added_tokens\[0\]\.content has 5000 characters/,
        ),
      () => set({ pre_tokenizer: split }, endless),
      () => set({ pre_tokenizer: { type: 'Sequence', pretokenizers: [{ type: 'Digits' }, split] } }, endless),
      () => set({ normalizer: replace }, endless),
      () => set({ normalizer: { type: 'Sequence', normalizers: [{ type: 'NFC' }, replace] } }, endless),
      () => set({ decoder: replace }, endless),
      () => set({ pre_tokenizer: split }, endless),
      () => set({ normalizer: replace }, endless),
      () =>
        set(
          { normalizer: { type: 'Sequence', normalizers: Array(between(draw, 8, 60)).fill(doubling) } },
          /makes texts more than 64 times as long/,
        ),
      () =>
        set(
          { normalizer: { ...doubling, content: 'x'.repeat(between(draw, 65, 4000)) } },
          /makes texts more than 64/,
        ),
      () =>
        set(
          { pre_tokenizer: { type: 'Metaspace', replacement: 'x'.repeat(between(draw, 9, 4000)) } },
          /replacement is .* 1 to 8 characters/,
        ),
      () => set({ pre_tokenizer: { type: 'FixedLength', length: 0 } }, /length is 0/),
      () =>
        set(
          {
            post_processor: {
              type: 'TemplateProcessing',
              single: Array(between(draw, 3, 200)).fill({ Sequence: { id: 'A', type_id: 0 } }),
              pair: [],
              special_tokens: {},
            },
          },
          /single repeats a text/,
        ),
      () =>
        set(
          {
            post_processor: {
              type: 'TemplateProcessing',
              single: [],
              pair: [],
              special_tokens: { x: { id: 'x', ids: [strange], tokens: ['x'] } },
            },
          },
          /ids\[0\] is/,
        ),
      () => set({ pre_tokenizer: { type: pick(draw, ['Nothing', '__proto__', '']) } }, /cannot be used/),
      () => inModel({ type: pick(draw, ['None', '__proto__']), vocab: 7 }, /model\.vocab is neither/),
      () => inModel({ merges: pick(draw, [7, [7], [['a']], {}]) }, /model\.merges/),
      () => inModel({ type: 'WordPiece', max_input_chars_per_word: 1e9 }, /max_input_chars_per_word/),
      () =>
        inModel(
          {
            type: 'Unigram',
            vocab: [
              ['a', 0],
              ['b', 'x'],
            ],
          },
          /model\.vocab\[1\] is not a token/,
        ),
      () => inModel({ vocab: { ...model.vocab, ['x'.repeat(5000)]: 12 } }, /a token of 5000 characters/),
      () => set({ model: pick(draw, [null, 7, [], 'x']) }, /model is not an object/),
      () => ({ name: 'deep', content: `{"a":${nested(between(draw, 65, 2_000_000))}}`, says: /levels deep/ }),
      () => ({ name: 'cut off', content: json(sound).slice(0, between(draw, 1, 300)), says: /is not JSON/ }),
      () => set({ pre_tokenizer: nestedSteps(between(draw, 20, 60)) }, /levels deep/),
    ])(),
  };
}

/** Nested Sequence steps. */
export function nestedSteps(depth: number): Json {
  let steps: Json = { type: 'Digits' };
  for (let i = 0; i < depth; i++) steps = { type: 'Sequence', pretokenizers: [steps] };
  return depth < 33 ? nestedSteps(depth + 20) : steps;
}

export function otherChange(draw: Draw): Change {
  const strange = pick(draw, oddIds);
  const { source, says } = hostileTemplate(draw);
  const inConfig = source.length > MiB ? '{% for' : source;
  return pick(draw, [
    (): Change => ({ name: source.slice(0, 60), file: 'chat_template.jinja', content: source, says }),
    (): Change => ({ name: source.slice(0, 60), file: 'chat_template.jinja', content: source, says }),
    (): Change => ({
      name: `template ${inConfig.slice(0, 50)}`,
      file: 'tokenizer_config.json',
      content: json({ eos_token: '</s>', chat_template: inConfig }),
      says: inConfig === source ? says : /does not parse/,
    }),
    (): Change => ({
      name: 'deep',
      file: 'tokenizer_config.json',
      content: `{"a":${nested(70_000)}}`,
      says: /levels deep/,
    }),
    (): Change => ({
      name: 'ends',
      file: 'generation_config.json',
      content: json({ eos_token_id: [1, strange] }),
      says: /eos_token_id is/,
    }),
    (): Change => ({
      name: 'deep',
      file: 'generation_config.json',
      content: nested(100_000),
      says: /levels deep/,
    }),
  ])();
}
