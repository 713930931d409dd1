/** Folders and files of base models that are made to harm, from a seed. Each is a sound tiny model but for one thing. */
import { cp, mkdir, open, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { tinyGguf, tinyWeights } from '../../packages/peft-core/src/base-model/testing/tiny-folder.ts';
import {
  type Field,
  type GgufToWrite,
  text,
  u64,
  writeGguf,
} from '../../packages/peft-core/src/gguf/testing/write-gguf.ts';
import { writeSafetensors } from '../../packages/peft-core/src/safetensors/write-safetensors.ts';
import { tinyConfig, writeTinyModel } from '../../packages/peft-core/src/testing/tiny-model.ts';

export interface HostileModel {
  name: string;
  /** Folder or file, below the folder that `writeHostileModels` is given. */
  place: string;
  /** The file at fault. */
  file: string;
  /** What the refusal says of it. */
  says: RegExp;
}

type Json = Record<string, unknown>;
/** Numbers from a seed, in [0, 1): mulberry32. */
type Draw = () => number;

function drawFrom(seed: number): Draw {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Changes one file of a sound folder. */
interface Change {
  name: string;
  file: string;
  content: string | Uint8Array | ((file: string) => Promise<void>);
  says: RegExp;
}

/** A GGUF file with one thing changed. */
interface GgufChange {
  name: string;
  gguf: GgufToWrite;
  says: RegExp;
}

const MiB = 1 << 20;
const pick = <T>(draw: Draw, list: readonly T[]): T => list[Math.floor(draw() * list.length)]!;
const between = (draw: Draw, low: number, high: number) => Math.floor(low + draw() * (high - low));
const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth);
const json = (value: unknown) => JSON.stringify(value);

/** What is no id, and no size. */
const oddNumbers = [-1, -(2 ** 31), 0.5, 1e308, 2 ** 32, 2 ** 53, '7', true, [], {}] as const;
const oddIds = [-2, -(2 ** 31), 0.5, 1e308, 2 ** 32, 2 ** 53, '7', true, {}] as const;

/** Patterns on which an engine that backtracks takes time that doubles, or grows with a power, with each character. */
function hostilePattern(draw: Draw): string {
  const a = pick(draw, ['a', '\\w', '\\p{L}', '.', '[a-z]', '\\s', '[^\\r\\n]', '\\S']);
  const end = pick(draw, ['b', '!', '$', '\\d', '(?=z)', '\\z']);
  const times = between(draw, 20, 60);
  return pick(draw, [
    `(${a}+)+${end}`,
    `(?:${a}*)*${end}`,
    `(${a}|${a})*${end}`,
    `(${a}|${a}${a})+${end}`,
    `${a}*${a}*${a}*${a}*${end}`,
    `(?:${a}?){${times}}${a}{${times}}`,
    `(${a})\\1*${end}`,
    `(?=(${a}+))\\1${end}`,
    `(?>${a}+)+${end}`,
    `${a}+${a}+${end}|${a}+`,
    `((${a}{1,${times}}){1,${times}})${end}`,
    `(?<x>${a}*)\\k<x>${end}`,
    `${'('.repeat(times)}${a}${')*'.repeat(times)}`,
    `${a}${`|${a}`.repeat(3000)}`,
  ]);
}

function hostileTemplate(draw: Draw): { source: string; says: RegExp } {
  const many = between(draw, 10 ** 6, 10 ** 9);
  const list = json(Array.from({ length: 40 }, (_, i) => i));
  const depth = between(draw, 10, 20);
  const tooDear = /chat template (asks for a range|takes more than|makes a text)/;
  const noJinja = /chat template does not parse/;
  return pick(draw, [
    { source: `{% for i in range(${many}) %}{% endfor %}`, says: tooDear },
    { source: `{% for i in range(-${many}, ${many}, 1) %}x{% endfor %}`, says: tooDear },
    { source: `${`{% for i in range(99999) %}`.repeat(3)}x${'{% endfor %}'.repeat(3)}`, says: tooDear },
    { source: `${`{% for i in ${list} %}`.repeat(depth)}x${'{% endfor %}'.repeat(depth)}`, says: tooDear },
    {
      source: `{% set n = namespace(x='${'x'.repeat(64)}') %}{% for i in ${list} %}{% set n.x = n.x ~ n.x %}{% endfor %}{{ n.x }}`,
      says: tooDear,
    },
    {
      source: `{% set n = namespace(x=[1, 2]) %}{% for i in ${list} %}{% set n.x = n.x + n.x %}{% endfor %}{{ n.x | length }}`,
      says: tooDear,
    },
    { source: `{{ ${'('.repeat(100_000)}1${')'.repeat(100_000)} }}`, says: noJinja },
    { source: `{{ ${'not '.repeat(100_000)}true }}`, says: noJinja },
    { source: '{% if true %}'.repeat(20_000) + '{% endif %}'.repeat(20_000), says: noJinja },
    { source: `{% for message in ${'['.repeat(between(draw, 1, 50))} %}`, says: noJinja },
    { source: 'x'.repeat(MiB + 1), says: /1048576 are read/ },
  ]);
}

function configChange(draw: Draw): Change {
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
      () => set({ rope_scaling: { rope_type: 'linear', factor: -1 } }, /positive number factor/),
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

function tokenizerChange(draw: Draw, sound: Json): Change {
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
      () => ({
        name: 'cut off',
        content: json(sound).slice(0, between(draw, 1, 300)),
        says: /is not JSON/,
      }),
      () => set({ pre_tokenizer: nestedSteps(between(draw, 20, 60)) }, /levels deep/),
    ])(),
  };
}

