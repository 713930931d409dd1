import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { replaceSection } from '../../scripts/methods/docs-section.ts';
import { drawRun } from './draw.ts';
import { type Comparison, facts, type SideFigures, table } from './report.ts';
import { tellVerdicts, verdictsOn } from './targets.ts';

/** What a run of the bench found, and on what. */
export interface Run {
  title: string;
  machine: Record<string, string>;
  comparisons: Comparison[];
}

const root = path.resolve(import.meta.dirname, '../..');
const kept = path.join(import.meta.dirname, 'results.json');

/**
 * Keeps a run in results.json, and writes from what is kept docs/performance.md, its pictures and README's table. A run on the same
 * machine takes the place of the workloads that it measured and leaves the others, one on another machine takes the place of all.
 */
export async function writeDocs(run: Run): Promise<void> {
  const before: Run = await readFile(kept, 'utf8').then(JSON.parse, () => run);
  const isSame = JSON.stringify(before.machine) === JSON.stringify(run.machine);
  const key = ({ workload, precision }: Comparison) => `${workload} ${precision}`;
  const measured = new Map(
    [...(isSame ? before.comparisons : []), ...run.comparisons].map((one) => [key(one), one]),
  );
  const comparisons = [...measured.values()].sort(
    (a, b) => a.precision.localeCompare(b.precision) || a.workload.localeCompare(b.workload),
  );
  await writeFile(kept, `${JSON.stringify({ ...run, comparisons }, null, 2)}\n`);
  const { speed, memory } = drawRun(comparisons);
  await writeFile(path.join(root, 'docs/images/performance-speed.svg'), speed);
  await writeFile(path.join(root, 'docs/images/performance-memory.svg'), memory);
  const verdicts = tellVerdicts(verdictsOn(comparisons));
  await replaceSection(
    path.join(root, 'docs/performance.md'),
    'performance',
    `\n${facts(run.machine)}\n\n${table(comparisons)}\n## Against the targets\n\n\`npm run bench -- --check\`:\n\n\`\`\`text\n${verdicts}\n\`\`\`\n\n`,
  );
  await replaceSection(path.join(root, 'README.md'), 'performance', readmeTable(comparisons));
}

function readmeTable(comparisons: readonly Comparison[]): string {
  const lines = comparisons.flatMap(({ workload, precision, tokens, sides }) => {
    const [graft, ...rivals] = sides as [SideFigures, ...SideFigures[]];
    const peft = rivals.find(({ name }) => name === 'peft');
    if (!peft) return [];
    const ofPeft = tokens / peft.seconds;
    const speed = `${graft.tokensPerSecond.toFixed(0)} against ${ofPeft.toFixed(0)}: ${peft.speedup.median.toFixed(2)}×`;
    const [own, its] = [graft, peft].map(({ peakBytes }) => (peakBytes / 1e9).toFixed(2));
    return [
      `| ${workload} | ${precision} | ${speed} | ${own} against ${its} GB: ${(graft.peakBytes / peft.peakBytes).toFixed(2)}× |`,
    ];
  });
  return `\n| data | precision | tokens/s against PyTorch + HF PEFT | peak memory |\n| --- | --- | --- | --- |\n${lines.join('\n')}\n\n`;
}
