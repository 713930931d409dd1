import assert from 'node:assert/strict';
import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { tinyGguf } from '../base-model/testing/tiny-folder.ts';
import { GraftError } from '../errors.ts';
import { tempFolder } from '../testing/temp-folder.ts';
import { openGguf } from './gguf.ts';
import {
  type Field,
  type GgufTensorToWrite,
  type GgufToWrite,
  text,
  u64,
  writeGguf,
} from './testing/write-gguf.ts';

const at = tempFolder();
const path = at('model.gguf');

const u32 = (...values: number[]) => Buffer.from(Uint32Array.from(values).buffer);
const raw = (...parts: Buffer[]): Field => ({ type: 'raw', value: Buffer.concat(parts) });
const tensor = (more: Partial<GgufTensorToWrite> = {}): GgufTensorToWrite => ({
  name: 't',
  shape: [2],
  type: 0,
  data: new Uint8Array(8),
  ...more,
});

async function refuses(message: RegExp, gguf: Partial<GgufToWrite>): Promise<void> {
  await writeGguf(path, { fields: {}, tensors: [], ...gguf });
  await refusesFile(message);
}

async function refusesFile(message: RegExp): Promise<void> {
  await assert.rejects(openGguf(path), (error: GraftError) => {
    assert.ok(error instanceof GraftError, String(error));
    assert.equal(error.code, 'invalid_gguf');
    assert.match(error.message, message);
    assert.ok(error.message.startsWith(path), 'names the file');
    return true;
  });
}

test('metadata of every type, and tensors with their places', async () => {
  const fields: Record<string, Field> = {
    u8: raw(u32(0), Buffer.of(255)),
    i8: raw(u32(1), Buffer.of(255)),
    u16: raw(u32(2), Buffer.of(1, 2)),
    i16: raw(u32(3), Buffer.of(255, 255)),
    u32: { type: 'u32', value: 7 },
    i32: raw(u32(5, 0xffffffff)),
    f32: { type: 'f32', value: 0.5 },
    bool: { type: 'bool', value: true },
    string: { type: 'string', value: 'grün' },
    u64: { type: 'u64', value: 5 },
    large: { type: 'u64', value: 2n ** 60n },
    i64: raw(u32(11), u64(2n ** 64n - 3n)),
    f64: raw(u32(12), Buffer.from(Float64Array.of(0.1).buffer)),
    strings: { type: 'strings', value: ['a', '', 'x'.repeat(5000), 'end'] },
    nested: raw(u32(9, 9), u64(2), u32(4), u64(1), u32(3), u32(4), u64(0)),
  };
  for (const version of [2, 3]) {
    await writeGguf(path, { version, fields, tensors: [tensor({ name: 'one', shape: [2, 1] }), tensor()] });
    const gguf = await openGguf(path);
    const values = Object.fromEntries(gguf.metadata.keys().map((key) => [key, gguf.metadata.value(key)]));
    assert.deepEqual(values, {
      u8: 255,
      i8: -1,
      u16: 513,
      i16: -1,
      u32: 7,
      i32: -1,
      f32: 0.5,
      bool: true,
      string: 'grün',
      u64: 5,
      large: 2n ** 60n,
      i64: -3,
      f64: 0.1,
      strings: ['a', '', 'x'.repeat(5000), 'end'],
      nested: [[3], []],
    });
    const one = gguf.tensors.get('one')!;
    assert.deepEqual([one.dtype, one.shape, one.bytes], ['F32', [2, 1], 8]);
    assert.equal(gguf.tensors.get('t')!.position, one.position + 32);
    assert.equal(one.position % 32, 0);
    await gguf.close();
  }
});

test('a type that cannot be unpacked is named, not refused, while only the header is read', async () => {
  await writeGguf(path, { fields: {}, tensors: [tensor({ type: 16 }), tensor({ name: 'x', type: 99 })] });
  const gguf = await openGguf(path);
  assert.deepEqual(
    [...gguf.tensors.values()].map(({ dtype, bytes }) => [dtype, bytes]),
    [
      ['IQ2_XXS', null],
      ['type 99', null],
    ],
  );
  await gguf.close();
});