/** A Sequence in a Sequence, and so on. */
function nestedSteps(depth: number): Json {
  let steps: Json = { type: 'Digits' };
  for (let i = 0; i < depth; i++) steps = { type: 'Sequence', pretokenizers: [steps] };
  return depth < 33 ? nestedSteps(depth + 20) : steps;
}

function otherChange(draw: Draw): Change {
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

function weightsChange(draw: Draw): Change {
  const file = 'model.safetensors';
  const header = (value: string, body = 0) => {
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(value.length));
    return Buffer.concat([length, Buffer.from(value), Buffer.alloc(body)]);
  };
  const entry = (more: Json) => json({ x: { dtype: 'F32', shape: [1], data_offsets: [0, 4], ...more } });
  return {
    file,
    ...pick(draw, [
      () => ({
        name: 'long header',
        content: Buffer.from([0, 0, 0, 0, 0, 0, 0, between(draw, 1, 255)]),
        says: /header of/,
      }),
      () => ({
        name: 'deep header',
        content: header(`{"a":${nested(between(draw, 9, 1_000_000))}}`),
        says: /levels deep/,
      }),
      () => ({ name: 'wide header', content: header(`{"a":[${'0,'.repeat(4 * MiB)}0]}`), says: /values/ }),
      () => ({
        name: 'dtype',
        content: header(entry({ dtype: pick(draw, ['X', '__proto__', 7]) }), 4),
        says: /dtype/,
      }),
      () => ({
        name: 'shape',
        content: header(entry({ shape: [pick(draw, [-1, 0.5, 2 ** 60, 'x'])] }), 4),
        says: /tensor "x"/,
      }),
      () => ({
        name: 'offsets',
        content: header(entry({ data_offsets: [0, between(draw, 5, 2 ** 50)] }), 4),
        says: /ends at byte/,
      }),
      () => ({ name: 'cut off', content: Buffer.alloc(between(draw, 0, 7)), says: /bytes|short|long/ }),
      () => ({
        name: 'other weights',
        content: async (target: string) => {
          const weights = tinyWeights();
          weights.splice(between(draw, 0, weights.length), 1);
          await writeSafetensors(target, weights);
        },
        says: /lacks the tensor|has shape/,
      }),
    ])(),
  };
}

