import { writeFile } from 'node:fs/promises';
import type { TrainRecord } from '@graft/peft-core';
import type { ResolvedTraining, SweepTrial } from '@graft/peft-core/config';
import { writesText } from '@graft/peft-core/outlines';
import { lossCurveSvg } from '../draw/loss-curve-svg.ts';
import { bytes, count, duration, loss } from '../draw/quantities.ts';
import { type Fields, fields } from '../draw/table.ts';
import { TrainingDisplay } from '../draw/training-display.ts';
import { endText } from '../draw/training-end.ts';
import type { TrainingState } from '../draw/training-view.ts';
import type { Output } from '../output.ts';
import type { FinishedRun } from './served-figures.ts';

interface Options {
  /** As given by the user. */
  model: string;
  /** Output folder of the adapter. */
  output: string;
  resume?: boolean;
  /** SVG file for the loss curve. */
  curve?: string;
}
/** Displays one run: receives the trainer's records, shows progress, and prints a summary at the end. */
export class TrainingRun {
  readonly #options: Options;
  readonly #names: readonly string[];
  /** Number of rungs reported so far, by trial. */
  readonly #reportedRungs: number[] = [];
  readonly #writesText: boolean;
  readonly #output: Output;
  readonly #display: TrainingDisplay;
  readonly #state: TrainingState;
  readonly #began = performance.now();
  #last: TrainRecord | FinishedRun | null = null;
  #checkpointStep: number | null = null;
  /** Number of checkpoints, total seconds spent writing them, and size of the last one. */
  readonly #checkpoints = { count: 0, seconds: 0, bytes: 0 };

