import assert from 'node:assert/strict';
import { test } from 'node:test';
import { float8Values, unpackedFloat8 } from './float8.ts';
import type { TensorSource } from './tensor-source.ts';

/** Tensors of ones by name. */
function source(shapes: Record<string, [dtype: string, shape: number[]]>): TensorSource {
  const info = (name: string) => ({ dtype: shapes[name]![0], shape: shapes[name]![1] });
  const size = (name: string) => info(name).shape.reduce((product, each) => product * each, 1);
  return {
    names: () => Object.keys(shapes),
    has: (name) => name in shapes,
    info,
    readFloat32: async (name, out = new Float32Array(size(name))) => out.fill(1),
    readBfloat16: async (name, out = new Uint16Array(size(name))) => out.fill(0x3f80),
  };
}

test('codes have the values of float8 e4m3fn', () => {
  assert.deepEqual(
    [0x00, 0x01, 0x08, 0x38, 0x7e, 0xfe, 0x80].map((code) => float8Values[code]),
    [0, 2 ** -9, 2 ** -6, 1, 448, -448, -0],
  );
  assert.ok(Number.isNaN(float8Values[0x7f]) && Number.isNaN(float8Values[0xff]));
});

test('scales that do not divide their weight are refused, and a weight without scales stays as it is', () => {
  const of = (scales: number[]) =>
    source({ 'a.weight': ['F8_E4M3', [4, 6]], 'a.weight_scale_inv': ['F32', scales] });
  for (const scales of [[3, 6], [2, 4], [4], [0, 6], [1, 1, 2, 3]])
    assert.throws(() => unpackedFloat8(of(scales)), {
      code: 'invalid_model',
      message: /"a\.weight_scale_inv" has shape \[.*\], which does not divide .* its weight \[4,6\]/,
    });
  for (const scales of [[], [1], [4, 1], [2, 3]])
    assert.deepEqual(unpackedFloat8(of(scales)).names(), ['a.weight']);
  const bare = source({ 'a.weight': ['F8_E4M3', [4, 6]] });
  assert.equal(unpackedFloat8(bare), bare);
});
