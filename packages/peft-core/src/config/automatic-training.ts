/** Rules for the options that a job leaves to Graft; each rule also gives its reason in words. */
import { WITH_TOOLS } from '../chat/template-tools.ts';
import { EVAL_LOSS, isGreaterBetter } from '../objectives/metrics.ts';
import { objectiveFor } from '../objectives/objectives.ts';
import { families } from '../outlines/families.ts';
import { isClassifier, writesText } from '../outlines/outline.ts';
import type { RatedModel } from '../tuners/method.ts';
import { methodOf, type PeftConfig } from '../tuners/methods.ts';
import { peftReasons } from './choose-peft.ts';
import type { Hyperparameters, ResolvedTraining, TrainingOptions } from './training-options.ts';

/** Exponents of the model families whose learning rates depend on their width. */
const exponents = [...new Set(Object.values(families).flatMap(({ rateExponent }) => rateExponent ?? []))];

const epochsAbove = [
  { examples: 20_000, epochs: 1 },
  { examples: 5_000, epochs: 2 },
];
const usualEpochs = 3;
/** Few examples are repeated, for about ninety steps in total, up to the point where the model would memorise them. */
const fewestSeen = 720;
/** Mean length in characters up to which an answer is only a name, a label or a few values. */
const shortAnswer = 64;
/** Maximum number of epochs for few examples, and maximum factor by which a short run's rate may exceed that of a long run. */
const limits = {
  nothingWritten: { epochs: 12, rateFactor: 4 },
  shortAnswers: { epochs: 6, rateFactor: 4 },
  longAnswers: { epochs: usualEpochs, rateFactor: 2 },
};
const { epochs: maxEpochs, rateFactor: largestRateFactor } = limits.nothingWritten;
/**
 * Runs with fewer optimizer steps use a larger rate, so that the product of steps and rate stays the same. The head of a classifier
 * starts with random weights and needs to change more.
 */
const [fullRun, fullRunOfHead] = [128, 192];
const usualBatch = 8;
const usualWarmup = 0.03;
const longestSequence = 2048;
/** Runs with fewer steps have no warmup. */
const fewestWarmed = 10;
/** Factor of the rate when an adapter is continued: a smaller rate preserves more of it. Chosen, not measured: docs/auto.md. */
const shareOfContinued = 0.5;
/** Runs with fewer than `evaluatedByEpoch` epochs are evaluated `evaluations` times, others once per epoch. */
const [evaluatedByEpoch, evaluations] = [3, 4];
/** Maximum of `max_seq_length` for all models. */
const longestContext = 131_072;
const lengthMultiple = 8;
const [fewestCheckpointSteps, mostCheckpointSteps] = [10, 500];

/** Known sizes of the training file. */
export interface DataSize {
  /** Number of examples before a validation split; 0: not known yet. */
  exampleCount: number;
  /** Total characters that a language model is trained to generate; null: not known. */
  answerCharacters?: number | null;
  /** Format of the lines, and the method of the request; null: see `objectiveFor`. */
  format?: string | null;
  method?: string | null;
  /** Tokens of the longest example, including a soft prompt; null: not known. */
  longestExample?: number | null;
}

export interface LengthLimits {
  /** Maximum number of tokens that the base model can attend to, where known. */
  contextLength?: number;
  quotaLength?: number | null;
  /** Longer examples are split, so that no example needs the whole context. */
  splitsTexts?: boolean;
}

/** Maximum length of an example in a job that does not specify it. */
export function seqLengthLimit({ contextLength, quotaLength, splitsTexts = false }: LengthLimits): number {
  const most = splitsTexts ? longestSequence : longestContext;
  return Math.min(most, contextLength ?? most, quotaLength ?? most);
}

/** Answers of unknown length are treated as long: too few epochs do less harm than too many. */
function limitsOf({ task_type: task }: PeftConfig, { exampleCount, answerCharacters }: DataSize) {
  if (!writesText(task)) return limits.nothingWritten;
  const mean = (answerCharacters ?? Number.POSITIVE_INFINITY) / Math.max(1, exampleCount);
  return mean <= shortAnswer ? limits.shortAnswers : limits.longAnswers;
}

