import { useEffect, useMemo, useRef } from 'preact/hooks';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import '../../styles/components/chart.css';
import { count, measure } from '../../text/numbers.ts';
import { seriesNames, useColours } from './colours.ts';
import { type Line, plotOptions } from './plot-options.ts';

/** From and to, on the x axis. */
export type Window = readonly [from: number, to: number];

interface ChartProps {
  title: string;
  /** What a pointer over the title shows. */
  note?: string;
  lines: readonly Line[];
  /** Shown of it; null: all. Dragging over the plot, and the keys + - ← → 0, ask for another. */
  window: Window | null;
  onWindow: (window: Window | null) => void;
  /** All that a window may be of, where `lines` are of a part of it. */
  range?: Window | null;
  /** Charts of one name share their cursor. */
  sync: string;
  height?: number;
  isLog?: boolean;
  /** The y axis begins at zero: of what is held, not how it moves. */
  isFromZero?: boolean;
  formatX?: (value: number) => string;
  formatY?: (value: number) => string;
  /** In place of curves, where there are none. */
  empty?: string;
}

/** Curves, with the values under the cursor in its head. Its place is kept before there are any. */
export function Chart({
  title,
  note = '',
  lines,
  window,
  onWindow,
  range = null,
  sync,
  height = 180,
  isLog = false,
  isFromZero = false,
  formatX = count,
  formatY = measure,
  empty = 'No values yet',
}: ChartProps) {
  const place = useRef<HTMLDivElement>(null);
  const values = useRef<HTMLSpanElement>(null);
  const plot = useRef<uPlot | null>(null);
  const colours = useColours(['ink-soft', 'line', ...seriesNames]);
  const data = useMemo(() => aligned(lines, isLog), [lines, isLog]);
  const latest = useRef({ data, window, onWindow, lines, formatX, formatY });
  latest.current = { data, window, onWindow, lines, formatX, formatY };
  const look = lines
    .map(({ name, colour, isSparse, isFaint }) => [name, colour, isSparse, isFaint].join())
    .join('|');

  useEffect(() => {
    if (latest.current.lines.length === 0) return;
    const root = place.current!;
    const palette = {
      ink: colours['ink-soft'],
      line: colours.line,
      series: seriesNames.map((name) => colours[name]),
    };
    const font = `12px ${getComputedStyle(root).fontFamily}`;
    const options = plotOptions(
      latest.current.lines,
      { height, isLog, isFromZero, formatX, formatY, palette, font },
      root.clientWidth,
    );
    const made = new uPlot(
      {
        ...options,
        cursor: { ...options.cursor!, sync: { key: sync } },
        hooks: {
          setCursor: [(self) => tellValues(self, values.current, latest.current)],
          setSelect: [
            (self) => {
              const { left, width } = self.select;
              if (width < 8) return;
              self.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
              latest.current.onWindow([self.posToVal(left, 'x'), self.posToVal(left + width, 'x')]);
            },
          ],
        },
      },
      latest.current.data,
      root,
    );
    plot.current = made;
    show(made, latest.current.window);
    const observer = new ResizeObserver(() => made.setSize({ width: root.clientWidth, height }));
    observer.observe(root);
    return () => {
      observer.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [look, isLog, isFromZero, height, colours, sync]);

  useEffect(() => {
    if (!plot.current) return;
    plot.current.setData(data, false);
    show(plot.current, window);
  }, [data, window]);

  return (
    <figure class="chart">
      <figcaption>
        <strong title={note}>{title}</strong>
        <Legend lines={lines} />
        <span class="chart-values small soft" ref={values} aria-hidden="true" />
      </figcaption>
      {lines.length === 0 && (
        <p class="chart-empty soft" style={{ height }}>
          {empty}
        </p>
      )}
      <div
        class="chart-plot"
        ref={place}
        style={{ height }}
        hidden={lines.length === 0}
        role="img"
        // biome-ignore lint/a11y/noNoninteractiveTabindex: its keys zoom and move
        tabIndex={0}
        aria-label={`${title}: ${
          lines
            .filter(({ isFaint }) => !isFaint)
            .map((line) => inWords(line, formatX, formatY))
            .join('; ') || 'no values yet'
        }`}
        onDblClick={() => onWindow(null)}
        onKeyDown={(event) => {
          const next = byKey(event.key, window, range ?? rangeOf(data));
          if (next === undefined) return;
          event.preventDefault();
          onWindow(next);
        }}
      />
    </figure>
  );
}

function Legend({ lines }: { lines: readonly Line[] }) {
  const told = lines.filter(({ isFaint }) => !isFaint);
  if (told.length < 2) return null;
  return (
    <ul class="chart-legend small soft">
      {told.map(({ name, colour }) => (
        <li key={name}>
          <Swatch colour={colour} />
          <span class="cut" title={name}>
            {name}
          </span>
        </li>
      ))}
    </ul>
  );
}

/** The colour of a line. */
export const Swatch = ({ colour }: { colour: number }) => (
  <span class="swatch" style={{ background: `var(--series-${(colour % 8) + 1})` }} />
);

/** On one x axis, as uPlot has them. A logarithm has no place for what is not above zero. */
function aligned(lines: readonly Line[], isLog: boolean): uPlot.AlignedData {
  if (lines.length === 0) return [[]];
  const tables = lines.map(
    ({ x, y }): uPlot.AlignedData => [
      x as number[],
      isLog ? y.map((value) => (value !== null && value > 0 ? value : null)) : (y as (number | null)[]),
    ],
  );
  return tables.length === 1 ? tables[0]! : uPlot.join(tables);
}

const rangeOf = ([x]: uPlot.AlignedData): Window => [x[0] ?? 0, x.at(-1) ?? 1];

function show(plot: uPlot, window: Window | null): void {
  const [min, max] = window ?? rangeOf(plot.data);
  plot.setScale('x', { min, max: max > min ? max : min + 1 });
}

/** Null: all; undefined: the key is none of these. */
function byKey(key: string, window: Window | null, [low, high]: Window): Window | null | undefined {
  const [from, to] = window ?? [low, high];
  const width = to - from;
  const moved = (by: number): Window => {
    const start = Math.max(low, Math.min(high - width, from + by));
    return [start, start + width];
  };
  switch (key) {
    case '+':
    case '=':
      return [from + width / 4, to - width / 4];
    case '-':
      return width * 2 >= high - low
        ? null
        : [Math.max(low, from - width / 2), Math.min(high, to + width / 2)];
    case 'ArrowLeft':
      return window && moved(-width / 4);
    case 'ArrowRight':
      return window && moved(width / 4);
    case '0':
      return null;
    default:
      return undefined;
  }
}

type Shown = {
  lines: readonly Line[];
  formatX: (value: number) => string;
  formatY: (value: number) => string;
};

/** Without a render for each movement of the mouse. */
function tellValues(
  { cursor: { idx }, data }: uPlot,
  place: HTMLElement | null,
  { lines, formatX, formatY }: Shown,
): void {
  if (!place) return;
  const parts = lines.flatMap(({ name, isFaint }, i) => {
    const value = idx == null ? null : nearest(data[i + 1]!, idx);
    return value === null || isFaint ? [] : [lines.length > 1 ? `${name} ${formatY(value)}` : formatY(value)];
  });
  place.textContent = parts.length > 0 ? `${formatX(data[0][idx!]!)}: ${parts.join(', ')}` : '';
}

/** The value at an index, or the last before it. */
function nearest(values: uPlot.AlignedData[number], idx: number): number | null {
  for (let i = idx; i >= 0 && i > idx - 500; i--) if (values[i] != null) return values[i]!;
  return null;
}

/** For who does not see it: where it begins, ends, and is least. */
function inWords(
  { name, x, y }: Line,
  formatX: (value: number) => string,
  formatY: (value: number) => string,
): string {
  const known = y.flatMap((value, i) => (value === null ? [] : [{ at: x[i]!, value }]));
  if (known.length === 0) return `${name}, no values yet`;
  const least = known.reduce((a, b) => (b.value < a.value ? b : a));
  return `${name} from ${formatY(known[0]!.value)} to ${formatY(known.at(-1)!.value)}, least ${formatY(least.value)} at ${formatX(least.at)}`;
}
