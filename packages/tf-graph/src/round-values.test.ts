import assert from 'node:assert/strict';
import { test } from 'node:test';
import { toBfloat16 } from './bfloat16.ts';

/** All upper halves, each with lower halves at, below and above a tie; includes NaNs and infinities. */
function everyKind(): Float32Array {
  const lower = [0, 1, 0x7fff, 0x8000, 0x8001, 0xffff];
  const bits = new Uint32Array(65_536 * lower.length + 1);
  for (let upper = 0; upper < 65_536; upper++)
    for (const [i, low] of lower.entries()) bits[1 + upper * lower.length + i] = ((upper << 16) | low) >>> 0;
  // An odd count and offset, so that vectorised code also has a remainder.
  return new Float32Array(bits.buffer, 4);
}

test("TensorFlow's addon rounds to the bits that JavaScript does", async () => {
  const values = everyKind();
  const inJavaScript = toBfloat16(values);
  const { sessions } = await import('./tensorflow.ts');
  const out = new Uint16Array(values.length + 1).subarray(1);
  sessions.roundToBfloat16(values, out);
  assert.deepEqual(out, inJavaScript);
  assert.deepEqual(toBfloat16(values), inJavaScript);
  assert.throws(() => sessions.roundToBfloat16(values, out.subarray(1)), /as many places/);
});