/** The learning rate, to two digits. Without `run`, that of a long run. */
function rateOf(
  peft: PeftConfig,
  model?: RatedModel,
  run?: { steps: number; rateFactor: number },
  share = 1,
): number {
  const { learningRate, maxRateFactor } = methodOf(peft);
  const full = isClassifier(peft.task_type) ? fullRunOfHead : fullRun;
  const times = run
    ? Math.max(1, Math.min(maxRateFactor?.(peft, run.rateFactor) ?? run.rateFactor, full / run.steps))
    : 1;
  return Number((learningRate(peft, model) * times * share).toPrecision(2));
}
/** Returns true if `rate` can be the automatic rate for some base model of realistic width and some number of steps. */
function isOfSome(rate: number, peft: PeftConfig): boolean {
  const rates = exponents.flatMap((rateExponent) =>
    [32, 65_536].map((hiddenSize) => rateOf(peft, { rateExponent, hiddenSize })),
  );
  return rate >= shareOfContinued * Math.min(...rates) && rate <= largestRateFactor * Math.max(...rates);
}
const rateShareOf = (
  { task_type: task }: PeftConfig,
  format?: string | null,
  method?: string | null,
  { continues, isKnown }: { continues?: boolean; isKnown?: boolean | undefined } = {},
): number => {
  const start = continues ? 'continued' : isKnown ? 'known' : 'fresh';
  return objectiveFor(task, format, method).rateShares?.[start] ?? 1;
};
const warmupShareOf = (peft: PeftConfig) => methodOf(peft).warmupShare ?? usualWarmup;
const grouped = (count: number) => count.toLocaleString('en-US');

