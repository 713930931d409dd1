import type { Comparison, SideFigures } from '../../scripts/measuring/report.ts';

interface Bar {
  label: string;
  /** Times the rival's. */
  value: number;
  text: string;
}

const WIDTH = 760;
const [LEFT, RIGHT, TOP, ROW] = [210, 690, 56, 30];

// Plain classes, not CSS variables, which several viewers do not know.
const STYLE = `
.page { fill: #ffffff; stroke: #d9dde3 }
.bar { fill: #0b7285 }
.one { stroke: #e8590c; stroke-width: 1.5; stroke-dasharray: 5 4 }
text { font: 13px system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif; fill: #57606a }
.title { font-size: 16px; font-weight: 600; fill: #1f2328 }
@media (prefers-color-scheme: dark) {
.page { fill: #0d1117; stroke: #30363d }
.bar { fill: #3bc9db }
text { fill: #9ea7b3 }
.title { fill: #e6edf3 }
}`;

const barsOf = (
  comparisons: readonly Comparison[],
  value: (graft: SideFigures, rival: SideFigures) => number,
): Bar[] =>
  comparisons.flatMap(({ workload, precision, sides }) => {
    const [graft, ...rivals] = sides as [SideFigures, ...SideFigures[]];
    return rivals.map((rival) => ({
      label: `${workload}, ${precision}${rival.name === 'peft' ? '' : ` (${rival.name})`}`,
      value: value(graft, rival),
      text: `${value(graft, rival).toFixed(2)}×`,
    }));
  });

/** Pictures of a run: how many times each rival's speed, and what share of its peak memory. The dashed line is the rival. */
export function drawRun(comparisons: readonly Comparison[]): { speed: string; memory: string } {
  return {
    speed: drawBars(
      'Tokens a second, times PyTorch + HF PEFT',
      barsOf(comparisons, (_, rival) => rival.speedup.median),
    ),
    memory: drawBars(
      'Peak memory, as a share of PyTorch + HF PEFT’s',
      barsOf(comparisons, (graft, rival) => graft.peakBytes / rival.peakBytes),
    ),
  };
}

function drawBars(title: string, bars: readonly Bar[]): string {
  const most = Math.max(1, ...bars.map(({ value }) => value));
  const x = (value: number) => LEFT + ((RIGHT - LEFT) * value) / most;
  const height = TOP + bars.length * ROW + 16;
  const rows = bars.map(({ label, value, text }, i) => {
    const y = TOP + i * ROW;
    const length = x(value) - LEFT;
    return `<text x="${LEFT - 10}" y="${y + 15}" text-anchor="end">${label}</text>
<rect class="bar" x="${LEFT}" y="${y}" width="${length.toFixed(1)}" height="20" rx="2"/>
<text x="${(x(value) + 8).toFixed(1)}" y="${y + 15}">${text}</text>`;
  });
  const description = bars.map(({ label, text }) => `${label}: ${text}`).join('; ');
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${title}. ${description}">
<style>${STYLE}</style>
<rect class="page" x=".5" y=".5" width="${WIDTH - 1}" height="${height - 1}" rx="6"/>
<text class="title" x="24" y="34">${title}</text>
<line class="one" x1="${x(1).toFixed(1)}" y1="${TOP - 8}" x2="${x(1).toFixed(1)}" y2="${height - 12}"/>
${rows.join('\n')}
</svg>
`;
}
