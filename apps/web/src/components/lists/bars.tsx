import { useState } from 'preact/hooks';
import { Legend } from '../chart/legend.tsx';

export interface Bar {
  /** Unix seconds. */
  at: number;
  /** One value per series. */
  parts: readonly number[];
}

interface BarsProps {
  label: string;
  bars: readonly Bar[];
  /** Names, at most eight; the first is at the bottom. */
  series: readonly string[];
  format: (value: number) => string;
  day: (at: number) => string;
}

/** Stacked bar chart of daily sums. The caption shows the bar under the pointer; screen readers get a summary. */
export function Bars({ label, bars, series, format, day }: BarsProps) {
  const [hovered, setHovered] = useState<number | null>(null);
  const sums = bars.map(({ parts }) => parts.reduce((sum, part) => sum + part, 0));
  const max = Math.max(0, ...sums);
  const shown = hovered === null ? null : bars[hovered];
  const summary = `${label}: maximum ${format(max)} per day, total ${format(sums.reduce((a, b) => a + b, 0))}.`;
  return (
    <figure class="bars card tight">
      <figcaption>
        <strong>{shown ? day(shown.at) : label}</strong>
        <span class="soft">{shown ? format(sums[hovered!]!) : `maximum ${format(max)} per day`}</span>
      </figcaption>
      <svg
        viewBox={`0 0 ${bars.length * 10} 100`}
        preserveAspectRatio="none"
        role="img"
        aria-label={summary}
        onPointerLeave={() => setHovered(null)}
      >
        {bars.map(({ at, parts }, i) => {
          let top = 100;
          return (
            <g key={at} onPointerEnter={() => setHovered(i)} data-hovered={i === hovered}>
              <rect class="bars-day" x={i * 10} y={0} width={10} height={100} />
              {parts.map((part, n) => {
                const height = max === 0 ? 0 : (part / max) * 100;
                top -= height;
                return (
                  <rect
                    key={series[n]}
                    x={i * 10 + 1}
                    y={top}
                    width={8}
                    height={height}
                    style={{ fill: `var(--series-${n + 1})` }}
                  />
                );
              })}
            </g>
          );
        })}
      </svg>
      <div class="between small soft">
        <span>{bars[0] && day(bars[0].at)}</span>
        <span>{bars.at(-1) && day(bars.at(-1)!.at)}</span>
      </div>
      {series.length > 1 && (
        <Legend
          items={series.map((name, n) => ({
            name,
            colour: n,
            value: shown ? format(shown.parts[n] ?? 0) : undefined,
          }))}
        />
      )}
    </figure>
  );
}
