import { type AdapterParts, filesOf, type PartTensor, safetensorsOf, type UploadFile } from './adapter-parts.ts';

/** An upload that must be refused, and what the refusal must name: in the message or as the parameter. */
export interface HostileAdapter {
  what: string;
  files: UploadFile[];
  names: RegExp;
}

const config = 'adapter_config.json';
const weights = 'adapter_model.safetensors';
const ofConfig = /adapter_config\.json|peft/;
const ofWeights = /adapter_model\.safetensors/;

/** Some hundreds of uploads that somebody may try, all made from a sound one; the same for the same `seed`. */
export function hostileAdapters(sound: AdapterParts, seed = 1): HostileAdapter[] {
  const random = randomOf(seed);
  return [
    ...brokenHeaders(sound),
    ...brokenEntries(sound),
    ...wrongTensors(sound),
    ...notFinite(sound),
    ...disguises(sound),
    ...cutAndFlipped(sound, random),
    ...brokenConfigs(sound),
    ...wrongOptions(sound),
    ...strangeNames(sound),
    ...brokenCards(sound),
  ];
}

/** Numbers from 0 up to 1, the same for the same seed (mulberry32). */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

const bytesOf = (...parts: (string | number[] | Uint8Array)[]): Uint8Array<ArrayBuffer> =>
  new Uint8Array(Buffer.concat(parts.map((part) => Buffer.from(part as string))));

function withWeights(what: string, sound: AdapterParts, file: Uint8Array<ArrayBuffer>, names = ofWeights): HostileAdapter {
  return { what, files: [[config, JSON.stringify(sound.config)], [weights, file]], names };
}

function withTensors(what: string, sound: AdapterParts, tensors: Map<string, PartTensor>, names = ofWeights): HostileAdapter {
  return withWeights(what, sound, safetensorsOf(tensors), names);
}

function lengthWord(length: bigint): Uint8Array {
  const word = Buffer.alloc(8);
  word.writeBigUInt64LE(BigInt.asUintN(64, length));
  return word;
}

function brokenHeaders(sound: AdapterParts): HostileAdapter[] {
  const rest = safetensorsOf(sound.tensors).subarray(8);
  const lengths = [0n, 1n, 2n ** 63n, 2n ** 64n - 1n, 2n ** 53n, 17_000_000n, 4_194_305n, BigInt(rest.length) + 1n, 3n];
  const headers: (string | Uint8Array)[] = [
    '[]', '{', '{}', '{"a"}', 'null', '1', '"x"', '{"a":1}', '{"a":null}', '{"a":[]}', '{"a":"b"}', '{"__metadata__":1}',
    '{"__metadata__":{"a":1}}', '{"__metadata__":[]}', `{"a":${'['.repeat(100_000)}`, `{"a":${'{"a":'.repeat(50_000)}`,
    `{"a":${'['.repeat(5000)}${']'.repeat(5000)}}`, ' {}', '\ufeff{}', bytesOf('{"', [0xff, 0xfe], '":{}}'), bytesOf('{"', [0xc0, 0x80], '":1}'),
    '{"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}{}', '\0\0\0\0', `{"x":"${'y'.repeat(1_000_000)}"}`,
  ];
  return [
    ...[0, 1, 7].map((size) => withWeights(`${size} bytes`, sound, new Uint8Array(size))),
    ...lengths.map((length) => withWeights(`header of ${length} bytes`, sound, bytesOf(lengthWord(length), rest))),
    ...headers.map((header, i) => withWeights(`header ${i}`, sound, safetensorsOf(sound.tensors, header))),
    withWeights('header of 4 MiB and more', sound, safetensorsOf(sound.tensors, `{"a":"${' '.repeat(4_200_000)}"}`)),
  ];
}

/** Each fault at each of the tensors in turn. */
function brokenEntries(sound: AdapterParts): HostileAdapter[] {
  const keys = [...sound.tensors.keys()];
  const bad: [field: string, value: unknown][] = [
    ...[[-1, 10], [0, 1e300], [0.5, 4], ['0', '4'], [8, 4], [0], [0, 1, 2], [], null, {}, [0, 2 ** 53], [4, 260], [0, 0], [null, null], [0, -0.1]].map(
      (value): [string, unknown] => ['data_offsets', value],
    ),
    ...[[-1, 2], [2.5], ['2'], null, {}, 'x', [2 ** 31, 2 ** 31], [2 ** 53, 0], [1e308, 1e308], [0, 2 ** 60], Array(65).fill(1), Array(9000).fill(1), [[2]], [true], []].map(
      (value): [string, unknown] => ['shape', value],
    ),
    ...['F64', 'F8_E4M3', 'F8_E5M2', 'U8', 'I8', 'BOOL', 'U16', 'I16', 'U32', 'I32', 'U64', 'I64', 'f32', '', 'F128', 'Q4_0', '__proto__', 'constructor', 'toString', null, 7, {}, ['F32'], 'x'.repeat(10_000)].map(
      (value): [string, unknown] => ['dtype', value],
    ),
  ];
  return bad.map(([field, value], i) => {
    let offset = 0;
    const entries = [...sound.tensors].map(([key, { dtype, shape, data }], at) => {
      const entry: Record<string, unknown> = { dtype, shape, data_offsets: [offset, offset + data.length] };
      offset += data.length;
      if (at === i % keys.length) entry[field] = value;
      return [key, entry];
    });
    const header = JSON.stringify(Object.fromEntries(entries));
    return withWeights(`${field} ${JSON.stringify(value)?.slice(0, 40)}`, sound, safetensorsOf(sound.tensors, header));
  });
}

