import {
  axisTicks,
  condensedPoints,
  drawablePoints,
  type LossPoint,
  smoothedPoints,
  tickLabels,
} from './loss-chart.ts';

interface LossCurveSvgOptions {
  training: readonly LossPoint[];
  evaluation: readonly LossPoint[];
  title: string;
}

/** Size in SVG user units. */
const WIDTH = 800;
const HEIGHT = 420;
const PLOT = { left: 64, right: 776, top: 72, bottom: 364 };
/** More points than pixels would only make the file larger. */
const MAX_POINTS = 1_500;

// Plain classes instead of CSS variables, which some viewers do not support. The drawing has a background, so that it is readable on
// light and dark pages.
const STYLE = `
.page { fill: #ffffff; stroke: #d9dde3 }
.grid { stroke: #e6e9ee }
.axis { stroke: #9aa3af }
text { font: 13px system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif; fill: #57606a }
.title { font-size: 17px; font-weight: 600; fill: #1f2328 }
.raw { fill: none; stroke: #0b7285; stroke-opacity: .3 }
.smooth { fill: none; stroke: #0b7285; stroke-width: 2.5; stroke-linejoin: round; stroke-linecap: round }
.evaluation { fill: none; stroke: #e8590c; stroke-width: 1.5; stroke-dasharray: 5 4 }
.dot { fill: #e8590c; stroke: #ffffff; stroke-width: 1.5 }
@media (prefers-color-scheme: dark) {
.page { fill: #0d1117; stroke: #30363d }
.grid { stroke: #21262d }
.axis { stroke: #6e7681 }
text { fill: #9ea7b3 }
.title { fill: #e6edf3 }
.raw, .smooth { stroke: #3bc9db }
.evaluation { stroke: #ffa94d }
.dot { fill: #ffa94d; stroke: #0d1117 }
}`;

/** Draws a run as a self-contained SVG: raw and smoothed training loss, evaluations, axes and legend. */
export function lossCurveSvg(options: LossCurveSvgOptions): string {
  const training = condensedPoints(drawablePoints(options.training), MAX_POINTS);
  const evaluation = condensedPoints(drawablePoints(options.evaluation), MAX_POINTS);
  const smooth = smoothedPoints(training);
  const all = [...training, ...evaluation];
  const [low, high] = all.length === 0 ? [0, 1] : rangeOf(all.map((point) => point.loss));
  const [firstStep, lastStep] = all.length === 0 ? [0, 1] : stepRange(all);

  const x = (step: number) => lerp(PLOT.left, PLOT.right, (step - firstStep) / (lastStep - firstStep));
  const y = (loss: number) => lerp(PLOT.bottom, PLOT.top, (loss - low) / (high - low));
  const path = (points: readonly LossPoint[]) =>
    points
      .map((point, i) => `${i === 0 ? 'M' : 'L'}${x(point.step).toFixed(1)} ${y(point.loss).toFixed(1)}`)
      .join('');

  const title = escapeXml(options.title);
  const parts = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" height="${HEIGHT}" role="img">`,
    `<title>${title}</title>`,
    `<style>${STYLE}\n</style>`,
    `<rect class="page" x=".5" y=".5" width="${WIDTH - 1}" height="${HEIGHT - 1}" rx="10"/>`,
    `<text class="title" x="24" y="34">${title}</text>`,
    ...yAxis(low, high, y),
    ...xAxis(firstStep, lastStep, x),
  ];
  if (training.length > 0) {
    parts.push(`<path class="raw" d="${path(training)}"/>`, `<path class="smooth" d="${path(smooth)}"/>`);
  }
  if (evaluation.length > 0) {
    parts.push(`<path class="evaluation" d="${path(evaluation)}"/>`);
    for (const point of evaluation) {
      parts.push(
        `<circle class="dot" cx="${x(point.step).toFixed(1)}" cy="${y(point.loss).toFixed(1)}" r="4.5"/>`,
      );
    }
  }
  parts.push(...legend(smooth.at(-1), evaluation.at(-1)), '</svg>');
  return `${parts.join('\n')}\n`;
}

