import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { train, WarmModel } from '@graft/peft-core';
import { parsePeftConfig, resolveTraining, type TrainingOptions } from '@graft/peft-core/config';
import { type BaseModel, openBaseModel } from '@graft/peft-core/files';
import { outlineOf } from '@graft/peft-core/outlines';
import { defaultMethod } from '../demo/options.ts';
import { dataSizeOf } from '../methods/data-size.ts';
import { locate, peftOf } from './grid.ts';
import { models, type Task, tasks } from './tasks.ts';

/** What a run has measured. */
interface Measured {
  steps: number;
  /** Folder of its adapter. */
  adapter: string;
  /** Validation losses, by ascending step; the last is at the end. */
  evaluations: { step: number; loss: number }[];
}

/** Trains the usual adapter on rows of one task, as a job would. `close` lets the base model and all adapters go. */
export async function openTask(name: string) {
  const task: Task | undefined = tasks[name];
  if (!task) throw new Error(`no task ${name}: there are ${Object.keys(tasks).join(', ')}`);
  const folder = await mkdtemp(join(tmpdir(), 'graft-sweep-'));
  const base: BaseModel = await openBaseModel(await locate(task.model));
  const warm = new WarmModel();
  const peft = parsePeftConfig(peftOf({ task: name, method: defaultMethod, options: {} }));
  const { validation } = task.data();
  let runs = 0;

  async function write(file: string, rows: object[]): Promise<string> {
    const path = join(folder, file);
    await writeFile(path, rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
    return path;
  }

  function resolved(rows: object[], training: TrainingOptions, continues: boolean) {
    const size = dataSizeOf(rows.map((row) => JSON.stringify(row)));
    const model = outlineOf(base.config, task!.type);
    return resolveTraining({ peft, training, ...size, model, continues, hasValidationFile: true });
  }

  async function run(rows: object[], training: TrainingOptions, initialAdapter?: string): Promise<Measured> {
    const adapter = join(folder, `adapter-${runs++}`);
    const evaluations: Measured['evaluations'] = [];
    let steps = 0;
    for await (const record of train({
      base,
      baseModelName: task!.model,
      warm,
      sharesBase: true,
      peft,
      outputDir: adapter,
      trainingFile: await write('train.jsonl', rows),
      validationFile: await write('validation.jsonl', validation),
      training: resolved(rows, training, initialAdapter !== undefined),
      ...(initialAdapter !== undefined && { initialAdapter }),
    })) {
      if (record.type === 'evaluation') evaluations.push({ step: record.step, loss: record.loss });
      if (record.type === 'done') steps = record.steps;
    }
    return { steps, adapter, evaluations };
  }

  async function close(): Promise<void> {
    warm.close();
    await base.close();
    await rm(folder, { recursive: true, force: true });
  }

  return { task, seeds: models[task.model].seeds, peft, resolved, run, close };
}
