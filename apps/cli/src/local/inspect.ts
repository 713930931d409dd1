import { resolve } from 'node:path';
import type { AdapterReport } from '@graft/peft-core';
import type { Command } from 'commander';
import { bytes as bytesText, count } from '../draw/quantities.ts';
import { createOutput } from '../output.ts';
import { type VerbOptions, verb } from '../verb.ts';
import { loadPeftCore } from './load-peft-core.ts';
import { openLocalModel } from './local-model.ts';

interface Options extends VerbOptions {
  model?: string;
}

export function addInspectVerb(program: Command): void {
  verb(program, {
    name: 'inspect <adapter>',
    summary: 'show what an adapter folder contains, trains and requires, and which runtimes can load it',
    examples: ['graft inspect my-adapter', 'graft inspect my-adapter --model smollm2-135m-instruct'],
  })
    .option('--model <model>', 'check whether it fits this base model: folder, .gguf file, or id')
    .action(inspect);
}

async function inspect(adapter: string, options: Options): Promise<void> {
  const output = createOutput(options);
  const opened = options.model ? await openLocalModel(options.model, { note: output.note }) : null;
  try {
    const { inspectAdapter } = await loadPeftCore('fp32');
    const report = await inspectAdapter(resolve(adapter), opened?.base ?? null);
    output.result(report, () => describe(report, opened?.name ?? null));
  } finally {
    await opened?.base.close();
  }
}

function describe(report: AdapterReport, model: string | null): string {
  const rows: [string, string][] = [
    ['method', `${report.method} (${report.peft_type}), ${report.task_type ?? "the base model's own task"}`],
    ['base model', report.base_model ?? 'not named'],
    ['parameters', `${count(report.parameters)} in ${report.tensors.length} kinds of tensor`],
    ['files', report.files.map(({ path, bytes }) => `${path} (${bytesText(bytes)})`).join(', ')],
    ['runtimes', report.runtimes.join(', ')],
    ['needs', needs(report)],
  ];
  if (report.labels) rows.push(['labels', report.labels.join(', ')]);
  if (report.peft_version) rows.push(['written as PEFT', report.peft_version]);
  if (report.fits) {
    const { faults, mergeable, share_of_base: share } = report.fits;
    const more = faults.length > 3 ? ` (and ${faults.length - 3} more)` : '';
    rows.push([
      `on ${model}`,
      faults.length > 0 ? `does not fit: ${faults.slice(0, 3).join('; ')}${more}` : 'fits',
    ]);
    rows.push(['share of the base', `${(100 * share).toPrecision(3)} %`]);
    rows.push(['merges', mergeable ? 'yes' : 'no: it must be loaded beside the model']);
  }
  const tensors = report.tensors.map(({ kind, count: times, parameters, shapes }): [string, string] => [
    kind,
    `${times} ×, ${count(parameters)} numbers, ${shapes.slice(0, 4).join(' ')}${shapes.length > 4 ? ' …' : ''}`,
  ]);
  const config = Object.entries(report.config).map(([name, value]): [string, string] => [
    name,
    JSON.stringify(value),
  ]);
  return [lines(rows), 'Tensors', lines(tensors), 'Config', lines(config)].join('\n');
}

/** The requirements of the adapter as text. */
function needs({ needs }: AdapterReport): string {
  const { base_model, base_sha256, library, tokens, positions, modules, classes } = needs;
  const some = (values: readonly (string | number)[]) =>
    `${values.slice(0, 8).join(', ')}${values.length > 8 ? ', …' : ''}`;
  return [
    base_model ?? 'its base model',
    base_sha256 && `with weights of SHA-256 ${base_sha256.slice(0, 12)}…`,
    library && `${library} to be read in Python`,
    tokens.length > 0 && `tokens ${some(tokens)} as in its tokenizer`,
    positions > 0 && `${positions} positions of the context`,
    classes !== null && `num_labels=${classes}`,
    modules.length > 0 && `replaceable modules: ${some(modules)}`,
  ]
    .filter(Boolean)
    .join('; ');
}

function lines(rows: [string, string][]): string {
  const width = Math.max(...rows.map(([label]) => label.length));
  return rows.map(([label, text]) => `  ${label.padEnd(width)}  ${text}`).join('\n');
}
