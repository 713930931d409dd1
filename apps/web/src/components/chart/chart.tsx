import { useEffect, useMemo, useRef } from 'preact/hooks';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { count, measure } from '../../text/numbers.ts';
import { seriesNames, useColours } from './colours.ts';
import { Legend } from './legend.tsx';
import { type Line, plotOptions } from './plot-options.ts';

/** A range on the x axis. */
export type Window = readonly [from: number, to: number];

interface ChartProps {
  title: string;
  /** Tooltip of the title. */
  note?: string;
  lines: readonly Line[];
  /** The visible range; null: all. Dragging over the plot and the keys + - ← → 0 change it. */
  window: Window | null;
  onWindow: (window: Window | null) => void;
  /** The whole x range, if `lines` cover only a part of it. */
  range?: Window | null;
  /** Charts with the same name share their cursor. */
  sync: string;
  height?: number;
  isLog?: boolean;
  /** The y axis starts at zero. */
  isFromZero?: boolean;
  /** The values are shares: the y axis stays within 0 and 1. */
  isShare?: boolean;
  formatX?: (value: number) => string;
  formatY?: (value: number) => string;
  /** Shown if there are no lines. */
  empty?: string;
}

/** A line chart whose caption shows the values under the cursor. It keeps its height while there are no data. */
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
  isShare = false,
  formatX = count,
  formatY = measure,
  empty = 'No values yet',
}: ChartProps) {
  const place = useRef<HTMLDivElement>(null);
  const values = useRef<HTMLSpanElement>(null);
  const plot = useRef<uPlot | null>(null);
  const colours = useColours(['ink-soft', 'line', ...seriesNames]);
  const data = useMemo(() => alignLines(lines, isLog), [lines, isLog]);
  const latest = useRef({ data, window, onWindow, lines, formatX, formatY });
  latest.current = { data, window, onWindow, lines, formatX, formatY };
  const lineStyles = lines
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
      { height, isLog, isFromZero, isShare, formatX, formatY, palette, font },
      root.clientWidth,
    );
    const created = new uPlot(
      {
        ...options,
        cursor: { ...options.cursor!, sync: { key: sync } },
        hooks: {
          setCursor: [(self) => showValues(self, values.current, latest.current)],
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
    plot.current = created;
    show(created, latest.current.window);
    const observer = new ResizeObserver(() => created.setSize({ width: root.clientWidth, height }));
    observer.observe(root);
    return () => {
      observer.disconnect();
      created.destroy();
      plot.current = null;
    };
  }, [lineStyles, isLog, isFromZero, isShare, height, colours, sync]);

  useEffect(() => {
    if (!plot.current) return;
    plot.current.setData(data, false);
    show(plot.current, window);
  }, [data, window]);

  const named = lines.filter(({ isFaint }) => !isFaint);
  return (
    <figure class="chart card tight">
      <figcaption class="between">
        <strong title={note}>{title}</strong>
        {named.length > 1 && <Legend items={named} />}
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
        // biome-ignore lint/a11y/noNoninteractiveTabindex: keys zoom and pan
        tabIndex={0}
        aria-label={`${title}: ${
          named.map((line) => describeLine(line, formatX, formatY)).join('; ') || 'no values yet'
        }`}
        onDblClick={() => onWindow(null)}
        onKeyDown={(event) => {
          const next = windowForKey(event.key, window, range ?? rangeOf(data));
          if (next === undefined) return;
          event.preventDefault();
          onWindow(next);
        }}
      />
    </figure>
  );
}

/** The lines on a common x axis, in uPlot's format. A logarithmic axis has no values ≤ 0. */
function alignLines(lines: readonly Line[], isLog: boolean): uPlot.AlignedData {
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

/** The range after a key press. Null: all; undefined: the key has no function. */
function windowForKey(key: string, window: Window | null, [low, high]: Window): Window | null | undefined {
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

type ShownLines = Required<Pick<ChartProps, 'lines' | 'formatX' | 'formatY'>>;

/** Writes to the DOM directly, so that mouse moves cause no renders. */
function showValues(
  { cursor: { idx }, data }: uPlot,
  place: HTMLElement | null,
  { lines, formatX, formatY }: ShownLines,
): void {
  if (!place) return;
  const parts = lines.flatMap(({ name, isFaint }, i) => {
    const value = idx == null ? null : nearest(data[i + 1]!, idx);
    return value === null || isFaint ? [] : [lines.length > 1 ? `${name} ${formatY(value)}` : formatY(value)];
  });
  place.textContent = parts.length > 0 ? `${formatX(data[0][idx!]!)}: ${parts.join(', ')}` : '';
}

/** The value at an index, or the last one before it. */
function nearest(values: uPlot.AlignedData[number], idx: number): number | null {
  for (let i = idx; i >= 0 && i > idx - 500; i--) if (values[i] != null) return values[i]!;
  return null;
}

/** Text for screen readers: first, last and minimum value. */
function describeLine(
  { name, x, y }: Line,
  formatX: (value: number) => string,
  formatY: (value: number) => string,
): string {
  const known = y.flatMap((value, i) => (value === null ? [] : [{ at: x[i]!, value }]));
  if (known.length === 0) return `${name}, no values yet`;
  const minimum = known.reduce((a, b) => (b.value < a.value ? b : a));
  return `${name} from ${formatY(known[0]!.value)} to ${formatY(known.at(-1)!.value)}, minimum ${formatY(minimum.value)} at ${formatX(minimum.at)}`;
}
