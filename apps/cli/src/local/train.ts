import { cp, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { TrainRecord } from '@graft/peft-core';
import { isQuantised } from '@graft/peft-core/config';
import { formats } from '@graft/peft-core/formats';
import type { Command } from 'commander';
import { reasonLines } from '../draw/training-reasons.ts';
import { UsageError } from '../errors.ts';
import { catchInterrupts, INTERRUPTED } from '../interrupts.ts';
import { checkFree, isFree, wholeNumber } from '../options/arguments.ts';
import { takeDataOptions } from '../options/data-arguments.ts';
import { takeJobOptions } from '../options/job-options.ts';
import { createOutput } from '../output.ts';
import { type VerbOptions, verb } from '../verb.ts';
import { loadPeftCore } from './load-peft-core.ts';
import { modelOption, openLocalModel } from './local-model.ts';
import { resolveLocalTraining, type TrainOptions } from './resolve-local-training.ts';
import { withServedFigures } from './served-figures.ts';

interface Options extends VerbOptions, TrainOptions {
  output: string;
  checkpoints?: string;
  resume?: boolean;
  curve?: string;
  overwrite?: boolean;
}

/** The fields of a data line for `CAUSAL_LM`, or for the other tasks. */
const lineFields = (isCausal: boolean): string =>
  formats
    .filter(({ tasks }) => (tasks[0] === 'CAUSAL_LM') === isCausal)
    .map(({ fields }) => fields)
    .join(', ');

export function addTrainVerb(program: Command): void {
  const trains = 'train an adapter on this machine, into a folder that Hugging Face PEFT loads';
  const examples = [
    '--model smollm2-135m-instruct --data train.jsonl --output my-adapter',
    '--model smollm2-135m-instruct --data pairs.jsonl --output my-adapter --method dpo --beta 0.2',
    '--model ./my-model --data train.jsonl --output my-adapter --rank 8 --epochs 5',
    '--model ./my-model --data chats.jsonl:2 --data facts.jsonl --validation maths=test.jsonl --output my-adapter',
    '--model ./my-model --data train.jsonl --output my-adapter --peft @peft.json --training @training.json',
    `--model ./my-model --data train.jsonl --output my-adapter --training '{"base_dtype":"nf4"}'`,
    `--model ./my-model --data train.jsonl --validation test.jsonl --output my-adapter --sweep '{"r":[8,16,32]}'`,
    `--model all-minilm-l6-v2 --data labelled.jsonl --output my-classifier --peft @classifier.json`,
  ];
  const described = verb(program, 'train', trains, ...examples)
    .requiredOption('--model <model>', modelOption)
    .requiredOption('--output <folder>', 'folder for the adapter');
  const data = {
    data: `training data, JSONL with lines such as ${lineFields(true)}; for other tasks ${lineFields(false)}`,
    validation: 'validation data, JSONL',
  };
  takeJobOptions(takeDataOptions(described, data))
    .option(
      '--sweep <json>',
      'values to compare, as JSON or @file: {"learning_rate": [1e-4, 1e-3], "r": [8, 16], "peft_type": […]}; needs validation data; the best adapter is written',
    )
    .option('--seed <n>', 'seed of shuffling, initialization and dropout', wholeNumber(0))
    .option('--start-from <folder>', 'continue training this adapter, with its method and options')
    .option(
      '--checkpoints <folder>',
      'folder for the checkpoints that --resume needs, deleted at the end (default: OUTPUT.checkpoints)',
    )
    .option('--resume', 'resume an interrupted run with the same data and options')
    .option('--curve <file>', 'also draw the loss curve as SVG')
    .option('--overwrite', 'write into an output folder that is not empty')
    .action(runTraining);
}

/** With --json, prints every record of the trainer as one line on stdout. */
async function runTraining(options: Options): Promise<void> {
  const output = createOutput(options);
  const checkpointDir = resolve(
    options.checkpoints ?? `${options.output.replace(/[/\\]+$/, '')}.checkpoints`,
  );
  checkFree(options.output, options.overwrite);
  checkCheckpoints(checkpointDir, options.resume);
  const interrupts = catchInterrupts();
  const { base, name } = await openLocalModel(options.model, {
    note: output.note,
    signal: interrupts.signal,
  });
  try {
    const { trials, names, reasons, overlap, files } = await resolveLocalTraining(options, base, output.note);
    const [first] = trials;
    const isSweep = names.length > 0;
    const { TrainingRun } = await import('./training-run.ts');
    const peftCore = await loadPeftCore(first.training.precision);
    const run = new TrainingRun(options, first, names, output);
    const { openLocalCheckpoints, pruneLocalCheckpoints } = await import('@graft/peft-core/checkpoints');
    const { dir, candidates } = await openLocalCheckpoints(checkpointDir);
    for (const line of reasonLines({ ...first.peft, ...first.training }, reasons)) run.say(`Chosen: ${line}`);
    if (overlap) run.say(`Warning: ${overlap}`);
    run.say(`Loading ${name} and the data`);
    const given = {
      base,
      baseModelName: name,
      signal: interrupts.signal,
      ...files,
      ...(options.method === undefined ? {} : { method: options.method }),
      checkpoints: { dir, candidates: options.resume ? candidates : [] },
      initialAdapter: options.startFrom === undefined ? null : resolve(options.startFrom),
    };
    const outputDir = resolve(options.output);
    const records = isSweep
      ? peftCore.trainSweep({ ...given, trials, outputDir: join(checkpointDir, 'adapters') })
      : peftCore.train({ ...given, ...first, outputDir });
    try {
      let done: Extract<TrainRecord, { type: 'done' }> | null = null;
      for await (const record of records) {
        if (record.type === 'done') {
          done = isSweep ? await moveTo(outputDir, record) : record;
          continue;
        }
        run.take(record);
        if (record.type === 'checkpoint') await pruneLocalCheckpoints(checkpointDir, record.dir);
        // TensorFlow blocks the event loop for a whole step; here Ctrl-C can be handled.
        await new Promise((resume) => setImmediate(resume));
      }
      // Only now is the training base no longer in memory.
      if (done) {
        const { peft, training } = trials[(done.winner?.trial ?? 1) - 1]!;
        if (isQuantised(training.base_dtype) && done.validationLoss !== null)
          run.say('Measuring the adapter on the original base');
        run.take(await withServedFigures(done, { ...given, peft, training }, peftCore));
      }
    } catch (error) {
      run.close();
      throw error;
    }
    const finished = await run.finish();
    if (finished) await rm(checkpointDir, { recursive: true, force: true });
    process.exitCode = finished ? 0 : INTERRUPTED;
  } finally {
    interrupts.release();
    await base.close();
  }
}

function checkCheckpoints(folder: string, resume = false): void {
  if (resume || isFree(folder)) return;
  throw new UsageError(
    `An interrupted run left ${folder}: resume it with --resume, or delete that folder to start over.`,
  );
}

/** Moves the adapter of a sweep's winner from the folder of its trial to the output folder. */
async function moveTo(
  outputDir: string,
  done: Extract<TrainRecord, { type: 'done' }>,
): Promise<Extract<TrainRecord, { type: 'done' }>> {
  await cp(done.adapterDir, outputDir, { recursive: true });
  return { ...done, adapterDir: outputDir };
}
