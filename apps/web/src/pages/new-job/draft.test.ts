import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Draft, fileRows, withFileRows, withUpload } from './draft.ts';
import { listChoices } from './schema.ts';

test('one file is a field, and several are a list', () => {
  const one = withFileRows({ model: 'm' }, 'training', [{ file: 'a' }]);
  assert.deepEqual(one, { model: 'm', training_file: 'a' });
  const two = withFileRows(one, 'training', [...fileRows(one, 'training'), { file: '' }]);
  assert.deepEqual(two, { model: 'm', training_files: [{ file: 'a' }, { file: '' }] });
  assert.deepEqual(withFileRows(two, 'training', [{ file: 'a' }]), one);
  const shared = withFileRows(one, 'training', [{ file: 'a', epochs: 2 }]);
  assert.deepEqual(shared, { model: 'm', training_files: [{ file: 'a', epochs: 2 }] });
  assert.deepEqual(withFileRows(shared, 'training', [{ file: '' }]), { model: 'm' });
  assert.deepEqual(fileRows({ training_files: ['x', 3, { file: 'b' }] }, 'training'), [
    { file: '' },
    { file: '' },
    { file: 'b' },
  ]);
});

test('an upload fills the file that is not chosen yet, and replaces an only one', () => {
  const uploaded = (draft: Draft) => fileRows(withUpload(draft, 'new'), 'training').map(({ file }) => file);
  assert.deepEqual(uploaded({}), ['new']);
  assert.deepEqual(uploaded({ training_file: 'a' }), ['new']);
  assert.deepEqual(uploaded({ training_files: [{ file: 'a' }, { file: '' }] }), ['a', 'new']);
  assert.deepEqual(uploaded({ training_files: [{ file: 'a' }, { file: 'b' }] }), ['a', 'b', 'new']);
});

test('an option with choices and names of the job keeps its choices', () => {
  const schema = { anyOf: [{ enum: ['eval_loss', 'eval_accuracy'] }, { type: 'string', pattern: '^eval_' }] };
  assert.deepEqual(listChoices(schema), ['eval_loss', 'eval_accuracy']);
  assert.equal(listChoices({ anyOf: [{ type: 'string', pattern: '.' }] }), null);
});
