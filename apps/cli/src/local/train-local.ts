import { existsSync } from 'node:fs';
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { TrainRecord } from '@graft/peft-core';
import type { PeftConfig, ResolvedTraining } from '@graft/peft-core/config';
import type { BaseModel } from '@graft/peft-core/files';
import { lossCurveSvg } from '../draw/loss-curve.ts';
import { bytes, count, duration, loss } from '../draw/quantities.ts';
import { fields } from '../draw/table.ts';
import { TrainingDisplay } from '../draw/training-display.ts';
import type { TrainingState } from '../draw/training-view.ts';
import { catchInterrupts, INTERRUPTED } from '../interrupts.ts';
import { jsonObjectArgument } from '../json-argument.ts';
import { loadPeftCore } from './load-peft-core.ts';
import { openLocalModel } from './local-model.ts';
import { createOutput, type Output } from '../output.ts';
import { UsageError } from '../usage-error.ts';
import type { TrainVerbOptions } from './train.ts';

/** What the API takes when a job names no method. */
const DEFAULT_PEFT = { peft_type: 'LORA', r: 8, lora_alpha: 16, target_modules: 'all-linear' };

/** `graft train`: answers the exit code. With --json every record of the trainer is one line on stdout. */
export async function trainLocal(options: TrainVerbOptions): Promise<number> {
  const output = createOutput(options);
  const checkpointDir = resolve(
    options.checkpoints ?? `${options.output.replace(/[/\\]+$/, '')}.checkpoints`,
  );
  await checkFolders(options, checkpointDir);
  const interrupts = catchInterrupts();
  const { base, name } = await openLocalModel(options.model, {
    note: output.note,
    signal: interrupts.signal,
  });
  try {
    const { peft, training } = await settle(options, base);
    const { train } = await loadPeftCore(training.precision);
    const run = new Run(options, peft, training, output);
    run.say(`Loading ${name} and the data`);
    const records = train({
      base,
      baseModelName: name,
      trainingFile: resolve(options.data),
      validationFile: options.validation === undefined ? null : resolve(options.validation),
      peft,
      training,
      outputDir: resolve(options.output),
      checkpointDir,
      resume: options.resume === true,
      initialAdapter: options.startFrom === undefined ? null : resolve(options.startFrom),
      signal: interrupts.signal,
    });
    try {
      for await (const record of records) {
        run.take(record);
        // TensorFlow blocks the event loop for a whole step; here Ctrl-C gets its turn.
        await new Promise((resume) => setImmediate(resume));
      }
    } catch (error) {
      run.close();
      throw error;
    }
    const finished = await run.finish();
    if (finished) await rm(checkpointDir, { recursive: true, force: true });
    return finished ? 0 : INTERRUPTED;
  } finally {
    interrupts.release();
    await base.close();
  }
}

async function checkFolders(options: TrainVerbOptions, checkpointDir: string): Promise<void> {
  if (!options.overwrite && existsSync(options.output) && (await readdir(options.output)).length > 0) {
    throw new UsageError(`${options.output} is not empty: choose another --output, or add --overwrite.`);
  }
  if (!options.resume && existsSync(checkpointDir) && (await readdir(checkpointDir)).length > 0) {
    throw new UsageError(
      `An interrupted run left ${checkpointDir}: go on with it by --resume, or delete that folder to begin anew.`,
    );
  }
}

/** Every choice fixed, before TensorFlow is loaded: a typo should not cost a minute. */
async function settle(
  options: TrainVerbOptions,
  base: BaseModel,
): Promise<{ peft: PeftConfig; training: ResolvedTraining }> {
  const { parsePeftConfig, resolveTraining } = await import('@graft/peft-core/config');
  const { checkFormat, parseJsonl } = await import('@graft/peft-core/text');
  const { outlineOf } = await import('@graft/peft-core/outlines');
  const peft =
    options.startFrom === undefined
      ? parsePeftConfig(
          options.peft === undefined ? DEFAULT_PEFT : jsonObjectArgument('--peft', options.peft),
        )
      : await configOf(options.startFrom, options, base);
  const { examples, format } = parseJsonl(await readFile(options.data));
  checkFormat(peft.task_type, format);
  const given: [string, unknown][] = [
    ['n_epochs', options.epochs],
    ['batch_size', options.batchSize],
    ['learning_rate', options.learningRate],
    ['max_steps', options.maxSteps],
    ['seed', options.seed],
  ];
  const training = resolveTraining({
    peft,
    training: {
      ...(options.training === undefined ? {} : jsonObjectArgument('--training', options.training)),
      ...Object.fromEntries(given.filter(([, value]) => value !== undefined)),
    },
    exampleCount: examples.length,
    contextLength: outlineOf(base.config).maxPositions,
  });
  return { peft, training };
}

/** An adapter goes on as what it is: with another rank it would not fit, with another scale it would not say the same. */
async function configOf(folder: string, { peft }: TrainVerbOptions, base: BaseModel): Promise<PeftConfig> {
  if (peft !== undefined)
    throw new UsageError(
      '--peft and --start-from: an adapter goes on with its own configuration; leave --peft out.',
    );
  const { readAdapter } = await import('@graft/peft-core/files');
  const { defaultTask } = await import('@graft/peft-core/outlines');
  return (await readAdapter(resolve(folder), defaultTask(base.config))).config;
}

