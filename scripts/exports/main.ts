/**
 * Writes the table of test/llama-cpp/results.md that compares llama.cpp with Graft: each family as a random model with an adapter, in the formats that
 * llama.cpp reads. Run: node --import tsx scripts/exports/main.ts. It takes about a minute, and needs a platform that
 * scripts/tools/llama-cpp.ts knows.
 */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { scoreTexts, writeExport } from '@graft/peft-core';
import { openBaseModel } from '@graft/peft-core/files';
import {
  adapterOf,
  probesOf,
  randomModels,
  writeRandomAdapter,
  writeRandomModel,
} from '../../test/llama-cpp/random-models.ts';
import { compareLogprobs, runGguf } from '../../test/llama-cpp/runtime.ts';

const page = join(import.meta.dirname, '../../test/llama-cpp/results.md');
const [start, end] = ['<!-- scripts/exports/main.ts -->', '<!-- end of scripts/exports/main.ts -->'];

const folder = await mkdtemp(join(tmpdir(), 'graft-exports-'));
const rows: string[] = [];
try {
  for (const [name, config] of Object.entries(randomModels)) {
    const found = await differences(join(folder, String(rows.length)), name, config);
    rows.push(`| ${name} | ${found.map((value) => value.toExponential(0)).join(' | ')} |`);
    console.log(rows.at(-1));
  }
} finally {
  await rm(folder, { recursive: true, force: true });
}
const table = [start, '| model | gguf, f32 | gguf-lora |', '| --- | --- | --- |', ...rows, end].join('\n');
const text = await readFile(page, 'utf8');
const [before, after] = [text.indexOf(start), text.indexOf(end)];
if (before < 0 || after < before)
  throw new Error(`test/llama-cpp/results.md lacks the line ${start} or ${end}`);
await writeFile(page, text.slice(0, before) + table + text.slice(after + end.length));

/** Mean differences of log-probabilities with the adapter: of the merged model, and of the adapter beside its base model. */
async function differences(
  at: string,
  name: string,
  config: Record<string, unknown> & { model_type: string },
): Promise<number[]> {
  const sequences = probesOf(name);
  const peft = adapterOf(config);
  await writeRandomModel(join(at, 'model'), config);
  await writeRandomAdapter(join(at, 'adapter'), { config, peft, deviation: 0.1 });
  await writeRandomAdapter(join(at, 'nothing'), { config, peft, deviation: 0 });
  const base = await openBaseModel(join(at, 'model'));
  try {
    const write = async (format: string, adapter: string, options: Record<string, unknown>) => {
      const outputDir = join(at, [format, adapter, ...Object.values(options)].join('-'));
      await mkdir(outputDir);
      const { files } = await writeExport(format, {
        base,
        adapterDir: join(at, adapter),
        outputDir,
        options,
        name,
      });
      return join(outputDir, files[0]!.path);
    };
    const expected: number[][] = [];
    const input = sequences.map((input_ids) => ({ input_ids }));
    for await (const score of scoreTexts({ base, adapterDir: join(at, 'adapter'), input }))
      if ('logprobs' in score) expected.push(score.logprobs);
    const jobs = [
      { model: await write('gguf', 'adapter', { dtype: 'f32' }) },
      {
        model: await write('gguf', 'nothing', { dtype: 'f32' }),
        adapter: await write('gguf-lora', 'adapter', {}),
      },
    ];
    const means: number[] = [];
    for (const job of jobs)
      means.push(compareLogprobs((await runGguf({ ...job, sequences })).logprobs, expected).mean);
    return means;
  } finally {
    await base.close();
  }
}
