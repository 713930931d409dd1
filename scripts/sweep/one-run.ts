import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { WarmModel } from '@graft/peft-core';
import { parsePeftConfig, resolveTraining, type TrainingOptions } from '@graft/peft-core/config';
import { type BaseModel, openBaseModel } from '@graft/peft-core/files';
import { outlineOf } from '@graft/peft-core/outlines';
import { defaultMethod } from '../demo/options.ts';
import { dataSizeOf } from '../methods/data-size.ts';
import { packagedModel } from '../methods/packaged-model.ts';
import { peftOf } from './grid.ts';
import { models, type Task, tasks } from './tasks.ts';
import { trainRows } from './train-rows.ts';

/** Trains the usual adapter on rows of one task, as a job would. `close` lets the base model and all adapters go. */
export async function openTask(name: string) {
  const task: Task | undefined = tasks[name];
  if (!task) throw new Error(`no task ${name}: there are ${Object.keys(tasks).join(', ')}`);
  const folder = await mkdtemp(join(tmpdir(), 'graft-sweep-'));
  const base: BaseModel = await openBaseModel(await packagedModel(task.model));
  const warm = new WarmModel();
  const peft = parsePeftConfig(peftOf({ task: name, method: defaultMethod, options: {} }));
  const { validation } = task.data();
  let runs = 0;

  function resolved(rows: object[], training: TrainingOptions, continues: boolean) {
    const size = dataSizeOf(rows.map((row) => JSON.stringify(row)));
    const model = outlineOf(base.config, task!.type);
    return resolveTraining({ peft, training, ...size, model, continues, hasValidationFile: true });
  }

  /** `adapter`: folder of the run's adapter. */
  async function run(rows: object[], training: TrainingOptions, initialAdapter?: string) {
    const adapter = join(folder, `adapter-${runs++}`);
    const options = {
      base,
      baseModelName: task!.model,
      warm,
      sharesBase: true,
      peft,
      outputDir: adapter,
      training: resolved(rows, training, initialAdapter !== undefined),
      ...(initialAdapter !== undefined && { initialAdapter }),
    };
    const measured = await trainRows(folder, { training: rows, validation }, options, name);
    if (measured.loss === null) throw new Error(`${name}: training diverged`);
    return { ...measured, adapter };
  }

  async function close(): Promise<void> {
    warm.close();
    await base.close();
    await rm(folder, { recursive: true, force: true });
  }

  return { task, seeds: models[task.model].seeds, peft, resolved, run, close };
}
