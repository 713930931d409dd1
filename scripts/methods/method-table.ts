/** What docs/methods.md takes from the code. `node --import tsx scripts/methods/method-table.ts` writes it there. */
import { methodFacts } from '../../packages/peft-core/src/config/method-facts.ts';
import { parsePeftConfig, peftTypes } from '../../packages/peft-core/src/config.ts';
import { architectureFor } from '../../packages/peft-core/src/models/registry.ts';
import { attach } from '../../packages/peft-core/src/tuners/registry.ts';
import { exceptions } from '../../test/golden/matrix/exceptions.ts';
import { replaceSection } from './docs-section.ts';

/** Sizes of Llama 2 7B. */
const sevenBillion = {
  model_type: 'llama',
  hidden_size: 4096,
  intermediate_size: 11008,
  num_hidden_layers: 32,
  num_attention_heads: 32,
  vocab_size: 32000,
  max_position_embeddings: 4096,
  tie_word_embeddings: false,
};

/** A line for each method; parameters are those that its usual configuration trains on a model of Llama 2 7B's sizes. */
export function methodTable(): string {
  const model = architectureFor('llama', sevenBillion);
  const lines = peftTypes.map((type) => {
    const { title, when, paper, library, servedBy, usual } = methodFacts[type]!;
    const { parameters, unmergeable } = attach(
      parsePeftConfig({ peft_type: type, ...usual }),
      model,
      'trained',
    );
    const trained = parameters.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
    const options = JSON.stringify(usual) === '{}' ? 'defaults' : `\`${JSON.stringify(usual)}\``;
    return [
      `**${title}** \`${type}\``,
      `${trained.toLocaleString('en-US')} (${options})`,
      unmergeable ? 'no' : 'yes',
      [library, ...servedBy].filter(Boolean).join(', ') || 'after `graft merge`, everywhere',
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
  return [header, header.map(() => '---'), ...lines].map((cells) => `| ${cells.join(' | ')} |\n`).join('');
}

/** A line for each reason why a method cannot be had on an architecture, with the cells it holds for. */
export function exceptionTable(): string {
  const cellsByReason = new Map<string, string[]>();
  for (const [cell, reason] of Object.entries(exceptions))
    cellsByReason.set(reason, [...(cellsByReason.get(reason) ?? []), cell]);
  return [...cellsByReason].map(([reason, cells]) => `- ${cells.join(', ')}: ${reason}\n`).join('');
}

if (process.argv[1] === import.meta.filename) {
  await replaceSection('docs/methods.md', 'methods', methodTable());
  await replaceSection('docs/methods.md', 'exceptions', exceptionTable());
}
