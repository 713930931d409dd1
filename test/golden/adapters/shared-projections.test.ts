/**
 * The random projections of VeRA are those of HF PEFT and PyTorch in every bit, so that files without them can be read. PyTorch without
 * AVX2 rounds twice where others round once: there half of its numbers differ in the last bit, and only their size is compared.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { before, test } from 'node:test';
import { drawProjections } from '../../../packages/peft-core/src/tuners/vera/projections.ts';
import { runPythonJson } from '../../../scripts/golden/environment/run-python.ts';

interface Drawn {
  sha256: [string, string];
  first: [number[], number[]];
  last: [number[], number[]];
  bfloat16: number;
  capability: string;
}

const draws = [
  { key: 0, rank: 4, width: 8, out: 6 },
  // The sizes of SmolLM2-135M with all linear layers, and a matrix of more than 2^24 numbers.
  { key: 0, rank: 256, width: 1536, out: 1536 },
  { key: 0, rank: 1024, width: 17_000, out: 64 },
  { key: 42, rank: 1, width: 1, out: 1 },
  { key: 2 ** 32 - 1, rank: 7, width: 625, out: 89 },
  // Only the low 32 bits of a key count.
  { key: 2 ** 40 + 7, rank: 16, width: 39, out: 5 },
  { key: -5, rank: 16, width: 39, out: 5 },
  { key: -Number.MAX_SAFE_INTEGER, rank: 3, width: 5, out: 7 },
];

let expected: Drawn[];
before(async () => {
  expected = await runPythonJson<Drawn>('draws/shared_projections.py', [], { draws });
});

for (const [i, { key, ...sizes }] of draws.entries())
  test(`key ${key}, ${JSON.stringify(sizes)}`, () => {
    const { sha256, first, last, capability, bfloat16 } = expected[i]!;
    const { a, b } = drawProjections(key, sizes);
    for (const [which, values] of [a, b].entries()) {
      const near = (some: Float32Array, of: number[]) =>
        assert.ok(
          some.every((value, at) => Math.abs(value - of[at]!) <= 2 ** -23 * Math.max(1, Math.abs(value))),
          `${some} instead of ${of}`,
        );
      near(values.subarray(0, 4), first[which]!);
      near(values.subarray(-4), last[which]!);
      if (capability === 'DEFAULT') continue;
      const bytes = Buffer.from(values.buffer, values.byteOffset, values.byteLength);
      assert.equal(createHash('sha256').update(bytes).digest('hex'), sha256[which], 'every bit');
    }
    // With a base model in bfloat16 PEFT rounds its projections, too.
    const widest = Math.max(
      ...[a, b].map((values) => Math.sqrt(6 / (values.length / (values === a ? sizes.rank : sizes.out)))),
    );
    assert.ok(bfloat16 <= widest * 2 ** -8, String(bfloat16));
  });

test('drawing again from one key gives other numbers for B than for A, and other keys others', () => {
  const sizes = { rank: 8, width: 8, out: 8 };
  const { a, b } = drawProjections(3, sizes);
  assert.notDeepEqual(a, b);
  assert.notDeepEqual(a, drawProjections(4, sizes).a);
  assert.deepEqual(a, drawProjections(3, { ...sizes, out: 2 }).a);
});
