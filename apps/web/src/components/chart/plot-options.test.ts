import assert from 'node:assert/strict';
import { test } from 'node:test';
import type uPlot from 'uplot';
import { plotOptions } from './plot-options.ts';

const palette = { ink: '#000', line: '#ccc', series: ['#00f'] };
const look = {
  height: 180,
  isLog: false,
  formatX: String,
  formatY: String,
  palette,
  font: '12px sans-serif',
};
const line = { name: 'held', colour: 0, x: [1, 2], y: [15e8, 16e8] };

test('an axis from zero has all of what is held on it, by ticks that are told without rounding', () => {
  const { scales, axes } = plotOptions([line], { ...look, isFromZero: true }, 600);
  const range = scales!.y!.range as (plot: uPlot | null, least: number, most: number) => [number, number];
  const [low, high] = range(null, 15e8, 16e8);
  assert.equal(low, 0);
  assert.ok(high > 16e8 && high < 2e9, String(high));
  const none = range(null, 0, 0);
  assert.ok(none[1] > none[0], 'nothing at all has an axis, too');
  const between = axes![1]!.incrs as number[];
  assert.ok(between.includes(5e8) && between.includes(2e11) && !between.includes(25e7));
});

test('any other is as long as what is on it', () => {
  const { scales, axes } = plotOptions([line], { ...look, isFromZero: false }, 600);
  assert.deepEqual([scales!.y!.range, axes![1]!.incrs], [undefined, undefined]);
});