/** `why` gives the reason for a value that a rule has chosen; null if only the rule of an earlier version can have chosen it. */
export const automatic = {
  n_epochs: {
    value(peft: PeftConfig, data: DataSize): number {
      const fewer = epochsAbove.find((each) => data.exampleCount > each.examples)?.epochs;
      const enough = Math.round(fewestSeen / Math.max(1, data.exampleCount));
      return fewer ?? Math.min(limitsOf(peft, data).epochs, Math.max(usualEpochs, enough));
    },
    why(epochs: number, maxSteps: number | null): string | null {
      if (epochs > usualEpochs && maxSteps !== null)
        return 'for few examples, or for as many steps as max_steps';
      if (epochs > usualEpochs && epochs <= maxEpochs) return 'for few examples, which are seen more often';
      if (epochs === usualEpochs) return `for up to ${grouped(epochsAbove.at(-1)!.examples)} examples`;
      const rule = epochsAbove.find((each) => each.epochs === epochs);
      return rule ? `for more than ${grouped(rule.examples)} examples` : null;
    },
  },
  batch_size: {
    /** Examples per pass, as in HF's TrainingArguments. `trained`: number of examples left for training. */
    value: (peft: PeftConfig, data: DataSize, trained: number) =>
      Math.min(objectiveFor(peft.task_type, data.format, data.method).batch?.usual ?? usualBatch, trained),
    why(batch: number, accumulation: number, { task_type: task }: PeftConfig): string | null {
      const { batch: own } = objectiveFor(task);
      if (own && batch === own.usual) return own.why;
      if (own && batch > usualBatch && batch < own.usual) return 'all examples that there are';
      if (batch > usualBatch) return null;
      const steps = accumulation === 1 ? '' : `, with gradient_accumulation_steps ${accumulation}`;
      // Earlier versions divided the batch by the number of passes.
      const wasDivided = accumulation > 1 && batch === Math.max(1, Math.floor(usualBatch / accumulation));
      if (batch < usualBatch && !wasDivided) return 'all examples that there are';
      return `for ${batch * accumulation} examples a step${steps}`;
    },
  },
  /** Has no `value` rule: `fittingChanges`, which knows the workers, sets it when nothing else makes a job fit. */
  mini_batch_size: {
    why: (size: number | null) =>
      size === null ? null : 'the whole batch at once would need more memory than any worker has',
  },
  learning_rate: {
    /**
     * `steps`: steps of the run, which matter once the number of examples is known. A run that continues from an adapter uses half the rate
     * of a long run, however short it is.
     */
    value(
      peft: PeftConfig,
      data: DataSize,
      { steps, continues, isKnown, model, multiplier = 1 }: RatedRun & { steps: number },
    ): number {
      const share = rateShareOf(peft, data.format, data.method, { continues, isKnown });
      if (continues) return rateOf(peft, model, undefined, shareOfContinued * share) * multiplier;
      const run = data.exampleCount > 0 ? { steps, ...limitsOf(peft, data) } : undefined;
      return rateOf(peft, model, run, share) * multiplier;
    },
    why(rate: number, peft: PeftConfig, run: RatedRun & { ifKnown?: number | undefined }): string | null {
      const { continues, multiplier, method, ifKnown } = run;
      const { title } = methodOf(peft);
      const own = Number((rate / (multiplier ?? 1)).toPrecision(12));
      const isKnown = rate === ifKnown;
      const share = rateShareOf(peft, null, method, { continues, isKnown });
      if (share !== 1) {
        const shared = `${share} of what suits ${title}, for the method ${method}`;
        if (isKnown) return `${shared} where the base model gives the chosen answers already`;
        if (ifKnown === undefined) return shared;
        return `${shared}; ${ifKnown.toExponential()} if the reference pass, before the first step, finds that the base model gives the chosen answers already`;
      }
      const isPlain = own === rateOf(peft, undefined, undefined, continues ? shareOfContinued : 1);
      if (!isPlain && !isOfSome(own, peft)) return null;
      const half = isPlain && continues ? 'half of ' : '';
      const where = continues
        ? ' where an adapter is continued'
        : isPlain
          ? ''
          : ' on this base model for this number of steps';
      if (multiplier === undefined) return `${half}what suits ${title}${where}`;
      const which = half === '' ? 'which suits' : 'half of what suits';
      return `${own.toExponential()}, ${which} ${title}${where}, × learning_rate_multiplier ${multiplier}`;
    },
  },
  warmup_steps: {
    /** At least one step has the full rate. A constant rate has warmup only if requested. */
    value: (peft: PeftConfig, steps: number, rises: boolean) =>
      rises && steps >= fewestWarmed ? Math.min(steps - 1, Math.ceil(steps * warmupShareOf(peft))) : 0,
    why(peft: PeftConfig, { warmup_steps: steps, lr_scheduler_type: schedule }: ResolvedTraining): string {
      if (steps > 0) return `${100 * warmupShareOf(peft)} % of all steps`;
      return schedule === 'constant'
        ? 'a constant rate does not rise unless it is asked to'
        : `none in fewer than ${fewestWarmed} steps`;
    },
  },
  max_seq_length: {
    value(limits: LengthLimits, longest: number | null): number {
      const most = seqLengthLimit(limits);
      if (longest === null) return Math.min(longestSequence, most);
      return Math.min(most, lengthMultiple * Math.ceil(longest / lengthMultiple));
    },
    /** `isOfData` is false for jobs of earlier versions, which used the same length for all data. */
    why(length: number, isOfData: boolean): string | null {
      if (isOfData) return "the longest example, within the base model's context; longer texts are split";
      if (length > longestSequence) return null;
      return length < longestSequence
        ? "the base model's context"
        : "enough for most data, and within the base model's context";
    },
  },
  eval_steps: {
    value: (stepsPerEpoch: number, steps: number) =>
      steps >= evaluatedByEpoch * stepsPerEpoch ? stepsPerEpoch : Math.ceil(steps / evaluations),
    why: ({ n_epochs: epochs, max_steps: most }: ResolvedTraining) =>
      epochs >= evaluatedByEpoch && most === null
        ? 'one training epoch'
        : 'one training epoch, or a quarter of a run of fewer than three',
  },
  checkpoint_steps: {
    value: (steps: number) =>
      Math.min(mostCheckpointSteps, Math.max(fewestCheckpointSteps, Math.ceil(steps / 10))),
    why(every: number): string {
      if (every <= fewestCheckpointSteps)
        return `a tenth of all steps, but at least ${fewestCheckpointSteps}`;
      return every < mostCheckpointSteps
        ? 'a tenth of all steps'
        : `a tenth of all steps, but at most ${mostCheckpointSteps}`;
    },
  },
  /**
   * With longer texts, attention, which checkpointing does not recompute, dominates the time of a step. Where nothing else makes a job
   * fit, `fittingChanges`, which knows the workers, also turns checkpointing on for shorter texts.
   */
  gradient_checkpointing: {
    value: (maxSeqLength: number) => maxSeqLength > longestSequence,
    why(on: boolean, maxSeqLength: number): string | null {
      if (!on) return null;
      return maxSeqLength > longestSequence
        ? `with max_seq_length above ${longestSequence} it halves the memory, and takes a tenth of the time`
        : 'without it training would need more memory than any worker has';
    },
  },
  load_best_model_at_end: {
    value: (patience: number | null) => patience !== null,
    why: (on: boolean) => (on ? 'as early_stopping_patience is for' : null),
  },
  greater_is_better: {
    value: isGreaterBetter,
    why: (_: boolean, metric: string) =>
      metric === EVAL_LOSS || metric.endsWith('_loss') ? `${metric} is a loss` : `${metric} is no loss`,
  },
};