  /** @param names of a sweep's trials; empty for a plain run */
  constructor(
    options: Options,
    { peft, training }: SweepTrial<ResolvedTraining>,
    names: readonly string[],
    output: Output,
  ) {
    this.#options = options;
    this.#names = names;
    this.#writesText = writesText(peft.task_type);
    this.#output = output;
    this.#display = new TrainingDisplay(process.stderr, {
      hint: 'Ctrl-C stops after this step; --resume continues from there.',
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

  take(record: TrainRecord | FinishedRun): void {
    this.#last = record;
    this.#output.line(record.type === 'start' ? { ...record, series: undefined } : record);
    const state = this.#state;
    switch (record.type) {
      case 'start': {
        const share = ((100 * record.trainableParameters) / record.totalParameters).toFixed(2);
        this.say(
          `${count(record.trainableParameters)} of ${count(record.totalParameters)} parameters are trainable (${share} %), in ${record.precision}; ` +
            `${count(record.examples)} examples, ${count(record.tokensPerEpoch)} tokens per epoch`,
        );
        this.say(record.sharing.message);
        for (const { step, reason } of record.passedOver)
          this.say(`The checkpoint of step ${step} is not continued: ${reason}`);
        if (record.resumedFrom !== null)
          this.say(`Resuming from the checkpoint at step ${record.resumedFrom}`);
        else if (this.#options.resume) this.say('No checkpoint of this run found: starting over');
        state.status = 'training';
        state.totalSteps = record.totalSteps;
        state.step = record.resumedFrom ?? 0;
        // Draws the whole curve, including the steps before the checkpoint.
        if (record.series) {
          const { train, evaluation } = record.series;
          state.training.push(...Array.from(train.loss, (loss, i) => ({ step: i + 1, loss })));
          state.evaluation.push(
            ...Array.from(evaluation.loss, (loss, i) => ({ step: evaluation.step[i]!, loss })),
          );
        }
        this.#checkpointStep = record.resumedFrom;
        break;
      }
      case 'inputs':
        if (record.ended)
          this.say(
            `Computed start values from ${record.done.toLocaleString('en-US')} of ${record.of.toLocaleString('en-US')} examples`,
          );
        break;
      case 'reference':
        if (record.done === record.of)
          this.say(
            `Computed the reference of ${record.of.toLocaleString('en-US')} examples${record.decided?.isKnown ? ': the base model gives the chosen answers already, so training uses learning_rate_if_known' : ''}`,
          );
        break;
      case 'step':
        state.step = record.step;
        state.epoch = record.epoch;
        state.tokens = record.tokens;
        state.tokensPerSecond = record.tokensPerSecond;
        // After the last step, evaluation and saving still take time, so 0 seconds would be wrong.
        state.secondsRemaining = record.step === record.totalSteps ? null : record.secondsRemaining;
        state.training.push({ step: record.step, loss: record.loss });
        break;
      case 'evaluation':
        state.evaluation.push({ step: record.step, loss: record.loss, metrics: record.metrics });
        break;
      case 'advice':
        this.say(record.message);
        break;
      case 'trials':
        this.#sayTrials(record.trials);
        break;
      case 'checkpoint':
        this.#checkpointStep = record.step;
        this.#checkpoints.count += 1;
        this.#checkpoints.seconds += record.seconds;
        this.#checkpoints.bytes = record.bytes;
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

  /** Reports the rungs that trials reached since the last report. */
  #sayTrials(rows: Extract<TrainRecord, { type: 'trials' }>['trials']): void {
    for (const { trial, status, rungs } of rows) {
      const name = `Trial ${trial} (${this.#names[trial - 1]})`;
      for (const rung of rungs.slice(this.#reportedRungs[trial] ?? 0))
        this.say(
          `${name}: validation loss ${rung.loss === null ? 'is not a number' : loss(rung.loss)} at step ${rung.step}`,
        );
      this.#reportedRungs[trial] = rungs.length;
      if (status === 'won') this.say(`${name} is the best`);
    }
  }

  close(): void {
    this.#display.close();
  }

  /** Prints the summary. Returns whether the adapter was written. */
  async finish(): Promise<boolean> {
    this.close();
    const record = this.#last;
    if (record?.type !== 'done') {
      const step = record?.type === 'stopped' ? record.step : this.#state.step;
      const saved = this.#checkpointStep !== null;
      this.#output.note(
        `Stopped at step ${step}. ${saved ? 'Continue with the same command and --resume.' : 'Nothing was trained yet.'}`,
      );
      return false;
    }
    if (this.#options.curve !== undefined) {
      const { training, evaluation, title } = this.#state;
      await writeFile(this.#options.curve, lossCurveSvg({ training, evaluation, title }));
    }
    if (this.#output.json) return true;
    const { model, output, curve } = this.#options;
    const metrics = Object.entries(record.metrics).map(([name, value]) => [
      name.replaceAll('_', ' '),
      value.toFixed(3),
    ]);
    const took = duration((performance.now() - this.#began) / 1_000);
    const values: Fields = {
      loss: loss(record.finalLoss),
      validation:
        record.validationLoss === null ? null : [loss(record.validationLoss), ...quantisedNote(record)],
      ...Object.fromEntries(metrics),
      trained: `${count(record.trainedTokens)} tokens in ${record.steps} steps, ${took}`,
      ended: endText({ step: record.steps, ...record }, 'written'),
      checkpoints: this.#checkpointSummary(),
      memory: `${bytes(record.peakMemoryBytes)} at most`,
      adapter: `${output} (${record.files.map((file) => file.path).join(', ')})`,
      curve,
    };
    const summary = fields(values, this.#output.paint);
    process.stdout.write(
      `\n${summary}\n\nNext:\n  ${this.#exampleUse(`--model ${model} --adapter ${output}`)}\n` +
        `  graft merge --model ${model} --adapter ${output} --output merged-model\n`,
    );
    return true;
  }

  #checkpointSummary(): string | null {
    const { count: written, seconds, bytes: size } = this.#checkpoints;
    return written === 0 ? null : `${count(written)} of ${bytes(size)}, written in ${seconds.toFixed(1)} s`;
  }

  #exampleUse(models: string): string {
    if (this.#writesText) return `graft generate ${models} -m "…"`;
    return `graft score ${models} --input texts.jsonl --output scores.jsonl`;
  }
}

/** For an adapter that was trained on a quantised base: the base of the validation metrics. */
function quantisedNote({ quantised }: FinishedRun): string[] {
  const trained = quantised?.quantised_validation_loss;
  if (!quantised || trained === undefined || trained === null) return [];
  const { base_dtype: dtype, validation_loss: served } = quantised;
  return served === null
    ? [`on the base in ${dtype}, as it was trained; the original one does not fit this machine`]
    : [`on the original base; ${loss(trained)} on the one in ${dtype}, as it was trained`];
}
