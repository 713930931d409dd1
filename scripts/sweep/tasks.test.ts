import assert from 'node:assert/strict';
import { test } from 'node:test';
import { dataOf, tasks } from './tasks.ts';

test('tasks are of several kinds and sizes, on two models, and half of them or more are held out', () => {
  const all = Object.values(tasks);
  const sizes = all.map(({ data }) => data().training.length);
  assert.deepEqual([Math.min(...sizes), Math.max(...sizes)], [30, 5000]);
  assert.equal(new Set(all.map(({ model }) => model)).size, 2);
  assert.ok(new Set(all.map(({ type }) => type)).size >= 4);
  assert.equal(all.filter(({ use }) => use === 'held out').length, 6);
});

for (const [name, task] of Object.entries(tasks)) {
  test(`${name}: nothing that it is measured on is trained, and its rows are the same every time`, () => {
    const { training, validation } = task.data();
    const seen = new Set(training.map((row) => JSON.stringify(row)));
    assert.equal(seen.size, training.length);
    assert.deepEqual(
      validation.filter((row) => seen.has(JSON.stringify(row))),
      [],
    );
    assert.ok(validation.length >= 10);
    assert.equal(dataOf(task), dataOf(task));
  });
}
