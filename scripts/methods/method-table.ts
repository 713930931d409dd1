/** Parts of docs/methods.md that come from the code. `node --import tsx scripts/methods/method-table.ts` writes them there. */

import { methods, parsePeftConfig, peftTypes } from '../../packages/peft-core/src/config/index.ts';
import { architectureFor } from '../../packages/peft-core/src/models/registry.ts';
import { modelTypes, TASK_TYPES } from '../../packages/peft-core/src/outlines/index.ts';
import { elementCount } from '../../packages/peft-core/src/tensors/tensor-source.ts';
import { sevenBillion } from '../../packages/peft-core/src/testing/seven-billion.ts';
import { unmergeable } from '../../packages/peft-core/src/tuners/methods.ts';
import { attach } from '../../packages/peft-core/src/tuners/registry.ts';
import { adaptersMethods } from '../../test/golden/matrix/adapters-methods.ts';
import { architectures } from '../../test/golden/matrix/architectures.ts';
import { reasons } from '../../test/golden/matrix/exceptions.ts';
import { methods as rows } from '../../test/golden/matrix/methods.ts';
import { rules } from '../../test/golden/matrix/rules.ts';
import { replaceSection } from './docs-section.ts';
import { plainTable } from './markdown-table.ts';

/** A line for each method; parameters are those that its usual configuration trains on a model of seven billion parameters. */
export function methodTable(): string {
  const model = architectureFor(sevenBillion.model_type, sevenBillion);
  const lines = peftTypes.map((type) => {
    const { title, when, paper, library, servedBy = {}, usual } = methods[type];
    const config = parsePeftConfig({ peft_type: type, ...usual });
    const { parameters } = attach(config, model, 'trained');
    const own = parameters.filter(({ constant }) => !constant);
    const trained = own.reduce((sum, { shape }) => sum + elementCount(shape), 0);
    const options = JSON.stringify(usual) === '{}' ? 'defaults' : `\`${JSON.stringify(usual)}\``;
    return [
      `**${title}** \`${type}\``,
      `${trained.toLocaleString('en-US')} (${options})`,
      unmergeable(config, model) ? 'no' : 'yes',
      [library, ...Object.keys(servedBy)].filter(Boolean).join(', ') || 'after `graft merge`, everywhere',
      when,
      `[paper](${paper})`,
    ];
  });
  const header = [
    'method',
    'trained on a 7B model',
    'merges',
    'served elsewhere by',
    'when to choose it',
    'source',
  ];
  return plainTable(header, lines);
}

/** A line for each reason why methods cannot be had on some architectures, and for each rule by which cells are not tried. */
export function exceptionTable(): string {
  const cannot = reasons.map(
    ([reason, names, on]) => `- **${names.join(', ')}** on ${on.join(', ')}: ${reason}\n`,
  );
  const all = [...rows, ...adaptersMethods];
  const untried = rules.map(({ mark, reason }) => `- \`${mark}\` ${reason(all, architectures)}\n`);
  return [...cannot, '\nCombinations that are possible and not tested:\n\n', ...untried, columnless()].join(
    '',
  );
}

/** Which tasks of which models have no column. */
function columnless(): string {
  const lists = new Map<string, string[]>();
  for (const type of modelTypes) {
    const missing = TASK_TYPES.filter(
      (task) => !architectures.some((row) => row.task === task && row.config.model_type === type),
    ).join(', ');
    lists.set(missing, [...(lists.get(missing) ?? []), type]);
  }
  const parts = [...lists].map(([tasks, types]) => `${tasks} of ${types.join(', ')}`);
  return `\nThere is no column for ${parts.join('; ')}: Graft refuses these tasks (\`unsupported_task\`).\n`;
}

if (process.argv[1] === import.meta.filename) {
  await replaceSection('docs/methods.md', 'methods', methodTable());
  await replaceSection('test/golden/matrix/exceptions.md', 'exceptions', exceptionTable());
}
