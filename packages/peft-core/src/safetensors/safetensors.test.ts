import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { GraftError } from '../errors.ts';
import { tempFolder } from '../testing/temp-folder.ts';
import { readSafetensors } from './safetensors.ts';
import { writeSafetensors } from './write-safetensors.ts';

const at = tempFolder();

/** Writes a file with this header and `dataBytes` bytes of data. */
function file(name: string, header: unknown, dataBytes: number): string {
  const json = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.byteLength));
  writeFileSync(at(name), Buffer.concat([length, json, Buffer.alloc(dataBytes)]));
  return at(name);
}

const f32 = (shape: unknown, begin: unknown, end: unknown) => ({
  dtype: 'F32',
  shape,
  data_offsets: [begin, end],
});

async function refuses(path: string, message: RegExp): Promise<void> {
  await assert.rejects(readSafetensors(path), (error: GraftError) => {
    assert.ok(error instanceof GraftError);
    assert.equal(error.code, 'invalid_safetensors');
    assert.match(error.message, message);
    assert.ok(error.message.startsWith(path), 'names the file');
    return true;
  });
}

test('what is written is read back, bit for bit', async () => {
  const data = Float32Array.of(1, -0, Number.NaN, 1e-45, 3.4e38, -2);
  const written = await writeSafetensors(
    at('round.safetensors'),
    [
      { name: 'b', shape: [2, 3], data },
      { name: 'a', shape: [], data: async () => Float32Array.of(7) },
      { name: 'empty', shape: [0, 4], data: new Float32Array(0) },
      { name: 'half', shape: [2], dtype: 'F16', data: Uint16Array.of(0x3c00, 0xc000) },
      { name: 'ids', shape: [2], dtype: 'I64', data: BigInt64Array.of(-1n, 2n ** 40n) },
      { name: 'bytes', shape: [3], dtype: 'U8', data: Uint8Array.of(1, 2, 255) },
    ],
    { metadata: { format: 'pt', note: 'ü' } },
  );
  assert.equal(written.bytes, readFileSync(at('round.safetensors')).byteLength);
  const tensors = await readSafetensors(at('round.safetensors'));
  assert.deepEqual(tensors.metadata, { format: 'pt', note: 'ü' });
  assert.deepEqual(
    tensors.names(),
    ['ids', 'a', 'b', 'empty', 'half', 'bytes'],
    'widest first, then by name',
  );
  assert.deepEqual(tensors.info('b'), { dtype: 'F32', shape: [2, 3] });
  assert.deepEqual(new Uint32Array((await tensors.readFloat32('b')).buffer), new Uint32Array(data.buffer));
  assert.deepEqual([...(await tensors.readFloat32('a'))], [7]);
  assert.equal((await tensors.readFloat32('empty')).length, 0);
  assert.deepEqual([...(await tensors.readFloat32('half'))], [1, -2]);
  assert.deepEqual(await tensors.read('ids'), BigInt64Array.of(-1n, 2n ** 40n));
  assert.deepEqual(await tensors.read('bytes'), Uint8Array.of(1, 2, 255));
  assert.deepEqual([...(await tensors.readBfloat16('half'))], [0x3f80, 0xc000]);
  await assert.rejects(tensors.readFloat32('ids'), {
    code: 'unsupported_dtype',
    message: /"ids" is stored as I64/,
  });
  await assert.rejects(tensors.readFloat32('c'), { code: 'tensor_not_found', message: /"c"/ });
  await tensors.close();
});

test('tensors longer than a chunk are read whole', async () => {
  const data = Float32Array.from({ length: 2 ** 20 + 3 }, (_, i) => i);
  const bits = Uint16Array.from({ length: data.length }, (_, i) => i & 0x7f7f);
  await writeSafetensors(at('long.safetensors'), [
    { name: 'a', shape: [data.length], data },
    { name: 'b', shape: [bits.length], dtype: 'BF16', data: bits },
  ]);
  const tensors = await readSafetensors(at('long.safetensors'));
  assert.deepEqual(await tensors.readFloat32('a'), data);
  const wide = await tensors.readFloat32('b');
  assert.deepEqual(
    new Uint32Array(wide.buffer),
    Uint32Array.from(bits, (b) => b << 16),
  );
  assert.deepEqual(await tensors.readBfloat16('b'), bits);
  assert.equal((await tensors.readBfloat16('a'))[2 ** 20 + 1], 0x4980);
  await tensors.close();
});

