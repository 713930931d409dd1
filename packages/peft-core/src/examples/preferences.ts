import type { ResolvedTraining } from '../config/index.ts';
import { GraftError } from '../errors.ts';
import type { Objective } from '../objectives/objective.ts';
import { permutation, Random } from '../random.ts';
import { promptTargets } from './batches/example-size.ts';
import type { TrainingData } from './training-data.ts';
import { NO_TARGET, type Sequence, type TrainingExample } from './training-example.ts';

/** The labels of judged completions, of which training needs both. */
export class JudgedLabels {
  readonly #method: string;
  readonly #seen = new Set<boolean>();

  /** `method`: as in requests. */
  constructor(method: string) {
    this.#method = method;
  }

  /** A pair has a completion of each label. */
  add({ isDesirable }: Pick<TrainingExample, 'isDesirable'>): void {
    for (const label of isDesirable === undefined ? [true, false] : [isDesirable]) this.#seen.add(label);
  }

  /** Throws GraftError `data_unfit_for_task` if all labels are the same. */
  check(): void {
    if (this.#seen.size !== 1) return;
    const [label] = this.#seen;
    throw new GraftError(
      'data_unfit_for_task',
      `every completion has the label ${label}; the method ${this.#method} needs desirable and undesirable ones: add completions with the label ${!label}`,
      { param: 'training_file' },
    );
  }
}

/** Each pair as two judged examples: first all chosen completions, then all rejected ones. Other examples are left as they are. */
export function unpaired(examples: readonly TrainingExample[]): TrainingExample[] {
  const part = (n: 0 | 1) =>
    examples.flatMap((example): TrainingExample[] => {
      const { sequences } = example;
      if (sequences.length === 1) return n === 0 ? [example] : [];
      const own = sequences[n]!;
      return [{ ...example, sequences: [own], isDesirable: n === 0, tokens: own.ids.length + 1 }];
    });
  return [...part(0), ...part(1)];
}

/**
 * Judged examples, each with a second sequence: its prompt with the completion of the example before it, in groups of `size`; the first
 * of a group has that of the last. So the groups have the same completions twice, with other prompts.
 * Source: trl, trainer/kto_trainer.py (add_kl_completion_ids).
 */
export function withOtherCompletions(
  examples: readonly TrainingExample[],
  size: number,
  maxSeqLength: number,
): TrainingExample[] {
  return examples.map((example, i) => {
    const start = i - (i % size);
    const end = Math.min(start + size, examples.length);
    const before = examples[i === start ? end - 1 : i - 1]!;
    const [own, other] = [example.sequences[0]!, before.sequences[0]!];
    return { ...example, sequences: [own, answered(own, other, maxSeqLength)] };
  });
}

/** The prompt of one sequence with the completion of another. */
function answered(asked: Sequence, { ids, targets }: Sequence, maxSeqLength: number): Sequence {
  const prompt = asked.ids.subarray(0, promptTargets(asked.targets!) + 1);
  const first = promptTargets(targets!);
  const completion = Int32Array.of(...ids.subarray(first + 1), targets!.at(-1)!);
  const whole = Int32Array.of(...prompt, ...completion).subarray(0, maxSeqLength);
  const own = new Int32Array(whole.length - 1).fill(NO_TARGET);
  for (let t = prompt.length - 1; t < own.length; t++) {
    // Tokens of the completion that are no targets, such as results of tools, are none here.
    const target = targets![first + t - (prompt.length - 1)]!;
    own[t] = target === NO_TARGET ? NO_TARGET : whole[t + 1]!;
  }
  return { ids: whole.subarray(0, -1), targets: own };
}

/** The examples with what the objective adds to them. Throws `data_unfit_for_task`. */
export function examplesFor(
  data: TrainingData,
  { isUnpaired, method }: Objective,
  { batch_size: size, max_seq_length: length, seed }: ResolvedTraining,
): TrainingData {
  if (!isUnpaired) return data;
  const unfit = (message: string) =>
    new GraftError('data_unfit_for_task', message, { param: 'training_file' });
  const isPair = ({ sequences }: TrainingExample) => sequences.length > 1;
  if (data.mixed && data.training.some(isPair))
    throw unfit(
      `the method ${method} takes pairs apart, which mix_strategy does not allow; use one training file, or lines of {"prompt", "completion", "label"}`,
    );
  const judged = (examples: readonly TrainingExample[]) => {
    const all = unpaired(examples);
    if (data.mixed) return withOtherCompletions(all, size, length);
    const order = Array.from(permutation(all.length, new Random(seed, 'groups')), (i) => all[i]!);
    return withOtherCompletions(order, size, length);
  };
  const training = judged(data.training);
  const labels = new JudgedLabels(method);
  for (const example of training) labels.add(example);
  labels.check();
  // Validation files are measured apart, so none lends a completion to another.
  let first = 0;
  const counts = data.validationSets?.map(({ examples }) => examples) ?? [data.validation.length];
  const parts = counts.map((count) => {
    const own = data.validation.slice(first, first + count);
    first += count;
    return withOtherCompletions(unpaired(own), size, length);
  });
  const validationSets =
    data.validationSets?.map((set, i) => ({ ...set, examples: parts[i]!.length })) ?? null;
  return { ...data, training, validation: parts.flat(), validationSets };
}