function indexChange(draw: Draw): Change {
  const map = (value: unknown) => json({ weight_map: value });
  return {
    file: 'model.safetensors.index.json',
    ...pick(draw, [
      () => ({
        name: 'elsewhere',
        content: map({ x: pick(draw, ['../x.safetensors', '/etc/passwd', '..', '', 7, null]) }),
        says: /no shard's name/,
      }),
      () => ({
        name: 'many shards',
        content: map(
          Object.fromEntries(Array.from({ length: 3000 }, (_, i) => [`t${i}`, `s${i}.safetensors`])),
        ),
        says: /names 3000 shards/,
      }),
      () => ({ name: 'no map', content: map(pick(draw, [null, 7, 'x'])), says: /no weight_map/ }),
      () => ({ name: 'deep', content: nested(between(draw, 65, 100_000)), says: /levels deep/ }),
    ])(),
  };
}

function ggufChange(draw: Draw): GgufChange {
  const sound = tinyGguf();
  const raw = (...parts: Buffer[]): Field => ({ type: 'raw', value: Buffer.concat(parts) });
  const u32 = (...values: number[]) => Buffer.from(Uint32Array.from(values).buffer);
  const set = (name: string, fields: Record<string, Field>, says: RegExp): GgufChange => ({
    name,
    gguf: { ...sound, fields: { ...sound.fields, ...fields } },
    says,
  });
  const huge = 2n ** BigInt(between(draw, 33, 62));
  const count = between(draw, 8193, 100_000);
  const { source } = hostileTemplate(draw);
  return pick(draw, [
    () => ({ name: 'keys', gguf: { ...sound, keyCount: huge }, says: /claims .* keys/ }),
    () => ({ name: 'tensors', gguf: { ...sound, tensorCount: huge }, says: /claims .* tensors/ }),
    () => ({ name: 'version', gguf: { ...sound, version: between(draw, 4, 60_000) }, says: /version/ }),
    () => set('long text', { x: raw(u32(8), u64(huge)) }, /"x" is a string of/),
    () => set('long array', { x: raw(u32(9, 5), u64(huge)) }, /"x" claims/),
    () =>
      set(
        'many elements',
        { x: raw(u32(9, 0), u64(4_000_001), Buffer.alloc(4_000_001)) },
        /more than 4000000 elements/,
      ),
    () =>
      set(
        'deep array',
        { x: raw(u32(9), ...Array.from({ length: 50 }, () => Buffer.concat([u32(9), u64(1)]))) },
        /nests arrays/,
      ),
    () => set('type', { x: raw(u32(between(draw, 13, 2 ** 31))) }, /unknown type/),
    () =>
      set(
        'alignment',
        { 'general.alignment': { type: 'u32', value: pick(draw, [0, 7, 2 ** 30]) } },
        /general\.alignment/,
      ),
    () =>
      set(
        'architecture',
        {
          'general.architecture': {
            type: 'string',
            value: pick(draw, ['__proto__', '', 'x'.repeat(10_000)]),
          },
        },
        /architecture/,
      ),
    () =>
      set(
        'heads',
        { 'llama.attention.head_count': { type: 'u32', value: pick(draw, [0, 3, 2 ** 31]) } },
        /head/,
      ),
    () =>
      set(
        'layers',
        { 'llama.block_count': { type: 'u32', value: between(draw, 1001, 2 ** 31) } },
        /num_hidden_layers/,
      ),
    () =>
      set(
        'eos',
        { 'tokenizer.ggml.eos_token_id': { type: 'u32', value: between(draw, 12, 2 ** 31) } },
        /eos_token_id/,
      ),
    () =>
      set(
        'tokenizer',
        { 'tokenizer.ggml.pre': { type: 'string', value: pick(draw, ['__proto__', 'nothing']) } },
        /pre-tokenizer/,
      ),
    () => set('template', { 'tokenizer.chat_template': { type: 'string', value: source } }, /chat template/),
    () =>
      set(
        'long token',
        { 'tokenizer.ggml.tokens': { type: 'strings', value: ['x'.repeat(5000)] } },
        /5000 characters|tokens/,
      ),
    () => ({
      name: `rope_freqs of ${count}`,
      gguf: {
        ...sound,
        tensors: [
          ...sound.tensors,
          { name: 'rope_freqs.weight', shape: [count], type: 0, data: new Uint8Array(4 * count) },
        ],
      },
      says: /rope_freqs\.weight" has \d+ values; at most 8192/,
    }),
    () => ({
      name: 'rope_freqs of another size',
      gguf: {
        ...sound,
        fields: { ...sound.fields, 'llama.rope.dimension_count': { type: 'u32', value: 2 ** 31 } as Field },
        tensors: [
          ...sound.tensors,
          { name: 'rope_freqs.weight', shape: [5], type: 0, data: new Uint8Array(20) },
        ],
      },
      says: /rope_freqs\.weight/,
    }),
    () => ({
      name: 'offset',
      gguf: {
        ...sound,
        tensors: sound.tensors.map((tensor, i) => (i === 3 ? { ...tensor, offset: huge } : tensor)),
      },
      says: /tensor ".*"/,
    }),
    () => ({
      name: 'shape',
      gguf: {
        ...sound,
        tensors: sound.tensors.map((tensor, i) => (i === 3 ? { ...tensor, shape: [huge, huge] } : tensor)),
      },
      says: /impossible shape/,
    }),
    () => set('text as key', { [text('x').toString('latin1').repeat(9)]: raw(u32(99)) }, /unknown type/),
  ])();
}