function wrongTensors(sound: AdapterParts): HostileAdapter[] {
  const small: PartTensor = { dtype: 'F32', shape: [1], data: new Uint8Array(4) };
  const strange = [
    '../../etc/passwd', '/etc/passwd', 'C:\\Windows\\x', '..', '.', '', '__proto__', 'constructor', 'toString', 'hasOwnProperty', 'a\0b', '\ud83d\ude00', 'x'.repeat(100_000),
    'base_model.model.', 'model.layers.0.self_attn.q_proj.weight', 'base_model.model.lm_head.weight', 'base_model.model.model.embed_tokens.weight', '${jndi:ldap://x}', '<script>', "'; DROP TABLE adapters; --",
  ];
  const many = (count: number, shape: number[]) =>
    new Map([
      ...sound.tensors,
      ...Array.from({ length: count }, (_, i): [string, PartTensor] => [
        `t${i}`,
        { dtype: 'U8', shape, data: new Uint8Array(shape[0]!) },
      ]),
    ]);
  return [
    ...strange.map((key) => withTensors(`key ${key.slice(0, 40)}`, sound, new Map([...sound.tensors, [key, small]]))),
    ...[...sound.tensors.keys()].flatMap((key) => {
      const { dtype, shape, data } = sound.tensors.get(key)!;
      const changed = (tensor: PartTensor | null, name = key) => {
        const tensors = new Map(sound.tensors);
        tensors.delete(key);
        if (tensor) tensors.set(name, tensor);
        return tensors;
      };
      const quoted = new RegExp(key.replaceAll('.', '\\.'));
      return [
        withTensors(`${key} missing`, sound, changed(null), quoted),
        withTensors(`${key} transposed`, sound, changed({ dtype, shape: shape.toReversed(), data }), quoted),
        withTensors(`${key} flat`, sound, changed({ dtype, shape: [shape[0]! * shape[1]!], data }), quoted),
        withTensors(`${key} with an axis more`, sound, changed({ dtype, shape: [1, ...shape], data }), quoted),
        withTensors(`${key} empty`, sound, changed({ dtype, shape: [0, 4], data: new Uint8Array(0) }), quoted),
        withTensors(`${key} in capitals`, sound, changed({ dtype, shape, data }, key.toUpperCase())),
        withTensors(`${key} without prefix`, sound, changed({ dtype, shape, data }, key.replace('base_model.model.', ''))),
      ];
    }),
    withTensors('50,000 tensors', sound, many(50_000, [1])),
    withTensors('60,000 empty tensors', sound, many(60_000, [0])),
    withTensors('no tensor', sound, new Map()),
  ];
}

function notFinite(sound: AdapterParts): HostileAdapter[] {
  const patterns: Record<string, number[][]> = {
    F32: [[0, 0, 0xc0, 0x7f], [0, 0, 0x80, 0x7f], [0, 0, 0x80, 0xff], [1, 0, 0x80, 0x7f]],
    F16: [[0, 0x7e], [0, 0x7c], [0, 0xfc]],
    BF16: [[0xc0, 0x7f], [0x80, 0x7f], [0x80, 0xff]],
    F64: [[0, 0, 0, 0, 0, 0, 0xf8, 0x7f], [0, 0, 0, 0, 0, 0, 0xf0, 0x7f], [...Buffer.from(Float64Array.of(1e300).buffer)], [...Buffer.from(Float64Array.of(-3.5e38).buffer)]],
  };
  const [first, ...others] = [...sound.tensors];
  const [key, { shape }] = first!;
  const count = shape[0]! * shape[1]!;
  return Object.entries(patterns).flatMap(([dtype, values]) =>
    values.flatMap((value, v) =>
      [0, count >> 1, count - 1].map((at) => {
        const data = new Uint8Array(count * value.length);
        data.set(value, at * value.length);
        const names = new RegExp(`at position ${at} of tensor "${key.replaceAll('.', '\\.')}"`);
        return withTensors(`${dtype} ${v} at ${at}`, sound, new Map([[key, { dtype, shape, data }], ...others]), names);
      }),
    ),
  );
}

