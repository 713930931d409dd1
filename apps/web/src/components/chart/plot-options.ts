import type uPlot from 'uplot';

/** A curve: `y` at each `x`; null where it has no value. */
export interface Line {
  name: string;
  x: readonly number[];
  y: readonly (number | null)[];
  /** Of the eight of the palette, from 0. */
  colour: number;
  /** Few values, drawn as points as well. */
  isSparse?: boolean;
  /** Behind the others: what a smoothed curve was made of. */
  isFaint?: boolean;
}

export interface Palette {
  ink: string;
  line: string;
  series: readonly string[];
}

export interface PlotLook {
  height: number;
  isLog: boolean;
  isFromZero: boolean;
  formatX: (value: number) => string;
  formatY: (value: number) => string;
  palette: Palette;
  font: string;
}

/** Between two ticks: there is no half a step, no half a second is told, and 1.25 GB would read as 1.3. */
const wholeNumbers = Array.from({ length: 13 }, (_, power) =>
  [1, 2, 5].map((each) => each * 10 ** power),
).flat();

/** What uPlot draws lines by. The head and the values under the cursor are the figure's. */
export function plotOptions(
  lines: readonly Line[],
  { height, isLog, isFromZero, formatX, formatY, palette, font }: PlotLook,
  width: number,
): uPlot.Options {
  const axis = {
    stroke: palette.ink,
    font,
    grid: { stroke: palette.line, width: 1 },
    ticks: { show: false },
  };
  return {
    width,
    height,
    legend: { show: false },
    // uPlot would zoom by itself at the end of a drag; here the page says what is shown.
    cursor: { y: false, drag: { x: true, y: false, setScale: false }, points: { size: 7 } },
    scales: {
      x: { time: false },
      y: {
        distr: isLog ? 3 : 1,
        ...(isFromZero && { range: (_plot, _least, most) => [0, 1.1 * (most || 1)] }),
      },
    },
    axes: [
      {
        ...axis,
        size: 26,
        gap: 4,
        space: 70,
        incrs: wholeNumbers,
        values: (_plot, values) => values.map(formatX),
      },
      {
        ...axis,
        size: 54,
        gap: 4,
        space: 28,
        ...(isFromZero && { incrs: wholeNumbers }),
        // Of a logarithmic axis uPlot names powers of ten and leaves the rest empty.
        values: (_plot, values) => values.map((value) => (value == null ? '' : formatY(value))),
      },
    ],
    series: [
      {},
      ...lines.map(({ colour, isSparse = false, isFaint = false }) => ({
        stroke: palette.series[colour % palette.series.length]!,
        width: isFaint ? 1 : 1.8,
        alpha: isFaint ? 0.3 : 1,
        spanGaps: true,
        points: { show: isSparse, size: 5 },
      })),
    ],
  };
}