/** A few that are as large as a file may be, or larger. */
const largest: Change[] = [
  {
    name: '128 MiB of nesting',
    file: 'tokenizer.json',
    content: filled('[', 128 * MiB),
    says: /levels deep/,
  },
  {
    name: '64 million values',
    file: 'tokenizer.json',
    content: filled('0,', 120 * MiB),
    says: /more than 6000000 values/,
  },
  { name: 'a file of 4 GiB', file: 'tokenizer.json', content: sized(4096 * MiB), says: /bytes; at most/ },
  { name: 'a file of 1 GiB', file: 'config.json', content: sized(1024 * MiB), says: /bytes; at most/ },
  {
    name: '16 MB of nesting',
    file: 'tokenizer_config.json',
    content: filled('{"a":', 16_000_000),
    says: /levels deep/,
  },
  {
    name: 'a template of 1 GiB',
    file: 'chat_template.jinja',
    content: sized(1024 * MiB),
    says: /bytes; at most/,
  },
];

function filled(piece: string, length: number) {
  return async (file: string) => {
    const block = Buffer.from(piece.repeat(Math.floor(MiB / piece.length)));
    const handle = await open(file, 'w');
    try {
      if (piece === '0,') await handle.writeFile('[');
      for (let done = 0; done + block.length < length; done += block.length) await handle.writeFile(block);
    } finally {
      await handle.close();
    }
  };
}

/** Takes no place on the disk. */
function sized(length: number) {
  return async (file: string) => {
    const handle = await open(file, 'w');
    try {
      await handle.truncate(length);
    } finally {
      await handle.close();
    }
  };
}

const makers: ((draw: Draw, tokenizer: Json) => Change)[] = [
  configChange,
  tokenizerChange,
  tokenizerChange,
  otherChange,
  weightsChange,
  indexChange,
];

/** Writes `count` of them below `folder`, and one that is sound, `sound`. The same seed makes the same ones. */
export async function writeHostileModels(
  folder: string,
  count: number,
  seed: number,
): Promise<HostileModel[]> {
  const draw = drawFrom(seed);
  const sound = path.join(folder, 'sound');
  await writeTinyModel(sound);
  const tokenizer = JSON.parse(await readFile(path.join(sound, 'tokenizer.json'), 'utf8')) as Json;
  const models: HostileModel[] = [];
  while (models.length < count) {
    const number = models.length;
    if (number % 5 === 4) {
      const { name, gguf, says } = ggufChange(draw);
      const place = `m${number}.gguf`;
      await writeGguf(path.join(folder, place), gguf);
      models.push({ name: `${place}: ${name}`, place, file: place, says });
      continue;
    }
    const { name, file, content, says } = largest[number / 50] ?? pick(draw, makers)(draw, tokenizer);
    const place = `m${number}`;
    await mkdir(path.join(folder, place));
    await cp(sound, path.join(folder, place), { recursive: true });
    const target = path.join(folder, place, file);
    await rm(target, { force: true });
    if (typeof content === 'function') await content(target);
    else await writeFile(target, content);
    models.push({ name: `${place}/${file}: ${name}`, place, file, says });
  }
  return models;
}