function yAxis(low: number, high: number, y: (loss: number) => number): string[] {
  const ticks = axisTicks(low, high, 5);
  const labels = tickLabels(ticks);
  return [
    ...ticks.flatMap((tick, i) => [
      `<path class="grid" d="M${PLOT.left} ${y(tick).toFixed(1)}H${PLOT.right}"/>`,
      `<text x="${PLOT.left - 10}" y="${(y(tick) + 4.5).toFixed(1)}" text-anchor="end">${labels[i]}</text>`,
    ]),
    `<text transform="translate(20 ${(PLOT.top + PLOT.bottom) / 2}) rotate(-90)" text-anchor="middle">loss</text>`,
  ];
}

function xAxis(firstStep: number, lastStep: number, x: (step: number) => number): string[] {
  const ticks = axisTicks(firstStep, lastStep, 8).filter(Number.isInteger);
  return [
    `<path class="axis" d="M${PLOT.left} ${PLOT.bottom}H${PLOT.right}"/>`,
    ...ticks.flatMap((tick) => [
      `<path class="axis" d="M${x(tick).toFixed(1)} ${PLOT.bottom}v5"/>`,
      `<text x="${x(tick).toFixed(1)}" y="${PLOT.bottom + 21}" text-anchor="middle">${tick}</text>`,
    ]),
    `<text x="${(PLOT.left + PLOT.right) / 2}" y="${HEIGHT - 14}" text-anchor="middle">step</text>`,
  ];
}

/** Draws the legend in the upper right corner, with the last value of each line. */
function legend(training: LossPoint | undefined, evaluation: LossPoint | undefined): string[] {
  const parts: string[] = [];
  const entry = (right: number, label: string, sample: (x: number) => string) => {
    // The width of the text is estimated, because only the viewer measures text. The sample is to the left of the text.
    const start = right - label.length * 7.1;
    parts.push(`<text x="${right}" y="56" text-anchor="end">${label}</text>`, sample(start - 40));
    return start - 64;
  };
  let right = PLOT.right;
  if (evaluation !== undefined) {
    right = entry(
      right,
      `validation ${evaluation.loss.toFixed(3)}`,
      (x) =>
        `<path class="evaluation" d="M${x.toFixed(1)} 51.5h30"/><circle class="dot" cx="${(x + 15).toFixed(1)}" cy="51.5" r="4.5"/>`,
    );
  }
  if (training !== undefined) {
    entry(
      right,
      `training ${training.loss.toFixed(3)}`,
      (x) => `<path class="smooth" d="M${x.toFixed(1)} 51.5h30"/>`,
    );
  }
  return parts;
}

const lerp = (from: number, to: number, part: number): number => from + (to - from) * part;

function stepRange(points: readonly LossPoint[]): [number, number] {
  const first = points.reduce((least, point) => Math.min(least, point.step), Number.POSITIVE_INFINITY);
  const last = points.reduce((most, point) => Math.max(most, point.step), Number.NEGATIVE_INFINITY);
  return [first === last ? first - 1 : first, last];
}

function rangeOf(losses: readonly number[]): [number, number] {
  const low = losses.reduce((a, b) => Math.min(a, b));
  const high = losses.reduce((a, b) => Math.max(a, b));
  const air = (high - low) * 0.05 || Math.max(Math.abs(high) * 0.1, 0.01);
  // The axis starts at zero where that leaves little empty space.
  return [low >= 0 && low < (high - low) * 0.5 ? 0 : low - air, high + air];
}

const XML: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&apos;' };

/** Escapes text, and removes control characters, which XML 1.0 does not allow. */
function escapeXml(text: string): string {
  return (
    text
      .replace(/[&<>"']/g, (character) => XML[character] as string)
      // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must go.
      .replace(/[\x00-\x08\x0b\x0c\x0e-\x1f]/g, '')
  );
}
