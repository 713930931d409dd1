import assert from 'node:assert/strict';
import { test } from 'node:test';
import type uPlot from 'uplot';
import { plotOptions } from './plot-options.ts';

const palette = { ink: '#000', line: '#ccc', series: ['#00f'] };
const settings = {
  height: 180,
  isLog: false,
  isShare: false,
  formatX: String,
  formatY: String,
  palette,
  font: '12px sans-serif',
};
const line = { name: 'memory', colour: 0, x: [1, 2], y: [15e8, 16e8] };

test('an axis from zero includes every value, with ticks that need no rounding', () => {
  const { scales, axes } = plotOptions([line], { ...settings, isFromZero: true }, 600);
  const range = scales!.y!.range as (plot: uPlot | null, min: number, max: number) => [number, number];
  const [low, high] = range(null, 15e8, 16e8);
  assert.equal(low, 0);
  assert.ok(high > 16e8 && high < 2e9, String(high));
  const none = range(null, 0, 0);
  assert.ok(none[1] > none[0], 'an axis for all-zero values');
  const between = axes![1]!.incrs as number[];
  assert.ok(between.includes(5e8) && between.includes(2e11) && !between.includes(25e7));
});

test('an axis of shares has a margin, and ends at 0 and 1', () => {
  const { scales } = plotOptions([line], { ...settings, isFromZero: false, isShare: true }, 600);
  const range = scales!.y!.range as (plot: uPlot | null, min: number, max: number) => [number, number];
  assert.deepEqual(range(null, 1, 1), [0.99, 1]);
  assert.deepEqual(range(null, 0, 0), [0, 0.01]);
  assert.deepEqual(range(null, 0, 1), [0, 1]);
  const [low, high] = range(null, 0.4, 0.6);
  assert.ok(low > 0.3 && low < 0.4 && high > 0.6 && high < 0.7, `${low} to ${high}`);
});

test('other axes fit their values', () => {
  const { scales, axes } = plotOptions([line], { ...settings, isFromZero: false }, 600);
  assert.deepEqual([scales!.y!.range, axes![1]!.incrs], [undefined, undefined]);
});
