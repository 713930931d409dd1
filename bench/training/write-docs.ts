import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { facts, gigabytes, rivalsTable, type SideFigures, times } from '../../scripts/measuring/report.ts';
import { replaceSection } from '../../scripts/methods/docs-section.ts';
import { drawRun } from './draw.ts';
import { ownTable, type TrainingComparison } from './report.ts';
import { type StartFigures, startTable } from './start.ts';
import { formatVerdicts, verdictsOn } from './targets.ts';

/** What a run of the bench found, and on what. */
export interface Run {
  title: string;
  machine: Record<string, string>;
  comparisons: TrainingComparison[];
  start?: StartFigures | undefined;
}

const root = path.resolve(import.meta.dirname, '../..');
const kept = path.join(import.meta.dirname, 'results.json');

/**
 * Keeps a run in results.json, and writes from what is kept docs/performance.md, its pictures and README's table. A run on the same
 * machine takes the place of what it measured and leaves the rest, one on another machine takes the place of all.
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
  await replaceSection(path.join(root, 'docs/performance.md'), 'performance', `\n${sections(whole)}\n\n`);
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

/** What README shows of the workloads; docs/performance.md has them all. */
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
