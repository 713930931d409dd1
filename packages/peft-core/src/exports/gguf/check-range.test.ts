import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkRange } from './check-range.ts';

test('values that a type does not hold are refused by the name of the tensor', () => {
  const check = (type: Parameters<typeof checkRange>[2], ...values: number[]) =>
    checkRange('blk.0.attn_q.weight', Float32Array.from(values), type);
  for (const type of ['F32', 'BF16', 'MXFP4', 'F16', 'Q8_0', 'Q4_K'] as const) {
    check(type, 0, -65_504, 65_504);
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])
      assert.throws(() => check(type, 1, value), {
        code: 'not_exportable',
        param: 'adapter',
        message: new RegExp(`^blk\\.0\\.attn_q\\.weight has the value ${value},`),
      });
    if (type === 'F32' || type === 'BF16' || type === 'MXFP4') check(type, 1e30);
    else
      assert.throws(() => check(type, 1, -70_000), {
        code: 'not_exportable',
        param: 'options.dtype',
        message: /-70000, .* at most 65504; choose bf16 or f32$/,
      });
  }
});
