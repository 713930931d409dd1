import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { readSafetensors } from '../safetensors/safetensors.ts';
import { turnedBack, turnedExperts } from './turned-experts.ts';

interface Stored {
  shape: number[];
  bytes: string;
}
// From scripts/golden/testdata/mxfp4_experts.py: transformers' result.
const golden: { blocks: Stored; scales: Stored; bfloat16: Stored } = JSON.parse(
  await readFile(new URL('testdata/mxfp4-experts.json', import.meta.url), 'utf8'),
);

const ends = ['experts.wide'];
let root: string;
before(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'graft-turned-'));
});
after(() => rm(root, { recursive: true }));

type Tensor = Stored & { dtype: string };

/** Opens a safetensors file with these tensors. */
async function fileOf(name: string, tensors: Record<string, Tensor>) {
  const header: Record<string, unknown> = {};
  const parts: Buffer[] = [];
  let at = 0;
  for (const [key, { dtype, shape, bytes }] of Object.entries(tensors)) {
    const part = Buffer.from(bytes, 'base64');
    header[key] = { dtype, shape, data_offsets: [at, at + part.length] };
    parts.push(part);
    at += part.length;
  }
  const text = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  await writeFile(path.join(root, name), Buffer.concat([length, text, ...parts]));
  return readSafetensors(path.join(root, name));
}

const u8 = (stored: Stored): Tensor => ({ ...stored, dtype: 'U8' });
const packed = () => ({
  'layers.0.experts.wide_blocks': u8(golden.blocks),
  'layers.0.experts.wide_scales': u8(golden.scales),
});

/** Without a report of all differences, which would take minutes. */
function same(found: Float32Array, wanted: Float32Array): void {
  assert.equal(found.length, wanted.length);
  const at = found.findIndex((value, i) => !Object.is(value, wanted[i]));
  assert.equal(at, -1, `value ${at} is ${found[at]}, not ${wanted[at]}`);
}

/** transformers' values `(E, in, out)` as `(E, out, in)`, in float32. */
function expected(): Float32Array {
  const bits = new Uint16Array(new Uint8Array(Buffer.from(golden.bfloat16.bytes, 'base64')).buffer);
  const wide = new Float32Array(Uint32Array.from(bits, (each) => each << 16).buffer);
  return turnedBack(wide, golden.bfloat16.shape);
}

test('MXFP4 is unpacked to the values of transformers, whole, in bfloat16 and in pieces', async () => {
  const file = await fileOf('packed.safetensors', packed());
  const source = turnedExperts(file, ends);
  const name = 'layers.0.experts.wide';
  assert.deepEqual(source.names(), [name]);
  assert.deepEqual(source.info(name), { dtype: 'MXFP4', shape: [4, 22, 96] });
  const wanted = expected();
  assert.ok(wanted.includes(Infinity) && wanted.includes(-6));
  same(await source.readFloat32(name), wanted);
  const narrow = await source.readBfloat16(name);
  const widened = new Float32Array(Uint32Array.from(narrow, (each) => each << 16).buffer);
  same(widened, wanted);
  const pieces: number[] = [];
  await source.readPieces!(name, async (piece) => void pieces.push(...piece));
  same(Float32Array.from(pieces), wanted);
  await file.close();
});

test('plain matrices of experts are turned, other tensors are not', async () => {
  const values = Float32Array.from({ length: 24 }, (_, i) => i);
  const bytes = Buffer.from(values.buffer).toString('base64');
  const file = await fileOf('plain.safetensors', {
    'experts.wide': { dtype: 'F32', shape: [2, 3, 4], bytes },
    'experts.wide_bias': { dtype: 'F32', shape: [4, 6], bytes },
  });
  const source = turnedExperts(file, ends);
  assert.deepEqual(source.info('experts.wide').shape, [2, 4, 3]);
  const turned = await source.readFloat32('experts.wide');
  assert.deepEqual([...turned.subarray(0, 6)], [0, 4, 8, 1, 5, 9]);
  assert.deepEqual([...turned.subarray(12, 15)], [12, 16, 20]);
  assert.deepEqual(turnedBack(turned, [2, 4, 3]), values);
  const narrow = await source.readBfloat16('experts.wide');
  assert.deepEqual(new Float32Array(Uint32Array.from(narrow, (each) => each << 16).buffer), turned);
  assert.deepEqual(await source.readFloat32('experts.wide_bias'), values);
  await file.close();
});

test('MXFP4 without scales, of other shapes and types is refused by name', async () => {
  const { bytes } = golden.scales;
  for (const [name, tensors, fault] of [
    ['no-scales', { 'experts.wide_blocks': u8(golden.blocks) }, /lacks the tensor "experts.wide_scales"/],
    [
      'few-scales',
      { 'experts.wide_blocks': u8(golden.blocks), 'experts.wide_scales': u8({ shape: [264], bytes }) },
      /"experts.wide_scales" has shape \[264\], and does not fit/,
    ],
    [
      'whole-blocks',
      {
        'experts.wide_blocks': u8({ ...golden.blocks, shape: [4, 22, 48] }),
        'experts.wide_scales': u8(golden.scales),
      },
      /MXFP4 has four axes, the last of 16/,
    ],
    [
      'signed',
      { 'experts.wide_blocks': { ...golden.blocks, dtype: 'I8' }, 'experts.wide_scales': u8(golden.scales) },
      /"experts.wide_blocks" is stored as I8; MXFP4 is U8/,
    ],
  ] as [string, Record<string, Tensor>, RegExp][]) {
    const file = await fileOf(name, tensors);
    assert.throws(() => turnedExperts(file, ends), fault);
    await file.close();
  }
});
