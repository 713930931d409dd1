import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ClassWeights, classWeightsOf } from './class-weights.ts';
import { NO_TARGET, type TrainingExample } from './training-example.ts';

const labels = ['calm', 'loud', 'silent'];
const sequence = { ids: Int32Array.of(1) };
const texts = [0, 0, 0, 1, 1, 2].map(
  (label, i): TrainingExample => ({ sequences: [sequence], label, tokens: 1, line: i + 1 }),
);
const weights = (asked: ClassWeights | undefined, training = texts) =>
  classWeightsOf(asked, { labels, training });

test('classes are weighed by name, in the order of the labels, or by how rare they are', () => {
  assert.equal(weights(undefined), null);
  assert.deepEqual(weights({ loud: 3, calm: 0.5 }), [0.5, 3, 1]);
  assert.deepEqual(weights([1, 2, 3]), [1, 2, 3]);
  // compute_class_weight('balanced', classes=[0, 1, 2], y=[0, 0, 0, 1, 1, 2]) of scikit-learn
  assert.deepEqual(weights('balanced'), [6 / 9, 1, 2]);
  const targets = Int32Array.of(NO_TARGET, 2, 2, 0);
  const tokens: TrainingExample[] = [{ sequences: [{ ...sequence, targets }], tokens: 4, line: 1 }];
  assert.deepEqual(weights('balanced', tokens), [1, 1, 0.5]);
});

test('weights of other classes than those of the data are refused', () => {
  const fault = (asked: ClassWeights, message: RegExp) =>
    assert.throws(() => weights(asked), {
      code: 'invalid_training_option',
      param: 'training.class_weights',
      message,
    });
  fault([1, 2], /has 2 weights, and the data has 3 classes: calm, loud, silent/);
  fault({ lowd: 2 }, /"lowd" is no label of the data; did you mean "loud"/);
  fault({ toString: 2 }, /is no label/);
});
