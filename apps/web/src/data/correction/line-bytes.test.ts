import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  countLines,
  findLines,
  firstLines,
  type LineRange,
  linesOfOriginal,
  mergedRanges,
  rangesWithout,
} from './line-bytes.ts';

const mark = '\ufeff';
const allBytes = (text: string) => new TextEncoder().encode(text);

/** A file that is read in chunks of `size` bytes. */
function inChunks(text: string, size: number): Blob {
  const bytes = allBytes(text);
  const file = new Blob([bytes]);
  file.stream = () =>
    new ReadableStream({
      start(controller) {
        for (let at = 0; at < bytes.length; at += size) controller.enqueue(bytes.slice(at, at + size));
        controller.close();
      },
    });
  return file;
}

/** Draws whole numbers below a limit, the same ones on every run. */
function draws(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** Lines with their endings, as the API counts them. */
const linesOf = (text: string) => text.replace(mark, '').match(/[^\n]*\n|[^\n]+$/g) ?? [];

test('each line is found, whatever its ending, and wherever the chunks are cut', async () => {
  for (const text of [
    'a\nbb\nccc\n',
    'a\r\nbb\r\nccc',
    '\n\na\n\r\n\nü€😀\n\n',
    `${mark}{"ü":1}\r\n\r\n😀\n`,
    'x',
    '',
  ]) {
    const lines = linesOf(text);
    const ranges = lines.map((_, i): LineRange => [i + 1, i + 1]);
    for (let size = 1; size <= 12; size++) {
      const file = inChunks(text, size);
      const found = await findLines(file, ranges);
      assert.deepEqual(
        found.map(({ first, last }) => [first, last]),
        ranges,
      );
      for (const [i, { start, textEnd, end }] of found.entries()) {
        assert.equal(await file.slice(start, end).text(), lines[i]);
        assert.equal(await file.slice(start, textEnd).text(), lines[i]!.replace(/\r?\n$/, ''));
      }
      assert.equal(found.at(-1)?.end ?? 0, file.size);
    }
  }
});

test('random ranges of random files have the bytes of their lines', async () => {
  const draw = draws(3);
  for (let i = 0; i < 300; i++) {
    const pieces = Array.from({ length: draw(30) }, () => ['\n', '\r\n', 'a', '"ü"', '😀', '\r'][draw(6)]!);
    const text = (draw(2) === 0 ? mark : '') + pieces.join('');
    const lines = linesOf(text);
    const ranges = mergedRanges(
      Array.from({ length: 3 }, () => {
        const first = 1 + draw(12);
        return [first, first + draw(3)];
      }),
    );
    const file = inChunks(text, 1 + draw(7));
    const found = await findLines(file, ranges);
    const expected = ranges
      .filter(([first]) => first <= lines.length)
      .map(([first, last]) => [first, Math.min(last, lines.length)] as const);
    assert.deepEqual(
      found.map(({ first, last }) => [first, last]),
      expected,
      JSON.stringify(text),
    );
    for (const { first, last, start, end } of found)
      assert.equal(await file.slice(start, end).text(), lines.slice(first - 1, last).join(''));
  }
});

test('a file is read only up to the last line that is searched, and no further when stopped', async () => {
  const file = new Blob([]);
  let chunks = 0;
  file.stream = () =>
    new ReadableStream({
      pull: (controller) => {
        chunks++;
        controller.enqueue(allBytes('a\nb\n'));
      },
    });
  const [found] = await findLines(file, [[9, 11]]);
  assert.deepEqual(found, { first: 9, last: 11, start: 16, textEnd: 21, end: 22 });
  assert.ok(chunks < 9);
  const stop = new AbortController();
  const reading = findLines(file, [[1e12, 1e12]], stop.signal);
  stop.abort();
  await assert.rejects(reading, { name: 'AbortError' });
});

test('ranges are merged, subtracted, and mapped as lists of lines are', () => {
  const draw = draws(5);
  const random = () =>
    mergedRanges(
      Array.from({ length: draw(6) }, () => {
        const first = 1 + draw(30);
        return [first, first + draw(5)];
      }),
    );
  const listed = (ranges: readonly LineRange[]) => firstLines(ranges, 1000);
  for (let i = 0; i < 2000; i++) {
    const [some, others] = [random(), random()];
    for (const [[, last], [next]] of some.slice(1).map((range, j) => [some[j]!, range] as const))
      assert.ok(next > last + 1);
    assert.equal(countLines(some), listed(some).length);
    const without = listed(some).filter((line) => !listed(others).includes(line));
    assert.deepEqual(listed(rangesWithout(some, others)), without);
    const kept = Array.from({ length: 100 }, (_, j) => j + 1).filter(
      (line) => !listed(others).includes(line),
    );
    assert.deepEqual(
      listed(linesOfOriginal(some, others)),
      listed(some).map((line) => kept[line - 1]),
    );
  }
  assert.deepEqual(firstLines([[2, 2_000_000_000]], 3), [2, 3, 4]);
});