/** Inputs of a learning rate besides the method and the data. */
interface RatedRun {
  continues: boolean;
  /** The base model gives the chosen answers already. */
  isKnown?: boolean;
  model?: RatedModel | undefined;
  multiplier?: number | undefined;
  /** `method.type` of the job. */
  method?: string | null | undefined;
}

export type AutomaticOption = keyof typeof automatic;

/** The value that a job requests; undefined if it leaves the option to Graft. */
export function fixed<Value extends number | boolean | null>(
  value: Value | 'auto' | undefined,
): Value | undefined {
  return value === 'auto' ? undefined : value;
}

/** Reasons for the values of options that a job left to Graft, including those of `peft`; each reads as a continuation of the value. */
export function trainingReasons(
  asked: {
    peft: PeftConfig;
    training: TrainingOptions;
    hyperparameters: Hyperparameters;
    continues?: boolean;
    /** `peft` of the request, if known. */
    peftGiven?: unknown;
    /** `method.type` of the job. */
    method?: string | null;
  },
  resolved: ResolvedTraining,
): Record<string, string> {
  const { peft, training, hyperparameters, continues = false } = asked;
  const multiplier = fixed(hyperparameters.learning_rate_multiplier);
  const reasons: Record<AutomaticOption, () => string | null> = {
    learning_rate: () =>
      automatic.learning_rate.why(resolved.learning_rate, peft, {
        continues,
        multiplier,
        method: asked.method,
        ifKnown: resolved.learning_rate_if_known,
      }),
    n_epochs: () => automatic.n_epochs.why(resolved.n_epochs, resolved.max_steps),
    batch_size: () =>
      automatic.batch_size.why(resolved.batch_size, resolved.gradient_accumulation_steps, peft),
    mini_batch_size: () => automatic.mini_batch_size.why(resolved.mini_batch_size),
    warmup_steps: () => automatic.warmup_steps.why(peft, resolved),
    max_seq_length: () =>
      automatic.max_seq_length.why(resolved.max_seq_length, resolved.text_stride !== undefined),
    eval_steps: () => automatic.eval_steps.why(resolved),
    checkpoint_steps: () => automatic.checkpoint_steps.why(resolved.checkpoint_steps),
    gradient_checkpointing: () =>
      automatic.gradient_checkpointing.why(resolved.gradient_checkpointing, resolved.max_seq_length),
    load_best_model_at_end: () => automatic.load_best_model_at_end.why(resolved.load_best_model_at_end),
    greater_is_better: () =>
      automatic.greater_is_better.why(resolved.greater_is_better, resolved.metric_for_best_model),
  };
  const given = (option: AutomaticOption) =>
    (training[option] ?? 'auto') !== 'auto' ||
    ((option === 'n_epochs' || option === 'batch_size') && fixed(hyperparameters[option]) !== undefined);
  const explained = (Object.keys(reasons) as AutomaticOption[])
    // Jobs of versions without an option have no value for it.
    .filter((option) => !given(option) && resolved[option] !== undefined)
    .map((option) => [option, reasons[option]()] as const);
  const optionReasons = Object.fromEntries(
    explained.flatMap(([name, why]) => (why === null ? [] : [[name, why]])),
  );
  const epochs = training.n_epochs ?? fixed(hyperparameters.n_epochs);
  if (epochs !== undefined && resolved.n_epochs > epochs)
    optionReasons.n_epochs = `more than the requested ${epochs}: max_steps needs them`;
  if (training.chat_template === undefined && resolved.chat_template !== undefined)
    optionReasons.chat_template = 'that of the adapter that training continues from';
  if (training.chat_template === WITH_TOOLS)
    optionReasons.chat_template =
      resolved.chat_template === undefined
        ? "the base model's, which has tools"
        : "the base model's, to which Graft added tools";
  if (training.prompts === undefined && resolved.prompts !== undefined)
    optionReasons.prompts = continues
      ? 'those of the adapter that training continues from'
      : 'those of the base model';
  return { ...optionReasons, ...peftReasons(peft, asked.peftGiven) };
}
