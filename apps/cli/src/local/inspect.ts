import { existsSync, readdirSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { AdapterReport } from '@graft/peft-core';
import type { ModelReport } from '@graft/peft-core/files';
import type { Command } from 'commander';
import { printAnswer } from '../answer.ts';
import { plainPaint } from '../draw/paint.ts';
import { bytes as bytesText, count } from '../draw/quantities.ts';
import { type Fields, fields } from '../draw/table.ts';
import { UsageError } from '../errors.ts';
import { createOutput } from '../output.ts';
import { type VerbOptions, verb } from '../verb.ts';
import { loadPeftCore } from './load-peft-core.ts';
import { findLocalModel, openLocalModel } from './local-model.ts';

interface Options extends VerbOptions {
  model?: string;
}

export function addInspectVerb(program: Command): void {
  const shows =
    'show what an adapter folder contains, trains and requires; or what a base model is (folder, .gguf file, id, org/name on the Hub), and whether Graft can train it';
  verb(
    program,
    'inspect <adapter-or-model>',
    shows,
    'my-adapter',
    'my-adapter --model smollm2-135m-instruct',
    'smollm2-135m-instruct',
  )
    .option('--model <model>', 'check whether the adapter fits this base model: folder, .gguf file, or id')
    .action(inspect);
}

const hasAdapter = (folder: string): boolean => existsSync(join(folder, 'adapter_config.json'));

const hasModel = (folder: string): boolean =>
  readdirSync(folder).some((file) => file === 'config.json' || file.endsWith('.gguf'));

async function inspect(name: string, options: Options): Promise<void> {
  if (existsSync(name) && statSync(name).isDirectory() && !hasModel(name) && !hasAdapter(name))
    throw new UsageError(`${name} has neither adapter_config.json, config.json nor a .gguf file.`);
  if (hasAdapter(name)) return inspectAdapterFolder(name, options);
  if (options.model !== undefined)
    throw new UsageError(
      `--model is compared with an adapter, and ${name} is not an adapter folder: leave it out.`,
    );
  const report = await reportOf(name, options);
  printAnswer(options, { value: report, text: await describeModel(report) });
}

/** Reads a model that is not on this machine without its weights. */
async function reportOf(name: string, options: Options): Promise<ModelReport> {
  const { inspectModel, resolveBaseModel, withHubHeaders } = await import('@graft/peft-core/files');
  const { cacheFolder } = await import('@graft/service/base-models');
  const { note } = createOutput(options);
  const resolving = { cacheDir: cacheFolder(process.env), onProgress: note };
  const spec = await findLocalModel(name);
  if ('hub' in spec) return await withHubHeaders(spec, resolving, inspectModel);
  return await inspectModel(await resolveBaseModel(spec, resolving));
}

/** Tokens of the text for which memory is estimated. */
const TOKENS = 2048;

async function describeModel(report: ModelReport): Promise<string> {
  const { describeMatch } = await import('@graft/peft-core/files');
  const { sizes, nearest, chat_template: template } = report;
  const values: Fields = {
    family: `${report.model_type ?? 'not named'}${report.fault === null ? '' : ' (cannot be trained)'}`,
    'why not': report.fault,
    nearest: nearest && describeMatch(nearest),
    parameters: count(report.parameters),
    stored: Object.entries(report.stored)
      .map(([dtype, values]) => `${dtype} ${count(values)}`)
      .join(', '),
    layers: sizes && `${sizes.layers} of width ${count(sizes.hidden_size)}`,
    heads: sizes && `${sizes.heads} of ${sizes.head_size}, ${sizes.kv_heads} for keys and values`,
    vocabulary:
      sizes && `${count(sizes.vocabulary_size)} tokens${sizes.tied_head ? ', tied to the head' : ''}`,
    context: sizes && `${count(sizes.context_length)} tokens`,
    tasks: report.tasks.join(', '),
    'chat template': template === null ? 'none' : await describeTemplate(template),
    'memory to train': report.fault === null ? await describeMemory(report) : undefined,
  };
  const targets = Object.entries(report.default_targets).map(([type, modules]) => [type, modules.join(', ')]);
  return [
    indented(values),
    ...(targets.length > 0
      ? ['Modules that methods change by default', indented(Object.fromEntries(targets))]
      : []),
  ].join('\n');
}

/** Describes the features of the template, as far as its form is known. */
async function describeTemplate(template: string): Promise<string> {
  const { answerFormOf, readsTools } = await import('@graft/peft-core/chat');
  const { style, reasoning } = answerFormOf(template);
  const has = [style && 'tool calls', reasoning && 'reasoning'].filter(Boolean);
  if (has.length > 0) return `with ${has.join(' and ')}`;
  return readsTools(template) ? 'yes' : 'without tools (training with "chat_template": "tools" adds them)';
}

async function describeMemory({ config }: ModelReport): Promise<string> {
  const { memoryToTrain } = await import('@graft/peft-core/estimate');
  const of = (storage: 'bf16' | 'nf4') =>
    `${bytesText(memoryToTrain(config, { tokens: TOKENS, storage, device: 'cpu' }))} in ${storage}`;
  return `${of('bf16')}, ${of('nf4')}: the default method on a text of up to ${count(TOKENS)} tokens, on a CPU`;
}

async function inspectAdapterFolder(adapter: string, options: Options): Promise<void> {
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
