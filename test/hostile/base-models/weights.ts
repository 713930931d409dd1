import { open } from 'node:fs/promises';
import { tinyWeights } from '../../../packages/peft-core/src/base-model/testing/tiny-folder.ts';
import { writeSafetensors } from '../../../packages/peft-core/src/safetensors/write-safetensors.ts';
import { between, type Change, type Draw, type Json, json, MiB, nested, pick } from './draw.ts';

export function weightsChange(draw: Draw): Change {
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

export function indexChange(draw: Draw): Change {
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

/** Changes with files at or above the maximum size. */
export const largest: Change[] = [
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

export function filled(piece: string, length: number) {
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

/** Creates a sparse file, which needs no disk space. */
export function sized(length: number) {
  return async (file: string) => {
    const handle = await open(file, 'w');
    try {
      await handle.truncate(length);
    } finally {
      await handle.close();
    }
  };
}
