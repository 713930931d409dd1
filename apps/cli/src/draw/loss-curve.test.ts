import assert from 'node:assert/strict';
import { test } from 'node:test';
import { axisTicks, smoothedPoints, tickLabels } from './loss-chart.ts';
import { drawLossCurve } from './loss-curve.ts';
import { lossCurveSvg } from './loss-curve-svg.ts';

const falling = (steps: number) =>
  Array.from({ length: steps }, (_, i) => ({ step: i + 1, loss: 3 - (2 * i) / steps }));

test('ticks are round, inside the range, about as many as requested', () => {
  assert.deepEqual(axisTicks(0, 3, 5), [0, 1, 2, 3]);
  assert.deepEqual(axisTicks(0.11, 0.43, 4), [0.2, 0.3, 0.4]);
  assert.deepEqual(tickLabels(axisTicks(0, 0.3, 3)), ['0.0', '0.1', '0.2', '0.3']);
  assert.deepEqual(axisTicks(1, 10_000, 4), [5_000, 10_000]);
  assert.deepEqual(axisTicks(5, 5, 4), [5]);
});

test('a falling loss goes from the upper left to the lower right', () => {
  const curve = drawLossCurve(falling(40), { width: 24, height: 8 });
  assert.equal(
    curve,
    [
      '3 ┤⠒⠤⡀',
      '  │  ⠈⠑⠢⠤⣀',
      '  │       ⠉⠢⢄⡀',
      '2 ┤          ⠈⠑⠢⣀',
      '  │              ⠉⠒⠢⢄⡀',
      '1 ┤                  ⠈⠒⠤',
      '  └┬───────────────────┬',
      '   1                  40',
    ].join('\n'),
  );
});

test('width and height hold, whatever the data', () => {
  for (const points of [
    falling(1),
    falling(2),
    falling(5_000),
    [{ step: 7, loss: 0 }],
    [{ step: 1, loss: 1e6 }],
  ]) {
    for (const [width, height] of [
      [20, 5],
      [72, 12],
      [100, 20],
    ] as const) {
      const lines = drawLossCurve(points, { width, height, evaluation: points.slice(-1) }).split('\n');
      assert.equal(lines.length, height);
      for (const line of lines)
        assert.ok([...line].length <= width, `${[...line].length} > ${width}: ${line}`);
    }
  }
});

test('evaluations are marked, and an unfinished run leaves room at the right', () => {
  const evaluation = [{ step: 20, loss: 2 }];
  const half = drawLossCurve(falling(20), { width: 40, height: 10, evaluation, totalSteps: 40 });
  const lines = half.split('\n');
  const marked = lines.findIndex((line) => line.includes('●'));
  // Step 20 of 1…40, in the 37 columns to the right of the axis.
  assert.equal(lines[marked]?.indexOf('●'), 3 + 18);
  assert.ok(lines.slice(0, -2).every((line) => [...line].length <= 24));
  assert.match(lines.at(-1) ?? '', /40$/);
});

test('losses that are no numbers are left out; none at all is said', () => {
  const points = [
    { step: 1, loss: 2 },
    { step: 2, loss: Number.NaN },
    { step: 3, loss: Number.POSITIVE_INFINITY },
  ];
  assert.equal(
    drawLossCurve(points, { width: 30, height: 6 }),
    drawLossCurve(points.slice(0, 1), { width: 30, height: 6 }),
  );
  assert.equal(drawLossCurve([], { width: 30, height: 6 }), 'no losses yet');
  assert.doesNotMatch(lossCurveSvg({ training: points, evaluation: [], title: 'x' }), /NaN|Infinity/);
  assert.doesNotMatch(lossCurveSvg({ training: [], evaluation: [], title: 'x' }), /NaN|Infinity|undefined/);
});

test('smoothing keeps a constant and a straight middle, and calms noise', () => {
  const constant = smoothedPoints(falling(100).map(({ step }) => ({ step, loss: 2 })));
  assert.ok(constant.every(({ loss }) => Math.abs(loss - 2) < 1e-12));
  const line = falling(100);
  assert.ok(Math.abs(smoothedPoints(line)[50]!.loss - line[50]!.loss) < 1e-12);
  const noisy = smoothedPoints(line.map(({ step }) => ({ step, loss: step % 2 })));
  assert.ok(noisy.slice(10, 90).every(({ loss }) => Math.abs(loss - 0.5) < 0.05));
});

test('the SVG is well-formed, self-contained and escapes its title', () => {
  const svg = lossCurveSvg({
    training: falling(120),
    evaluation: [
      { step: 60, loss: 2 },
      { step: 120, loss: 1.2 },
    ],
    title: 'a <b> & "c"\u0007',
  });
  assert.match(svg, /<title>a &lt;b&gt; &amp; &quot;c&quot;<\/title>/);
  assert.doesNotMatch(svg, /href|url\(|<script|<image/);
  assert.match(svg, /prefers-color-scheme: dark/);
  assert.equal(svg.match(/<circle /g)?.length, 3);
  assert.match(svg, />training 1\.0\d\d<\/text>/);
  assert.match(svg, />validation 1\.200<\/text>/);
  assert.deepEqual(unclosedTags(svg), []);
});

test('a long run makes a small file', () => {
  assert.ok(lossCurveSvg({ training: falling(100_000), evaluation: [], title: 'long' }).length < 80_000);
});

/** Tags that are opened and not closed. Throws for a closing tag without an opening tag. */
function unclosedTags(xml: string): string[] {
  const open: string[] = [];
  for (const [, close, name, selfClosing] of xml.matchAll(
    /<(\/?)([a-z]+)(?:\s[a-zA-Z-]+="[^"<]*")*\s*(\/?)>/g,
  )) {
    if (close) assert.equal(open.pop(), name);
    else if (!selfClosing) open.push(name as string);
  }
  return open;
}
