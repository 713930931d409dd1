/**
 * npm run gpu:gate: reads every graph as TensorFlow would place it on an NVIDIA card, on a machine without one, and fails for what would
 * not run there: docs/gpu.md. Exit code 1 when something was found, 2 for wrong usage.
 *
 * npm run gpu:gate -- [--part] [--only WORDS]
 *   --part   the part that the tests try
 *   --only   cases whose names contain this
 */
import { parseArgs } from 'node:util';
import { placementOf } from './placement.ts';
import { type Found, faultsByKind } from './report.ts';
import { coveringPart, wholeGrid } from './testing/cases.ts';
import { functionsOf } from './testing/graphs.ts';

const { values } = parseArgs({
  options: { part: { type: 'boolean', default: false }, only: { type: 'string', default: '' } },
});
const cases = (values.part ? coveringPart() : wholeGrid()).filter(({ name }) => name.includes(values.only));
const found: Found[] = [];
let nodes = 0;
for (const [i, each] of cases.entries()) {
  for (const fn of await functionsOf(each)) {
    const placed = placementOf(fn);
    nodes += placed.nodes;
    found.push({ ...placed, case: each.name, function: fn.name });
  }
  if (process.stderr.isTTY) process.stderr.write(`\r${i + 1} of ${cases.length} cases`);
}
const faults = faultsByKind(found);
console.log(`${cases.length} cases, ${found.length} functions, ${nodes} nodes`);
for (const line of faults) console.log(line);
process.exit(faults.length > 0 ? 1 : 0);
