import assert from 'node:assert/strict';
import { test } from 'node:test';
import { callOf, matchesCalls } from './match-calls.ts';
import { isHeldOut, type PossibleCall } from './questions.ts';

const weather: PossibleCall = {
  name: 'weather',
  arguments: { city: ['Ulm', 'Ulm, Germany'], days: [3, 3.0], unit: ['celsius', ''] },
};
const call = (args: Record<string, unknown>, name = 'weather') => ({ name, arguments: args });

test('a call matches by its name and by one acceptable value for each parameter', () => {
  assert.ok(matchesCalls([call({ city: 'Ulm', days: 3 })], [weather]));
  assert.ok(matchesCalls([call({ days: 3, unit: 'celsius', city: 'Ulm, Germany' })], [weather]));
  for (const wrong of [
    call({ city: 'Ulm' }),
    call({ city: 'ulm', days: 3 }),
    call({ city: 'Ulm', days: '3' }),
    call({ city: 'Ulm', days: 3, unit: 'kelvin' }),
    call({ city: 'Ulm', days: 3, more: 1 }),
    call({ city: 'Ulm', days: 3 }, 'time'),
  ])
    assert.ok(!matchesCalls([wrong], [weather]), JSON.stringify(wrong));
});

test('calls match in any order, each once', () => {
  const time: PossibleCall = { name: 'time', arguments: {} };
  const both = [weather, time];
  assert.ok(matchesCalls([call({}, 'time'), call({ city: 'Ulm', days: 3 })], both));
  assert.ok(!matchesCalls([call({}, 'time'), call({}, 'time')], both));
  assert.ok(!matchesCalls([call({}, 'time')], both));
});

test('objects and lists are compared part by part', () => {
  const nested: PossibleCall = {
    name: 'a',
    arguments: { at: [{ x: [1, 2], label: ['', 'q'] }], list: [[1, 2]] },
  };
  assert.ok(matchesCalls([call({ at: { x: 2 }, list: [1, 2] }, 'a')], [nested]));
  assert.ok(!matchesCalls([call({ at: { x: 3 }, list: [1, 2] }, 'a')], [nested]));
  assert.ok(!matchesCalls([call({ at: { x: 1 }, list: [1] }, 'a')], [nested]));
  assert.deepEqual(callOf(nested), { name: 'a', arguments: { at: { x: 1 }, list: [1, 2] } });
});

test('the call to train on matches, and a fifth of the questions is held out by the seed', () => {
  assert.deepEqual(callOf(weather), { name: 'weather', arguments: { city: 'Ulm', days: 3 } });
  assert.ok(matchesCalls([callOf(weather)], [weather]));
  const ids = Array.from({ length: 1000 }, (_, i) => ({ id: `q${i}`, messages: [], tools: [], calls: [] }));
  const held = ids.filter((question) => isHeldOut(question, 42));
  assert.ok(held.length > 150 && held.length < 250, String(held.length));
  assert.notDeepEqual(
    held,
    ids.filter((question) => isHeldOut(question, 43)),
  );
});