const magics: Record<string, number[]> = {
  zip: [0x50, 0x4b, 3, 4], 'empty zip': [0x50, 0x4b, 5, 6], gzip: [0x1f, 0x8b, 8, 0], 'pickle 2': [0x80, 2, 0x7d], 'pickle 3': [0x80, 3, 0x7d],
  'pickle 4': [0x80, 4, 0x95], 'pickle 5': [0x80, 5, 0x95], gguf: [0x47, 0x47, 0x55, 0x46], hdf5: [0x89, 0x48, 0x44, 0x46], npy: [0x93, 0x4e, 0x55, 0x4d],
  elf: [0x7f, 0x45, 0x4c, 0x46], png: [0x89, 0x50, 0x4e, 0x47], html: [...Buffer.from('<!doctype html>')], 'a pickle of protocol 0': [...Buffer.from("cos\nsystem\n(S'id'\ntR.")],
};

function disguises(sound: AdapterParts): HostileAdapter[] {
  const good = safetensorsOf(sound.tensors);
  return Object.entries(magics).flatMap(([name, magic]) => [
    withWeights(`${name} for weights`, sound, bytesOf(magic, new Uint8Array(5000))),
    withWeights(`${name} before weights`, sound, bytesOf(magic, good)),
    withWeights(`${name} behind weights`, sound, bytesOf(good, magic)),
    { what: `${name} for the config`, files: [[config, bytesOf(magic, 'x')], [weights, good]], names: /adapter_config\.json/ },
  ]);
}

function cutAndFlipped(sound: AdapterParts, random: () => number): HostileAdapter[] {
  const good = safetensorsOf(sound.tensors);
  const header = 8 + Number(new DataView(good.buffer).getBigUint64(0, true));
  const cuts = Array.from({ length: 40 }, () => Math.floor(random() * good.length));
  const flips = Array.from({ length: 80 }, () => [Math.floor(random() * header), Math.floor(random() * 8)] as const);
  return [
    ...cuts.map((length) => withWeights(`cut to ${length}`, sound, good.slice(0, length))),
    ...[1, 4, 1000].map((more) => withWeights(`${more} bytes more`, sound, bytesOf(good, new Uint8Array(more)))),
    ...flips.map(([at, bit]) => {
      const file = good.slice();
      file[at]! ^= 1 << bit;
      return withWeights(`bit ${bit} of byte ${at} flipped`, sound, file);
    }),
  ];
}

function withConfig(what: string, sound: AdapterParts, text: string | Uint8Array<ArrayBuffer>, names = ofConfig): HostileAdapter {
  return { what, files: [[config, text], [weights, safetensorsOf(sound.tensors)]], names };
}

function brokenConfigs(sound: AdapterParts): HostileAdapter[] {
  const good = JSON.stringify(sound.config);
  const texts: (string | Uint8Array<ArrayBuffer>)[] = [
    '', '{', '[]', 'null', '1', '"x"', '{}', 'NaN', good.slice(0, -1), `${good}x`, good.replace('"r":2', '"r":NaN'), good.replace('"r":2', '"r":Infinity'), good.replace('"r":2', '"r":1e400'),
    '['.repeat(100_000), `{"a":${'['.repeat(100_000)}`, bytesOf(good, [0]), bytesOf([0xff, 0xfe], good), bytesOf('{"', [0xc3, 0x28], '":1}'), `\ufeff${good}x`,
    `{${Array.from({ length: 300 }, (_, i) => `"k${i}":null`).join()},${good.slice(1)}`, JSON.stringify({ ...sound.config, pad: 'x'.repeat(300_000) }),
    good.replace('{', '{"__proto__":{"x":1},'), good.replace('{', `{"${'k'.repeat(5000)}":1,`),
  ];
  return texts.map((text, i) => withConfig(`config ${i}`, sound, text));
}

