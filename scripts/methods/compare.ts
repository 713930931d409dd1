/**
 * npm run methods -- [--only smollm2,METHOD,…] [--output data/methods]: trains each method on real models and a real task, one
 * process each, and writes the table of quality, size, time and memory that docs/methods.md shows.
 *
 * SmolLM2-135M answers the bike shop's messages (a language model; exact answers count), MiniLM sorts the same messages into
 * the ten answers (a classifier).
 */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { environmentFor } from '@graft/peft-core/precision';
import { commandLine } from '../command-line.ts';
import { runForResult, typeScript } from '../measuring/processes.ts';
import { replaceSection } from './docs-section.ts';
import { plainTable } from './markdown-table.ts';
import type { RunPlan, RunResult } from './one-run.ts';
import { packagedModel } from './packaged-model.ts';
import { classifierSettings, methodSettings } from './settings.ts';

const options = commandLine({
  only: { type: 'string', default: '' },
  output: { type: 'string', default: 'data/methods' },
});
const words = options.only.split(',').filter(Boolean);
const chosen = (name: string, all: string[]) => {
  const named = all.filter((one) => words.includes(one));
  return named.length === 0 || named.includes(name);
};
const folder = await mkdtemp(join(tmpdir(), 'graft-methods-'));
const examples = join('examples', 'bike-shop');
const rows: { model: string; method: string; result: RunResult }[] = [];
try {
  const data = await classifierData();
  const models = (['smollm2', 'minilm'] as const).filter((name) => chosen(name, ['smollm2', 'minilm']));
  for (const model of models) {
    const language = model === 'smollm2';
    const common = {
      model: await packagedModel(model),
      modelName: language ? 'smollm2-135m-instruct' : 'all-minilm-l6-v2',
      trainingFile: language ? join(examples, 'train.jsonl') : data.train,
      heldOutFile: language ? join(examples, 'heldout.jsonl') : data.heldOut,
      labels: language ? null : data.labels,
    };
    const settings = language ? methodSettings : classifierSettings;
    if (language)
      await measure(model, 'untrained', {
        ...common,
        ...planOf(Object.values(settings)[0]!, model, 'untrained'),
        train: false,
      });
    const all = Object.keys(settings);
    const measured = (name: string) => (words.length > 0 ? chosen(name, all) : name in classifierSettings);
    for (const method of all.filter(measured))
      await measure(model, method, { ...common, ...planOf(settings[method]!, model, method), train: true });
  }
  if (words.length === 0) await replaceSection('docs/methods.md', 'real models', table());
  console.log(`\n${table()}`);
} finally {
  await rm(folder, { recursive: true, force: true });
}

function planOf(setting: { peft: Record<string, unknown>; epochs: number }, model: string, method: string) {
  return {
    peft: setting.peft,
    training: { max_seq_length: 128, batch_size: 8, n_epochs: setting.epochs },
    outputDir: join(folder, model, method),
  };
}

async function measure(model: string, method: string, plan: RunPlan): Promise<void> {
  console.log(`${model}, ${method}`);
  const script = join(import.meta.dirname, 'one-run.ts');
  const result = await runForResult<RunResult>(typeScript(script, environmentFor('auto')), plan);
  console.log(`  ${Math.round(100 * result.accuracy)} % right, ${result.seconds.toFixed(0)} s`);
  rows.push({ model, method, result });
  // A run that is cut off leaves what it has measured.
  await mkdir(options.output, { recursive: true });
  await writeFile(join(options.output, 'methods.json'), `${JSON.stringify(rows, null, 2)}\n`);
  await writeFile(join(options.output, 'methods.md'), table());
}

function table(): string {
  return `${markdown()}\n${cpus().length} CPU cores (${cpus()[0]?.model.trim()}), made by \`npm run methods\`.\n`;
}

/** The same messages as texts with labels. */
async function classifierData(): Promise<{ train: string; heldOut: string; labels: string[] }> {
  const read = async (name: string) =>
    (await readFile(join(examples, name), 'utf8'))
      .split('\n')
      .filter(Boolean)
      .map((line) => {
        const { messages } = JSON.parse(line) as { messages: { content: string }[] };
        return { text: messages.at(-2)!.content, label: messages.at(-1)!.content };
      });
  const [train, heldOut] = [await read('train.jsonl'), await read('heldout.jsonl')];
  const write = async (name: string, lines: object[]) => {
    await writeFile(join(folder, name), lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
    return join(folder, name);
  };
  const labels = [...new Set(train.map(({ label }) => label))].sort();
  return { train: await write('train.jsonl', train), heldOut: await write('heldout.jsonl', heldOut), labels };
}

function markdown(): string {
  const titles: Record<string, string> = {
    smollm2: 'SmolLM2-135M, exact answers',
    minilm: 'MiniLM (22M), right class',
  };
  const lines = rows.map(({ model, method, result: r }) => {
    const accuracy = `${Math.round(100 * r.accuracy)} %`;
    const first = [titles[model]!, method, accuracy];
    if (r.seconds === 0) return [...first, '', '', '', ''];
    const size = [r.trainableParameters.toLocaleString('en-US'), `${(r.fileBytes / 1e6).toFixed(2)} MB`];
    return [...first, ...size, `${r.seconds.toFixed(0)} s`, `${(r.peakBytes / 1e9).toFixed(2)} GB`];
  });
  const header = ['model and measure', 'method', 'held out', 'trained', 'file', 'time', 'peak memory'];
  return plainTable(header, lines);
}
