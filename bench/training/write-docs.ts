import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import {
  type Comparison,
  facts,
  gigabytes,
  rivalsTable,
  type SideFigures,
  times,
} from '../../scripts/measuring/report.ts';
import { replaceSection } from '../../scripts/methods/docs-section.ts';
import { ownTable, type TrainingComparison } from './report.ts';
import { type StartFigures, startTable } from './start.ts';
import { formatVerdicts, verdictsOn } from './targets.ts';

interface Bar {
  label: string;
  /** Ratio of Graft's figure to the rival's. */
  value: number;
  text: string;
}

const WIDTH = 760;
const [LEFT, RIGHT, TOP, ROW] = [210, 690, 56, 30];

// Plain classes: several viewers do not support CSS variables.
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

/** Draws two SVG charts: Graft's speed and its peak memory, as multiples of each rival's. The dashed line is the rival. */
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
  const longest = Math.max(1, ...bars.map(({ value }) => value));
  const x = (value: number) => LEFT + ((RIGHT - LEFT) * value) / longest;
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

export interface Run {
  title: string;
  machine: Record<string, string>;
  comparisons: TrainingComparison[];
  start?: StartFigures | undefined;
}

const root = path.resolve(import.meta.dirname, '../..');
const kept = path.join(import.meta.dirname, 'results.json');

/**
 * Stores a run in results.json, and generates results.md, the images of docs/performance.md and README's table from that file. A run on the
 * same machine replaces only the workloads that it measured; a run on another machine replaces everything.
 */
export async function writeDocs(run: Run): Promise<void> {
  const before: Run = await readFile(kept, 'utf8').then(JSON.parse, () => run);
  const isSame = JSON.stringify(before.machine) === JSON.stringify(run.machine);
  const key = ({ workload, precision }: TrainingComparison) => `${workload} ${precision}`;
  const measured = new Map(
    [...(isSame ? before.comparisons : []), ...run.comparisons].map((one) => [key(one), one]),
  );
  const comparisons = [...measured.values()].sort(
    (a, b) => a.precision.localeCompare(b.precision) || a.workload.localeCompare(b.workload),
  );
  const start = run.start ?? (isSame ? before.start : undefined);
  const whole: Run = { ...run, comparisons, start };
  await writeFile(kept, `${JSON.stringify(whole, null, 2)}\n`);
  const { speed, memory } = drawRun(comparisons);
  await writeFile(path.join(root, 'docs/images/performance-speed.svg'), speed);
  await writeFile(path.join(root, 'docs/images/performance-memory.svg'), memory);
  await replaceSection(
    path.join(import.meta.dirname, 'results.md'),
    'performance',
    `\n${sections(whole)}\n\n`,
  );
  await replaceSection(path.join(root, 'README.md'), 'performance', readmeTable(comparisons));
}

function sections({ machine, comparisons, start }: Run): string {
  return [
    facts(machine),
    rivalsTable(comparisons).trimEnd(),
    '### Memory and peak matmul throughput',
    ownTable(comparisons).trimEnd(),
    ...(start ? ['### Start time', startTable(start).trimEnd()] : []),
    '## Targets',
    '`npm run bench -- --check`:',
    `\`\`\`text\n${formatVerdicts(verdictsOn({ comparisons, start }))}\n\`\`\``,
  ].join('\n\n');
}

/** Workloads that README shows; results.md has them all. */
const inReadme = ['classifier', 'demo', 'demo-nf4', 'long-prompt', 'mixed'];

function readmeTable(comparisons: readonly TrainingComparison[]): string {
  const shown = comparisons.filter(
    ({ workload, precision }) => precision === 'bf16' && inReadme.includes(workload),
  );
  const lines = shown.flatMap(({ workload, tokens, sides }) => {
    const [graft, ...rivals] = sides as [SideFigures, ...SideFigures[]];
    const peft = rivals.find(({ name }) => name === 'peft');
    if (!peft) return [];
    const peftSpeed = tokens / peft.seconds;
    const speed = `${graft.tokensPerSecond.toFixed(0)} against ${peftSpeed.toFixed(0)}: ${times(peft.speedup.median)}`;
    const [own, its] = [graft, peft].map(({ peakBytes }) => gigabytes(peakBytes));
    return [
      `| ${workload} | ${speed} | ${own} against ${its} GB: ${times(graft.peakBytes / peft.peakBytes)} |`,
    ];
  });
  return `\n| data, in bf16 | tokens/s against PyTorch + HF PEFT | peak memory |\n| --- | --- | --- |\n${lines.join('\n')}\n\n`;
}
