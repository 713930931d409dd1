import { resolve } from 'node:path';
import type { AdapterReport } from '@graft/peft-core';
import type { Command } from 'commander';
import { printAnswer } from '../answer.ts';
import { plainPaint } from '../draw/paint.ts';
import { bytes as bytesText, count } from '../draw/quantities.ts';
import { type Fields, fields } from '../draw/table.ts';
import { createOutput } from '../output.ts';
import { type VerbOptions, verb } from '../verb.ts';
import { loadPeftCore } from './load-peft-core.ts';
import { openLocalModel } from './local-model.ts';

interface Options extends VerbOptions {
  model?: string;
}

export function addInspectVerb(program: Command): void {
  const shows = 'show what an adapter folder contains, trains and requires, and which runtimes can load it';
  verb(program, 'inspect <adapter>', shows, 'my-adapter', 'my-adapter --model smollm2-135m-instruct')
    .option('--model <model>', 'check whether it fits this base model: folder, .gguf file, or id')
    .action(inspect);
}

async function inspect(adapter: string, options: Options): Promise<void> {
  const { model } = options;
  const opened = model ? await openLocalModel(model, { note: createOutput(options).note }) : null;
  try {
    const { inspectAdapter } = await loadPeftCore('fp32');
    const report = await inspectAdapter(resolve(adapter), opened?.base ?? null);
    printAnswer(options, { value: report, text: describe(report, opened?.name ?? null) });
  } finally {
    await opened?.base.close();
  }
}

function describe(report: AdapterReport, model: string | null): string {
  const { fits } = report;
  const values: Fields = {
    method: `${report.method} (${report.peft_type}), ${report.task_type ?? "the base model's own task"}`,
    'base model': report.base_model ?? 'not named',
    parameters: `${count(report.parameters)} in ${report.tensors.length} kinds of tensor`,
    files: report.files.map(({ path, bytes }) => `${path} (${bytesText(bytes)})`).join(', '),
    runtimes: report.runtimes.join(', '),
    needs: needs(report),
    labels: report.labels?.join(', '),
    'written as PEFT': report.peft_version,
    [`on ${model}`]: fits && fitText(fits.faults),
    'share of the base': fits && `${(100 * fits.share_of_base).toPrecision(3)} %`,
    merges: fits && (fits.mergeable ? 'yes' : 'no: it must be loaded beside the model'),
  };
  const tensors = report.tensors.map(({ kind, count: times, parameters, shapes }) => [
    kind,
    `${times} ×, ${count(parameters)} numbers, ${shapes.slice(0, 4).join(' ')}${shapes.length > 4 ? ' …' : ''}`,
  ]);
  const config = Object.entries(report.config).map(([name, value]) => [name, JSON.stringify(value)]);
  return [
    indented(values),
    'Tensors',
    indented(Object.fromEntries(tensors)),
    'Config',
    indented(Object.fromEntries(config)),
  ].join('\n');
}

function fitText(faults: readonly string[]): string {
  if (faults.length === 0) return 'fits';
  const more = faults.length > 3 ? ` (and ${faults.length - 3} more)` : '';
  return `does not fit: ${faults.slice(0, 3).join('; ')}${more}`;
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

const indented = (values: Fields): string => fields(values, plainPaint).replaceAll(/^/gm, '  ');
