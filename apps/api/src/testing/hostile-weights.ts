/** Invalid weights: broken headers, wrong tensors, other formats, truncated files. */
import { type AdapterParts, type PartTensor, safetensorsOf } from './adapter-parts.ts';
import { bytesOf, type HostileAdapter, magics, withTensors, withWeights } from './hostile-parts.ts';

function lengthWord(length: bigint): Uint8Array {
  const word = Buffer.alloc(8);
  word.writeBigUInt64LE(BigInt.asUintN(64, length));
  return word;
}

export function brokenHeaders(sound: AdapterParts): HostileAdapter[] {
  const rest = safetensorsOf(sound.tensors).subarray(8);
  const lengths = [
    0n,
    1n,
    2n ** 63n,
    2n ** 64n - 1n,
    2n ** 53n,
    17_000_000n,
    4_194_305n,
    BigInt(rest.length) + 1n,
    3n,
  ];
  const headers: (string | Uint8Array)[] = [
    '[]',
    '{',
    '{}',
    '{"a"}',
    'null',
    '1',
    '"x"',
    '{"a":1}',
    '{"a":null}',
    '{"a":[]}',
    '{"a":"b"}',
    '{"__metadata__":1}',
    '{"__metadata__":{"a":1}}',
    '{"__metadata__":[]}',
    `{"a":${'['.repeat(100_000)}`,
    `{"a":${'{"a":'.repeat(50_000)}`,
    `{"a":${'['.repeat(5000)}${']'.repeat(5000)}}`,
    ' {}',
    '\ufeff{}',
    bytesOf('{"', [0xff, 0xfe], '":{}}'),
    bytesOf('{"', [0xc0, 0x80], '":1}'),
    '{"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}{}',
    '\0\0\0\0',
    `{"x":"${'y'.repeat(1_000_000)}"}`,
  ];
  return [
    ...[0, 1, 7].map((size) => withWeights(`${size} bytes`, sound, new Uint8Array(size))),
    ...lengths.map((length) =>
      withWeights(`header of ${length} bytes`, sound, bytesOf(lengthWord(length), rest)),
    ),
    ...headers.map((header, i) => withWeights(`header ${i}`, sound, safetensorsOf(sound.tensors, header))),
    withWeights(
      'header of 4 MiB and more',
      sound,
      safetensorsOf(sound.tensors, `{"a":"${' '.repeat(4_200_000)}"}`),
    ),
  ];
}

/** Every error in each tensor in turn. */
export function brokenEntries(sound: AdapterParts): HostileAdapter[] {
  const keys = [...sound.tensors.keys()];
  const bad: [field: string, value: unknown][] = [
    ...[
      [-1, 10],
      [0, 1e300],
      [0.5, 4],
      ['0', '4'],
      [8, 4],
      [0],
      [0, 1, 2],
      [],
      null,
      {},
      [0, 2 ** 53],
      [4, 260],
      [0, 0],
      [null, null],
      [0, -0.1],
    ].map((value): [string, unknown] => ['data_offsets', value]),
    ...[
      [-1, 2],
      [2.5],
      ['2'],
      null,
      {},
      'x',
      [2 ** 31, 2 ** 31],
      [2 ** 53, 0],
      [1e308, 1e308],
      [0, 2 ** 60],
      Array(65).fill(1),
      Array(9000).fill(1),
      [[2]],
      [true],
      [],
    ].map((value): [string, unknown] => ['shape', value]),
    ...[
      'F64',
      'F8_E4M3',
      'F8_E5M2',
      'U8',
      'I8',
      'BOOL',
      'U16',
      'I16',
      'U32',
      'I32',
      'U64',
      'I64',
      'f32',
      '',
      'F128',
      'Q4_0',
      '__proto__',
      'constructor',
      'toString',
      null,
      7,
      {},
      ['F32'],
      'x'.repeat(10_000),
    ].map((value): [string, unknown] => ['dtype', value]),
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
    return withWeights(
      `${field} ${JSON.stringify(value)?.slice(0, 40)}`,
      sound,
      safetensorsOf(sound.tensors, header),
    );
  });
}

