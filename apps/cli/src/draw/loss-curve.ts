import { BrailleCanvas } from './braille-canvas.ts';
import { axisTicks, drawablePoints, type LossPoint, tickLabels } from './loss-chart.ts';
import { type Paint, plainPaint } from './paint.ts';

interface LossCurveOptions {
  /** Width in characters, including axis and labels. */
  width: number;
  /** Height in lines, including axis and labels. */
  height: number;
  /** Evaluations, drawn as ● over the line. */
  evaluation?: readonly LossPoint[];
  /** Last step of the whole run. If set, the line grows from the left instead of being stretched. */
  totalSteps?: number;
  paint?: Paint;
}

/** Draws the loss over the steps as text for a terminal: lines joined by \n, at most `width` characters each. */
export function drawLossCurve(points: readonly LossPoint[], options: LossCurveOptions): string {
  const paint = options.paint ?? plainPaint;
  const training = drawablePoints(points);
  const evaluation = drawablePoints(options.evaluation ?? []);
  const all = [...training, ...evaluation];
  if (all.length === 0) return paint.dim('no losses yet');

  const plotRows = Math.max(2, options.height - 2);
  const [low, high] = lossRange(all);
  const yTicks = axisTicks(low, high, Math.max(2, Math.floor(plotRows / 2)));
  const yLabels = tickLabels(yTicks);
  const labelWidth = Math.max(...yLabels.map((label) => label.length));
  const columns = Math.max(4, options.width - labelWidth - 2);
  const firstStep = Math.min(...all.map((point) => point.step), 1);
  const lastStep = Math.max(options.totalSteps ?? 0, ...all.map((point) => point.step), firstStep + 1);

  const canvas = new BrailleCanvas(columns, plotRows);
  const x = (step: number) => ((step - firstStep) / (lastStep - firstStep)) * (canvas.dotsAcross - 1);
  const y = (loss: number) => ((high - loss) / (high - low)) * (canvas.dotsDown - 1);
  drawLine(canvas, training, x, y);

  const cells = canvas.rows().map((row) => row.map((text) => (text === ' ' ? text : paint.line(text))));
  for (const point of evaluation) {
    cells[Math.round(y(point.loss)) >> 2]![Math.round(x(point.step)) >> 1] = paint.mark('●');
  }
  const labelOfRow = new Map(yTicks.map((tick, i) => [Math.round(y(tick)) >> 2, yLabels[i]!]));
  const lines = cells.map((row, i) => {
    const label = labelOfRow.get(i);
    const axis = `${(label ?? '').padStart(labelWidth)} ${label === undefined ? '│' : '┤'}`;
    return paint.dim(axis) + row.join('').trimEnd();
  });
  return [...lines, ...xAxis(firstStep, lastStep, columns, labelWidth + 1).map(paint.dim)].join('\n');
}

/** The range of losses, with a margin. A constant loss gets a range too. */
function lossRange(points: readonly LossPoint[]): [low: number, high: number] {
  const losses = points.map((point) => point.loss);
  const low = losses.reduce((a, b) => Math.min(a, b));
  const high = losses.reduce((a, b) => Math.max(a, b));
  const air = (high - low) * 0.04 || Math.max(Math.abs(high) * 0.1, 0.01);
  return [low >= 0 ? Math.max(0, low - air) : low - air, high + air];
}

/** Draws the line. Steps in the same column of dots are averaged. */
function drawLine(
  canvas: BrailleCanvas,
  points: readonly LossPoint[],
  x: (step: number) => number,
  y: (loss: number) => number,
): void {
  const columns = new Map<number, { sum: number; count: number }>();
  for (const point of points) {
    const column = Math.round(x(point.step));
    const bucket = columns.get(column) ?? { sum: 0, count: 0 };
    columns.set(column, { sum: bucket.sum + point.loss, count: bucket.count + 1 });
  }
  let before: [number, number] | undefined;
  for (const [column, { sum, count }] of columns) {
    const dot: [number, number] = [column, Math.round(y(sum / count))];
    canvas.line(...(before ?? dot), ...dot);
    before = dot;
  }
}

function xAxis(firstStep: number, lastStep: number, columns: number, indent: number): string[] {
  const axis = new Array<string>(columns).fill('─');
  const labels = new Array<string>(columns).fill(' ');
  const place = (step: number) => Math.round(((step - firstStep) / (lastStep - firstStep)) * (columns - 1));
  const inner = axisTicks(firstStep, lastStep, Math.max(1, Math.floor(columns / 14))).filter(
    Number.isInteger,
  );
  let free = 0;
  for (const step of new Set([firstStep, ...inner, lastStep])) {
    const text = String(step);
    const column = place(step);
    const start = Math.min(Math.max(0, column - (text.length >> 1)), columns - text.length);
    // The last step is always labelled; a tick that would touch its label is omitted.
    const end = step === lastStep ? columns : columns - String(lastStep).length - 1;
    if (start < free || start + text.length > end) continue;
    axis[column] = '┬';
    labels.splice(start, text.length, ...text);
    free = start + text.length + 2;
  }
  return [`${' '.repeat(indent)}└${axis.join('')}`, `${' '.repeat(indent + 1)}${labels.join('')}`.trimEnd()];
}