test('a file is the same whatever is written and hashed at a time, and is read into arrays that are there', async () => {
  const data = Float32Array.from({ length: 40 }, (_, i) => i / 3);
  const tensors = [
    { name: 'a', shape: [8, 5], data },
    { name: 'none', shape: [0], data: new Float32Array(0) },
  ];
  const whole = await writeSafetensors(at('whole.safetensors'), tensors);
  const bytes = readFileSync(whole.path);
  assert.equal(createHash('sha256').update(bytes).digest('hex'), whole.sha256);
  // The values have 160 bytes: chunks one byte shorter and longer, equal, a divisor, neither, and one byte.
  for (const chunk of [159, 160, 161, 80, 7, 1]) {
    const written = await writeSafetensors(at('cut-up.safetensors'), tensors, { bytesPerChunk: chunk });
    assert.deepEqual([written.sha256, written.bytes], [whole.sha256, whole.bytes], `${chunk}`);
    assert.deepEqual(readFileSync(written.path), bytes, `${chunk}`);
  }
  const file = await readSafetensors(whole.path);
  const flat = new Float32Array(50);
  await file.readFloat32('a', flat.subarray(5, 45));
  assert.deepEqual([...flat], [0, 0, 0, 0, 0, ...data, 0, 0, 0, 0, 0]);
  await assert.rejects(file.readFloat32('a', flat), {
    code: 'invalid_safetensors',
    message: /40 values; 50/,
  });
  await file.close();
});

test('a write that fails leaves nothing', async () => {
  const tensors = [
    { name: 'a', shape: [1], data: Float32Array.of(1) },
    { name: 'b', shape: [1], data: () => Promise.reject(new Error('no such weight')) },
  ];
  await assert.rejects(writeSafetensors(at('cut.safetensors'), tensors), /no such weight/);
  await assert.rejects(
    writeSafetensors(at('cut.safetensors'), [{ name: 'a', shape: [2], data: Float32Array.of(1) }]),
    /tensor "a" has 4 bytes; F32 \[2\] takes 8/,
  );
  assert.ok(!existsSync(at('cut.safetensors')));
  assert.deepEqual(
    readdirSync(at()).filter((name) => name.includes('partial')),
    [],
  );
});

test('broken headers are refused, naming file and tensor', async () => {
  const good = { a: f32([2], 0, 8), b: f32([1], 8, 12) };
  await (await readSafetensors(file('good', good, 12))).close();
  writeFileSync(at('short'), Buffer.alloc(5));
  await refuses(at('short'), /only 5 bytes/);
  writeFileSync(at('huge'), Buffer.from('ffffffffffffffff7b7d', 'hex'));
  await refuses(at('huge'), /header of 18446744073709551615 bytes; at most 16000000/);
  writeFileSync(at('cut'), Buffer.from('00100000000000007b7d', 'hex'));
  await refuses(at('cut'), /header of 4096 bytes, but the file has only 10/);
  await refuses(file('no json', '{"a": ', 0), /not JSON/);
  await refuses(file('array', '[1, 2, 3]', 0), /does not begin with/);
  await refuses(file('metadata', { __metadata__: { n: 1 } }, 0), /__metadata__/);
  await refuses(
    file('dtype', { a: { dtype: 'F12', shape: [1], data_offsets: [0, 4] } }, 4),
    /"a" has dtype "F12"; known: /,
  );
  await refuses(file('shape', { a: f32([-1], 0, 4) }, 4), /"a" has shape \[-1\]/);
  await refuses(file('fraction', { a: f32([0.5], 0, 2) }, 2), /"a" has shape/);
  await refuses(
    file('product', { a: f32([2 ** 40, 2 ** 40, 2 ** 40], 0, 4) }, 4),
    /"a" has 4 bytes, but F32/,
  );
  await refuses(file('size', { a: f32([2], 0, 4) }, 4), /"a" has 4 bytes, but F32 \[2\] takes 8/);
  await refuses(file('backwards', { a: f32([1], 4, 0) }, 4), /"a" has data_offsets \[4,0\]/);
  await refuses(
    file('three', { a: { dtype: 'F32', shape: [1], data_offsets: [0, 4, 8] } }, 8),
    /"a" has data_offsets/,
  );
  await refuses(file('outside', { a: f32([2], 0, 8) }, 4), /"a" ends at byte \d+, but the file has only/);
  await refuses(file('far', { a: f32([2], 2 ** 60, 2 ** 60 + 8) }, 8), /"a" has data_offsets/);
  await refuses(file('overlap', { a: f32([2], 0, 8), b: f32([1], 4, 8) }, 8), /"b" overlaps/);
  await refuses(file('same', { a: f32([2], 0, 8), b: f32([2], 0, 8) }, 8), /"b" overlaps/);
  await refuses(
    file('hole', { a: f32([1], 0, 4), b: f32([1], 8, 12) }, 12),
    /4 unused bytes before tensor "b"/,
  );
  await refuses(file('tail', good, 20), /8 unused bytes at its end/);
  await refuses(file('null', { a: null }, 0), /"a" is not described/);
  await assert.rejects(readSafetensors(at('absent')), { code: 'file_not_found' });
  await assert.rejects(readSafetensors(at()), { code: 'file_not_found' });
});