export function wrongTensors(sound: AdapterParts): HostileAdapter[] {
  const small: PartTensor = { dtype: 'F32', shape: [1], data: new Uint8Array(4) };
  const strange = [
    '../../etc/passwd',
    '/etc/passwd',
    'C:\\Windows\\x',
    '..',
    '.',
    '',
    '__proto__',
    'constructor',
    'toString',
    'hasOwnProperty',
    'a\0b',
    '\ud83d\ude00',
    'x'.repeat(100_000),
    'base_model.model.',
    'model.layers.0.self_attn.q_proj.weight',
    'base_model.model.lm_head.weight',
    'base_model.model.model.embed_tokens.weight',
    '$' + '{jndi:ldap://x}',
    '<script>',
    "'; DROP TABLE adapters; --",
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
    ...strange.map((key) =>
      withTensors(`key ${key.slice(0, 40)}`, sound, new Map([...sound.tensors, [key, small]])),
    ),
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
        withTensors(
          `${key} with an axis more`,
          sound,
          changed({ dtype, shape: [1, ...shape], data }),
          quoted,
        ),
        withTensors(
          `${key} empty`,
          sound,
          changed({ dtype, shape: [0, 4], data: new Uint8Array(0) }),
          quoted,
        ),
        withTensors(`${key} in capitals`, sound, changed({ dtype, shape, data }, key.toUpperCase())),
        withTensors(
          `${key} without prefix`,
          sound,
          changed({ dtype, shape, data }, key.replace('base_model.model.', '')),
        ),
      ];
    }),
    withTensors('50,000 tensors', sound, many(50_000, [1])),
    withTensors('60,000 empty tensors', sound, many(60_000, [0])),
    withTensors('no tensor', sound, new Map()),
  ];
}

export function notFinite(sound: AdapterParts): HostileAdapter[] {
  const patterns: Record<string, number[][]> = {
    F32: [
      [0, 0, 0xc0, 0x7f],
      [0, 0, 0x80, 0x7f],
      [0, 0, 0x80, 0xff],
      [1, 0, 0x80, 0x7f],
    ],
    F16: [
      [0, 0x7e],
      [0, 0x7c],
      [0, 0xfc],
    ],
    BF16: [
      [0xc0, 0x7f],
      [0x80, 0x7f],
      [0x80, 0xff],
    ],
    F64: [
      [0, 0, 0, 0, 0, 0, 0xf8, 0x7f],
      [0, 0, 0, 0, 0, 0, 0xf0, 0x7f],
      [...Buffer.from(Float64Array.of(1e300).buffer)],
      [...Buffer.from(Float64Array.of(-3.5e38).buffer)],
    ],
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
        return withTensors(
          `${dtype} ${v} at ${at}`,
          sound,
          new Map([[key, { dtype, shape, data }], ...others]),
          names,
        );
      }),
    ),
  );
}

export function disguises(sound: AdapterParts): HostileAdapter[] {
  const good = safetensorsOf(sound.tensors);
  return Object.entries(magics).flatMap(([name, magic]) => [
    withWeights(`${name} for weights`, sound, bytesOf(magic, new Uint8Array(5000))),
    withWeights(`${name} before weights`, sound, bytesOf(magic, good)),
    withWeights(`${name} behind weights`, sound, bytesOf(good, magic)),
    {
      what: `${name} for the config`,
      files: [
        ['adapter_config.json', bytesOf(magic, 'x')],
        ['adapter_model.safetensors', good],
      ],
      names: /adapter_config\.json/,
    },
  ]);
}

export function cutAndFlipped(sound: AdapterParts, random: () => number): HostileAdapter[] {
  const good = safetensorsOf(sound.tensors);
  const header = 8 + Number(new DataView(good.buffer).getBigUint64(0, true));
  const cuts = Array.from({ length: 40 }, () => Math.floor(random() * good.length));
  const flips = Array.from(
    { length: 80 },
    () => [Math.floor(random() * header), Math.floor(random() * 8)] as const,
  );
  return [
    ...cuts.map((length) => withWeights(`cut to ${length}`, sound, good.slice(0, length))),
    ...[1, 4, 1000].map((more) =>
      withWeights(`${more} bytes more`, sound, bytesOf(good, new Uint8Array(more))),
    ),
    ...flips.map(([at, bit]) => {
      const file = good.slice();
      file[at]! ^= 1 << bit;
      return withWeights(`bit ${bit} of byte ${at} flipped`, sound, file);
    }),
  ];
}
