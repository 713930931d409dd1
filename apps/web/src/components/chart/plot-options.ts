import type uPlot from 'uplot';

/** A curve: `y` at each `x`; null where it has no value. */
export interface Line {
  name: string;
  x: readonly number[];
  y: readonly (number | null)[];
  /** Index into the palette. */
  colour: number;
  /** Few values, drawn as points as well. */
  isSparse?: boolean;
  /** Drawn faintly: the raw values of a smoothed curve. */
  isFaint?: boolean;
}

export interface Palette {
  ink: string;
  line: string;
  series: readonly string[];
}

export interface PlotSettings {
  height: number;
  isLog: boolean;
  isFromZero: boolean;
  /** The values are from 0 to 1, and so is the y axis. */
  isShare: boolean;
  formatX: (value: number) => string;
  formatY: (value: number) => string;
  palette: Palette;
  font: string;
}

/** Tick increments: steps and seconds are whole, and 1.25 GB would be shown as 1.3. */
const wholeNumbers = Array.from({ length: 13 }, (_, power) =>
  [1, 2, 5].map((each) => each * 10 ** power),
).flat();

/** The range of shares with a margin, within 0 and 1. */
function shareRange(min: number, max: number): [number, number] {
  const margin = Math.max(0.01, 0.1 * (max - min));
  return [Math.max(0, min - margin), Math.min(1, max + margin)];
}

/** uPlot's options for some lines. The chart component shows the title and the values under the cursor. */
export function plotOptions(
  lines: readonly Line[],
  { height, isLog, isFromZero, isShare, formatX, formatY, palette, font }: PlotSettings,
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
    // The page controls the zoom, not uPlot.
    cursor: { y: false, drag: { x: true, y: false, setScale: false }, points: { size: 7 } },
    scales: {
      x: { time: false },
      y: {
        distr: isLog ? 3 : 1,
        ...(isFromZero && { range: (_plot, _min, max) => [0, 1.1 * (max || 1)] }),
        ...(isShare && { range: (_plot, min, max) => shareRange(min, max) }),
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
        // On a logarithmic axis uPlot passes null for ticks without a label.
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
