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
  const margin = (high - low) * 0.04 || Math.max(Math.abs(high) * 0.1, 0.01);
  return [low >= 0 ? Math.max(0, low - margin) : low - margin, high + margin];
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

/** Bits of the eight dots of a braille character, by [row][column] (Unicode block 2800). */
const DOT_BITS = [
  [0x01, 0x08],
  [0x02, 0x10],
  [0x04, 0x20],
  [0x40, 0x80],
] as const;

/** A grid of dots, two columns and four rows per character. Row 0 is at the top. */
class BrailleCanvas {
  readonly dotsAcross: number;
  readonly dotsDown: number;
  readonly #columns: number;
  readonly #cells: Uint8Array;

  constructor(columns: number, rows: number) {
    this.#columns = columns;
    this.dotsAcross = columns * 2;
    this.dotsDown = rows * 4;
    this.#cells = new Uint8Array(columns * rows);
  }

  dot(x: number, y: number): void {
    if (x < 0 || y < 0 || x >= this.dotsAcross || y >= this.dotsDown) return;
    const cell = (y >> 2) * this.#columns + (x >> 1);
    this.#cells[cell] = this.#cells[cell]! | DOT_BITS[y & 3]![x & 1]!;
  }

  line(fromX: number, fromY: number, toX: number, toY: number): void {
    const steps = Math.max(Math.abs(toX - fromX), Math.abs(toY - fromY), 1);
    for (let i = 0; i <= steps; i++) {
      this.dot(
        Math.round(fromX + ((toX - fromX) * i) / steps),
        Math.round(fromY + ((toY - fromY) * i) / steps),
      );
    }
  }

  /** An array of characters for each row; a cell without dots is a space. */
  rows(): string[][] {
    const rows: string[][] = [];
    for (let start = 0; start < this.#cells.length; start += this.#columns) {
      rows.push(
        Array.from(this.#cells.subarray(start, start + this.#columns), (bits) =>
          bits === 0 ? ' ' : String.fromCharCode(0x2800 + bits),
        ),
      );
    }
    return rows;
  }
}