function wrongOptions(sound: AdapterParts): HostileAdapter[] {
  const options: Record<string, unknown[]> = {
    peft_type: [null, 7, '', 'lora', 'ADALORA', 'BOTTLENECK', '__proto__', 'constructor', ['LORA'], 'x'.repeat(10_000)],
    task_type: ['QUESTION_ANS', 'SEQ_CLS', 'TOKEN_CLS', 'x', 7, {}],
    r: [0, -1, 1.5, '8', 1e9, null, [], 3, 4096],
    lora_alpha: [0, -1, 'x', 1e7, 1e308, null],
    lora_dropout: [1, -0.1, 'x', 2],
    target_modules: [[], ['nothing'], '(', '(a+)+$', '.*(?<!x)y', 7, {}, [7], ['q_proj', 'k_proj'], 'x'.repeat(100_000), Array(5000).fill('q_proj'), '../../etc/passwd', ['model.layers.99.self_attn.q_proj'], `(${'a|'.repeat(2000)}b)*`, '(.*){1000}{1000}'],
    exclude_modules: [7, '(', ['q_proj', 'v_proj']],
    modules_to_save: ['x', ['nothing'], ['lm_head'], [7], ['..'], ['layers']],
    layers_to_transform: [[99], [-1], 'x', [1.5], [0]],
    layers_pattern: ['(', 7, 'layers'],
    rank_pattern: [{ q_proj: 3 }, { '(': 2 }, { q_proj: 0 }, [], 'x', Object.fromEntries(Array.from({ length: 1100 }, (_, i) => [`p${i}`, 1]))],
    alpha_pattern: [{ q_proj: -1 }, { q_proj: 1e9 }, 'x'],
    bias: ['some', 7],
    use_dora: [true, 'yes'],
    use_rslora: ['yes', 1],
    lora_bias: [true],
    init_lora_weights: ['pissa', 'eva', 'loftq', 7],
    trainable_token_indices: [[5000], [-1], ['x'], { nothing: [1] }, { embed_tokens: [1] }],
    fan_in_fan_out: ['x', 7],
    loftq_config: [{ loftq_bits: 4 }],
    eva_config: [{ rho: 2 }],
    layer_replication: [[[0, 4], [2, 5]]],
    megatron_config: [{ a: 1 }],
    evil: [1, 'x', true, [1], { a: 1 }],
    base_model_name_or_path: [7, 'a\u0000b', '\u001b[2J', 'x'.repeat(513), ['x']],
    revision: [7, 'x'.repeat(201), '\n'],
    peft_version: [7, 'x'.repeat(65)],
    inference_mode: ['x', 1],
    auto_mapping: [{ base_model_class: 'x', parent_library: 'os' }, { parent_library: 'transformers' }, { base_model_class: 'A', parent_library: 'transformers', more: 1 }, 'os', 7, [], { base_model_class: '__import__("os")', parent_library: 'transformers.models' }, { base_model_class: 'A', parent_library: '../transformers' }],
  };
  return Object.entries(options).flatMap(([option, values]) =>
    values.map((value) => {
      const changed = { ...sound.config, [option]: value };
      const files = filesOf({ ...sound, config: changed });
      // What is fine by itself has other tensors than those that were sent.
      return { what: `${option} ${JSON.stringify(value).slice(0, 60)}`, files, names: /adapter_config\.json|peft|adapter_model\.safetensors/ };
    }),
  );
}

function strangeNames(sound: AdapterParts): HostileAdapter[] {
  const [first, second] = filesOf(sound) as [UploadFile, UploadFile];
  const names = [
    '../adapter_config.json', '../../../../tmp/adapter_config.json', '/etc/passwd', '/tmp/adapter_config.json', 'a/../adapter_config.json', './adapter_config.json', 'adapter_config.json/', '..', '.', ' ', 'ADAPTER_CONFIG.JSON', 'adapter_config.json ',
    '%2e%2e%2fadapter_config.json', '..\\adapter_config.json', 'C:\\adapter_config.json', '\\\\host\\share\\x', 'adapter_model.bin', 'adapter_model.pt', 'adapter.zip', 'adapter.tar.gz', 'config.json', 'labels.json', 'tokenizer.json', 'training_args.bin',
    'readme.md', 'adapter_config.json;x', '__proto__', 'constructor', 'toString', '\u202egnp.nosj', 'x'.repeat(5000), 'adapter_config.json\u0001',
  ];
  return names.flatMap((name) => [
    { what: `config as ${name.slice(0, 40)}`, files: [[name, first[1]], second], names: /file/ } as HostileAdapter,
    { what: `weights besides as ${name.slice(0, 40)}`, files: [first, second, [name, second[1]]], names: /file/ } as HostileAdapter,
  ]);
}

function brokenCards(sound: AdapterParts): HostileAdapter[] {
  const cards: (string | Uint8Array<ArrayBuffer>)[] = [
    bytesOf([0xff]), 'a\0b', `---\nbase_model_sha256: ${'0'.repeat(64)}\n---\n`, `---\nbase_model_sha256: "${'f'.repeat(64)}"   \n---\n`, 'x'.repeat(1024 * 1024 + 1), bytesOf(magics.zip!, 'x'), bytesOf(magics['pickle 4']!, 'x'),
  ];
  return cards.map((card, i) => ({ what: `README ${i}`, files: [...filesOf(sound), ['README.md', card]], names: /README\.md/ }));
}
