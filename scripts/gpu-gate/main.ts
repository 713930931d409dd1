/**
 * npm run gpu:gate: reads every graph as TensorFlow would place it on an NVIDIA card, on a machine without one, and fails for what would
 * not run there: docs/gpu.md. Exit code 1 when something was found, 2 for wrong usage.
 *
 * npm run gpu:gate -- [--part] [--only WORDS] [--counts]
 *   --part     the part that the tests try
 *   --only     cases whose names contain this
 *   --counts   nothing but the nodes of each kind of step
 */
import { commandLine } from '../command-line.ts';
import { readCase } from './read-case.ts';
import { type Found, faultsByKind, nodeTable } from './report.ts';
import { coveringPart, wholeGrid } from './testing/cases.ts';
import { nodeCounts } from './testing/node-counts.ts';

const options = commandLine({
  part: { type: 'boolean', default: false },
  only: { type: 'string', default: '' },
  counts: { type: 'boolean', default: false },
});
const cases = options.counts
  ? []
  : (options.part ? coveringPart() : wholeGrid()).filter(({ name }) => name.includes(options.only));
const found: Found[] = [];
for (const [i, each] of cases.entries()) {
  found.push(...(await readCase(each)));
  if (process.stderr.isTTY) process.stderr.write(`\r${i + 1} of ${cases.length} cases`);
}
const faults = faultsByKind(found);
if (cases.length > 0) {
  const nodes = found.reduce((sum, one) => sum + one.nodes, 0);
  console.log(
    `${cases.length} cases, ${found.length} functions, ${nodes} nodes: ${faults.length} kinds of faults`,
  );
  for (const line of faults) console.log(line);
  console.log();
}
console.log(nodeTable(await nodeCounts()));
process.exit(faults.length > 0 ? 1 : 0);