test('typed access names the key that is of another type or absent', async () => {
  await writeGguf(path, {
    fields: { n: { type: 'u32', value: 1 }, s: { type: 'string', value: '1' } },
    tensors: [],
  });
  const { metadata, close } = await openGguf(path);
  assert.equal(metadata.count('n'), 1);
  assert.equal(metadata.string('none'), undefined);
  assert.throws(() => metadata.string('n'), { code: 'invalid_gguf', message: /"n" is not a string/ });
  assert.throws(() => metadata.count('s'), { code: 'invalid_gguf', message: /"s" is not a whole number/ });
  assert.throws(() => metadata.required('none', metadata.string('none')), { message: /has no "none"/ });
  await close();
});

test('broken headers are refused', async () => {
  await refuses(/not a GGUF file/, { magic: 'GGML' });
  await refuses(/version 1; versions 2 and 3/, { version: 1 });
  await refuses(/big-endian/, { version: 0x03000000 });
  await refuses(/claims 1000000 tensors/, { tensorCount: 1_000_000 });
  await refuses(/claims 18446744073709551615 keys/, { keyCount: 2n ** 64n - 1n });
  await refuses(/"k" has the unknown type 13/, { fields: { k: raw(u32(13, 0)) } });
  await refuses(/"k" claims 1099511627776 elements/, { fields: { k: raw(u32(9, 4), u64(2 ** 40)) } });
  await refuses(/"k" claims 18446744073709551615 elements/, {
    fields: { k: raw(u32(9, 8), u64(2n ** 64n - 1n)) },
  });
  await refuses(/"k" has elements of the unknown type 77/, { fields: { k: raw(u32(9, 77), u64(1)) } });
  const inner = [u32(9), u64(1)];
  await refuses(/"k" nests arrays/, { fields: { k: raw(u32(9), ...inner, ...inner, ...inner, ...inner) } });
  await refuses(/value of "k" is a string of 9007199254740992 bytes/, {
    fields: { k: raw(u32(8), u64(2 ** 53)) },
  });
  await refuses(/value of "k" takes 1000 bytes at byte \d+, but only/, {
    fields: { k: raw(u32(8), u64(1000)) },
  });
  await refuses(/key 0 is a string of 70000 bytes/, { fields: { ['k'.repeat(70_000)]: raw(u32(0)) } });
  await refuses(/general.alignment is 12/, { fields: { 'general.alignment': { type: 'u32', value: 12 } } });
  await refuses(/alignment is 0/, { fields: { 'general.alignment': { type: 'u32', value: 0 } } });
  await refuses(/tensor "t" has 5 dimensions/, { tensors: [tensor({ shape: [1, 1, 1, 1, 2] })] });
  await refuses(/tensor "t" has the impossible shape/, {
    tensors: [tensor({ shape: [2n ** 40n, 2n ** 40n] })],
  });
  await refuses(/rows of 33 values, but Q4_0 packs 32/, { tensors: [tensor({ shape: [1, 33], type: 2 })] });
  await refuses(/tensor "t" appears twice/, { tensors: [tensor(), tensor()] });
  await refuses(/name of tensor 0 is a string of 65 bytes/, { tensors: [tensor({ name: 't'.repeat(65) })] });
  await refuses(/tensor "t" is at offset 16, not a multiple of 32/, { tensors: [tensor({ offset: 16 })] });
  await refuses(/tensor "u" overlaps/, { tensors: [tensor(), tensor({ name: 'u', offset: 0 })] });
  await refuses(/tensor "t" ends at byte \d+, but the file has only/, { tensors: [tensor({ offset: 64 })] });
  await refuses(/tensor "t" ends at byte/, { tensors: [tensor({ shape: [1 << 20, 1 << 20] })] });
});

test('a key that appears twice is refused', async () => {
  const pair = Buffer.concat([text('k'), u32(4, 1)]);
  writeFileSync(path, Buffer.concat([Buffer.from('GGUF'), u32(3), u64(0), u64(2), pair, pair]));
  await refusesFile(/key "k" appears twice/);
});

test('cut off anywhere in its header, a file is refused', async () => {
  await writeGguf(path, tinyGguf());
  const whole = readFileSync(path);
  const { tensors, close } = await openGguf(path);
  const start = Math.min(...[...tensors.values()].map(({ position }) => position));
  await close();
  for (let length = 0; length < start; length += 7) {
    writeFileSync(path, whole);
    truncateSync(path, length);
    await refusesFile(/./);
  }
});