/** One run on the screen: takes the trainer's records, shows them, and sums up at the end. */
class Run {
  readonly #options: TrainVerbOptions;
  readonly #writesText: boolean;
  readonly #output: Output;
  readonly #display: TrainingDisplay;
  readonly #state: TrainingState;
  readonly #began = performance.now();
  #last: TrainRecord | null = null;
  #checkpointStep: number | null = null;

  constructor(options: TrainVerbOptions, peft: PeftConfig, training: ResolvedTraining, output: Output) {
    this.#options = options;
    this.#writesText = peft.task_type === 'CAUSAL_LM' || peft.task_type === 'SEQ_2_SEQ_LM';
    this.#output = output;
    this.#display = new TrainingDisplay(process.stderr, {
      hint: 'Ctrl-C stops after this step; --resume goes on from there.',
    });
    this.#state = {
      title: options.model,
      status: 'loading',
      step: 0,
      totalSteps: null,
      epoch: null,
      epochs: training.n_epochs,
      tokens: null,
      tokensPerSecond: null,
      secondsRemaining: null,
      training: [],
      evaluation: [],
    };
  }

  say(text: string): void {
    this.#display.say(text);
  }

  take(record: TrainRecord): void {
    this.#last = record;
    this.#output.line(record);
    const state = this.#state;
    switch (record.type) {
      case 'start': {
        const share = ((100 * record.trainableParameters) / record.totalParameters).toFixed(2);
        this.say(
          `${count(record.trainableParameters)} of ${count(record.totalParameters)} parameters are trained (${share} %), in ${record.precision}; ` +
            `${count(record.examples)} examples, ${count(record.tokensPerEpoch)} tokens per epoch`,
        );
        if (record.resumedFrom !== null)
          this.say(`Going on from the checkpoint of step ${record.resumedFrom}`);
        else if (this.#options.resume) this.say('No checkpoint of this run is there: beginning anew');
        state.status = 'training';
        state.totalSteps = record.totalSteps;
        state.step = record.resumedFrom ?? 0;
        this.#checkpointStep = record.resumedFrom;
        break;
      }
      case 'step':
        state.step = record.step;
        state.epoch = record.epoch;
        state.tokens = record.tokens;
        state.tokensPerSecond = record.tokensPerSecond;
        // Evaluation and saving still come: no claim of 0 seconds.
        state.secondsRemaining = record.step === record.totalSteps ? null : record.secondsRemaining;
        state.training.push({ step: record.step, loss: record.loss });
        break;
      case 'evaluation':
        state.evaluation.push({ step: record.step, loss: record.loss });
        break;
      case 'checkpoint':
        this.#checkpointStep = record.step;
        break;
      case 'stopped':
        state.status = 'stopped';
        break;
      case 'done':
        state.status = 'done';
        break;
    }
    this.#display.update(state);
  }

  close(): void {
    this.#display.close();
  }

  /** Whether the adapter is there. */
  async finish(): Promise<boolean> {
    this.close();
    const record = this.#last;
    if (record?.type !== 'done') {
      const step = record?.type === 'stopped' ? record.step : this.#state.step;
      const saved = this.#checkpointStep !== null;
      this.#output.note(
        `Stopped at step ${step}. ${saved ? 'Go on with the same command and --resume.' : 'Nothing was trained yet.'}`,
      );
      return false;
    }
    if (this.#options.curve !== undefined) {
      const { training, evaluation, title } = this.#state;
      await writeFile(this.#options.curve, lossCurveSvg({ training, evaluation, title }));
    }
    if (this.#output.json) return true;
    const { paint } = this.#output;
    const { model, output, curve } = this.#options;
    const summary = fields(
      [
        ['loss', loss(record.finalLoss)],
        ['validation', record.validationLoss === null ? null : loss(record.validationLoss)],
        ...Object.entries(record.metrics).map(([name, value]): [string, string] => [
          name.replaceAll('_', ' '),
          value.toFixed(3),
        ]),
        [
          'trained',
          `${count(record.trainedTokens)} tokens in ${record.steps} steps, ${duration((performance.now() - this.#began) / 1_000)}`,
        ],
        ['memory', `${bytes(record.peakMemoryBytes)} at most`],
        ['adapter', `${output} (${record.files.map((file) => file.path).join(', ')})`],
        ['curve', curve ?? null],
      ],
      paint,
    );
    process.stdout.write(
      `\n${summary}\n\nNext:\n  ${this.#useOf(`--model ${model} --adapter ${output}`)}\n` +
        `  graft merge --model ${model} --adapter ${output} --output merged-model\n`,
    );
    return true;
  }

  #useOf(models: string): string {
    if (this.#writesText) return `graft generate ${models} -m "…"`;
    return `graft score ${models} --input texts.jsonl --output scores.jsonl`;
  }
}
