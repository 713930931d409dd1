import assert from 'node:assert/strict';
import { test } from 'node:test';
import { correctedName } from './corrected-copy.ts';
import {
  type Correction,
  copyOf,
  leftOutCount,
  maxEdited,
  maxLineBytes,
  openCorrection,
  textFault,
  textFaults,
} from './correction.ts';

const good = (text: string) => JSON.stringify({ text });
const fault = (line: number, message = 'is not valid JSON') => ({ line, message });

/** The correction with changes: a text by line, or null for a line that is left out. */
const changed = (correction: Correction, changes: Record<number, string | null>): Correction => ({
  ...correction,
  lines: correction.lines.map((line) => {
    const change = changes[line.number];
    return change === undefined
      ? line
      : { ...line, isLeftOut: change === null, edited: change ?? line.edited };
  }),
});

test('a copy has the edited texts, without the lines that are left out, and all other bytes', async () => {
  for (const end of ['\n', '\r\n']) {
    for (const mark of ['', '\ufeff']) {
      for (const last of ['', end]) {
        const lines = ['{bad', good('é😀'), '', '{worse', good('kept')];
        const file = new Blob([mark + lines.join(end) + last]);
        const opened = await openCorrection(file, [fault(1), fault(4, 'is odd')], 2, null);
        assert.deepEqual(
          opened.lines.map(({ number, text, fault: found }) => [number, text, found]),
          [
            [1, '{bad', 'is not valid JSON'],
            [4, '{worse', 'is odd'],
          ],
        );
        const copy = await copyOf(changed(opened, { 1: good('ü'), 4: null }));
        const expected = mark + [good('ü'), good('é😀'), '', good('kept')].join(end) + last;
        assert.deepEqual(await copy.arrayBuffer(), await new Blob([expected]).arrayBuffer());
      }
    }
  }
});

test('the last line without a line ending is edited or left out', async () => {
  const opened = await openCorrection(new Blob([`${good('a')}\n{bad`]), [fault(2)], 1, null);
  assert.equal(await (await copyOf(changed(opened, { 2: good('b') }))).text(), `${good('a')}\n${good('b')}`);
  assert.equal(await (await copyOf(changed(opened, { 2: null }))).text(), `${good('a')}\n`);
});

test('a copy without a change, and one without a line, are refused', async () => {
  for (const text of ['{bad\n{worse', '\ufeff{bad\r\n{worse\r\n\r\n \t\n']) {
    const opened = await openCorrection(new Blob([text]), [fault(1), fault(2)], 2, null);
    await assert.rejects(copyOf(opened), /at least one line/);
    await assert.rejects(copyOf(changed(opened, { 1: null, 2: null })), /No line is left/);
    await copyOf(changed(opened, { 1: null }));
  }
});

test('the first hundred lines can be edited; others, and those the API did not list, are counted', async () => {
  const file = new Blob(['{bad\n'.repeat(1000), good('a'), '\n', '{bad\n']);
  const faults = [{ line: 1, message: 'is odd', count: 990, lines: [[1, 990]] }];
  const opened = await openCorrection(file, faults, 1001, null);
  assert.equal(opened.lines.length, maxEdited);
  assert.equal(opened.lines[1]!.fault, 'Same fault as line 1: is odd');
  assert.deepEqual(
    opened.rest.map(({ first, last }) => [first, last]),
    [[101, 990]],
  );
  assert.equal(opened.unlisted, 11);
  const without = changed({ ...opened, isRestLeftOut: true }, { 1: null });
  assert.equal(leftOutCount(without), 891);
  assert.equal((await (await copyOf(without)).text()).split('{bad\n').length - 1, 1001 - 891);
});

test('a line that is too long is cut, and can only be left out', async () => {
  const long = `{"text": "${'é'.repeat(maxLineBytes)}`;
  const file = new Blob([`${long}\n${good('a')}\n${' '.repeat(maxLineBytes)}\n`]);
  const opened = await openCorrection(file, [fault(1), fault(3)], 2, null);
  const [first, third] = opened.lines;
  assert.ok(first!.isTooLong && first!.text.length < 2000);
  assert.ok(!third!.isTooLong);
  assert.deepEqual([...textFaults(opened).keys()], [3]);
  assert.equal(await (await copyOf(changed(opened, { 1: null, 3: null }))).text(), `${good('a')}\n`);
});

test('texts are checked before they are sent', () => {
  assert.equal(textFault('{"a": 1}', true), null);
  assert.match(textFault('{"a": 1}\n{"a": 2}', true)!, /one line/);
  assert.match(textFault('{"a":\r1}', true)!, /one line/);
  assert.equal(textFault('{"a":\r1}', false), null);
  assert.match(textFault(' ', true)!, /leave it out/);
  assert.match(textFault('{"a": }', true)!, /valid JSON\. Unexpected/);
  for (const text of ['[1]', '"a"', 'null', '1']) assert.match(textFault(text, true)!, /JSON object/);
  assert.match(textFault(JSON.stringify({ a: 'é'.repeat(maxLineBytes / 2) }), true)!, /at most 64/);
});

test('faults of a refused copy are at the lines of the original, and changes are kept', async () => {
  const lines = ['{bad', good('a'), '{bad', good('b'), '{worse', '{worst', good('c')];
  const file = new Blob([lines.join('\n')]);
  const first = await openCorrection(file, [fault(1), fault(3), fault(5), fault(6)], 4, null);
  const attempt = changed(first, { 1: null, 3: '{"text": 5}', 6: null });
  // Line 3 is line 2 of the copy, and line 7 is line 5.
  const faults = [fault(2, '"text" must be a string'), fault(4), fault(5, 'is odd')];
  const second = await openCorrection(file, faults, 3, attempt);
  assert.deepEqual(
    second.lines.map(({ number, fault, edited, isLeftOut }) => [number, fault, edited, isLeftOut]),
    [
      [1, 'is not valid JSON', null, true],
      [3, '"text" must be a string', '{"text": 5}', false],
      [5, 'is not valid JSON', null, false],
      [6, 'is not valid JSON', null, true],
      [7, 'is odd', null, false],
    ],
  );
  const copy = await copyOf(changed(second, { 3: good('x'), 5: good('y'), 7: null }));
  assert.equal(await copy.text(), `${[lines[1], good('x'), lines[3], good('y')].join('\n')}\n`);
});

test('random corrections over several attempts result in the file that editing the lines gives', async () => {
  let state = 11;
  const draw = (below: number) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  for (let round = 0; round < 40; round++) {
    // Two kinds of faults: one that the first attempt reports, and one that the next reports.
    const lines = Array.from(
      { length: 1 + draw(400) },
      (_, i) => ['{bad', '{hidden', good(`${i}`)][draw(3)]!,
    );
    const file = new Blob([lines.map((line) => `${line}\n`).join('')]);
    let current: (string | null)[] = lines;
    let correction: Correction | null = null;
    let copied: string[] = lines;
    for (const kind of ['{bad', '{hidden']) {
      const numbers = copied.flatMap((line, i) => (line === kind ? [i + 1] : []));
      if (numbers.length === 0) break;
      const ranges = numbers.map((number) => [number, number]);
      const faults = [{ line: numbers[0]!, message: 'is bad', count: numbers.length, lines: ranges }];
      correction = await openCorrection(file, faults, numbers.length, correction);
      const changes: Record<number, string | null> = {};
      for (const line of correction.lines) {
        if (line.text === kind && !line.isLeftOut) changes[line.number] = draw(2) === 0 ? null : good('new');
      }
      const rest = correction.rest;
      correction = changed({ ...correction, isRestLeftOut: true }, changes);
      const isRest = (number: number) => rest.some(({ first, last }) => first <= number && number <= last);
      current = current.map((line, i) =>
        changes[i + 1] !== undefined ? changes[i + 1]! : isRest(i + 1) ? null : line,
      );
      copied = current.filter((line) => line !== null);
      assert.ok(correction.lines.length <= maxEdited);
      if (copied.length === 0) await assert.rejects(copyOf(correction), /No line is left/);
      else assert.equal(await (await copyOf(correction)).text(), copied.map((line) => `${line}\n`).join(''));
    }
  }
});

test('a copy has a new name', () => {
  const names = [
    'train.jsonl',
    'train-corrected.jsonl',
    'a-corrected-2.jsonl',
    'a.b.jsonl',
    'train',
    '.jsonl',
  ];
  assert.deepEqual(names.map(correctedName), [
    'train-corrected.jsonl',
    'train-corrected-2.jsonl',
    'a-corrected-3.jsonl',
    'a.b-corrected.jsonl',
    'train-corrected',
    '.jsonl-corrected',
  ]);
});
