import {
  epochCounts,
  type Mixture,
  type PeftConfig,
  type ResolvedTraining,
  validationCount,
} from '../config/index.ts';
import { type ExampleSize, sizeOf } from '../examples/batches/example-size.ts';
import type { DataFile } from '../examples/data-files.ts';
import { formatOf, type RawExample } from '../examples/formats/formats.ts';
import { type Place, placeReader, split } from '../examples/hold-out/hold-out.ts';
import type { ExampleSummary } from '../examples/read-examples.ts';
import type { TrainingExample } from '../examples/training-example.ts';
import { invocationOf, leadingPositions } from '../tuners/methods.ts';
import type { DataSample, ExampleSample } from './estimate.ts';

/** Maximum number of sizes stored per file. */
export const MAX_SIZES = 2048;
/** Maximum number of their token ids stored for finding common prefixes: 16 MiB. */
const MAX_IDS = 4 << 20;

/** Gathers a sample while all examples of a job are read: the size of every example, or if there are many, of every second, fourth, … */
export class SampleGatherer {
  readonly #virtualTokens: number;
  readonly #training: ResolvedTraining;
  readonly #invocation: readonly number[] | null;
  readonly #place: ReturnType<typeof placeReader>;
  readonly #mixture: Mixture | null;
  readonly #files: Record<DataFile, GatheredSizes[]> = { training_file: [], validation_file: [] };

  /** `mixture`: how several training files are mixed; absent: there is one. */
  constructor(
    peft: PeftConfig,
    training: ResolvedTraining,
    hasValidationFile: boolean,
    mixture: Mixture | null = null,
  ) {
    this.#virtualTokens = leadingPositions(peft).virtualTokens;
    this.#invocation = invocationOf(peft);
    this.#training = training;
    this.#place = placeReader(training, hasValidationFile);
    this.#mixture = mixture;
  }

  /** `index`: the number of the file among those with the same role. */
  add(example: TrainingExample, file: DataFile, raw: RawExample, index = 0): void {
    const files = this.#files[file];
    files[index] ??= { examples: 0, stride: 1, sizes: [], places: this.#place && [] };
    const gathered = files[index];
    if (gathered.examples++ % gathered.stride !== 0) return;
    gathered.sizes.push(sampledSize(example, this.#virtualTokens, this.#invocation));
    if (this.#place) gathered.places!.push(this.#place(raw, example));
    // Several files share the limits.
    const share = Math.max(1, this.#mixture?.files.length ?? 1);
    if (gathered.sizes.length <= MAX_SIZES / share && idsOf(gathered.sizes) <= MAX_IDS / share) return;
    gathered.sizes = gathered.sizes.filter((_, i) => i % 2 === 0);
    gathered.places = gathered.places?.filter((_, i) => i % 2 === 0) ?? null;
    gathered.stride *= 2;
  }

  /** Returns the sample after all examples have been read; there must be at least one. */
  sample({
    format,
    labels,
    unreadColumns,
  }: Pick<ExampleSummary, 'format' | 'labels' | 'unreadColumns'>): DataSample {
    const { training_file, validation_file } = this.#files;
    const held = validation_file.length > 0 ? together(validation_file) : null;
    const files = training_file.map(({ examples, sizes, places }) => ({ examples, sizes, places }));
    return {
      format,
      labels,
      unread: unreadColumns,
      ...splitFiles(files, held, this.#training, this.#mixture),
    };
  }
}

/** Placeholder id of virtual tokens, above all vocabularies: all examples begin with the same virtual tokens. */
const anyVirtual = 2 ** 30;

/** Size of an example, with only those of its ids that other examples may share. */
export function sampledSize(
  example: TrainingExample,
  virtualTokens: number,
  invocation: readonly number[] | null = null,
): ExampleSize {
  const { shareable, ...size } = sizeOf(example, { virtualTokens, firstVirtual: anyVirtual, invocation });
  if (!shareable) return size;
  return { ...size, shareable: shareable.map(({ ids, limit }) => ({ ids: ids.slice(0, limit), limit })) };
}

const idsOf = (sizes: readonly ExampleSize[]): number =>
  sizes.reduce((sum, { shareable = [] }) => sum + shareable.reduce((own, { ids }) => own + ids.length, 0), 0);

/** Tokens of the longest example of a sample, including a soft prompt. */
export function longestOf({ format, training, validation }: DataSample, peft: PeftConfig): number {
  const { prefixLength } = leadingPositions(peft);
  const learnsNext = formatOf(format).targets === 'tokens';
  let longest = 0;
  for (const { widths, inputWidth } of [...training.sizes, ...(validation?.sizes ?? [])]) {
    // The last token of a language model's text is only a target, so widths do not include it.
    const own = Math.max(...widths) + (learnsNext && inputWidth === 0 ? 1 : 0);
    longest = Math.max(longest, own, inputWidth);
  }
  return longest + prefixLength;
}

interface GatheredSizes extends ExampleSample {
  /** One in this many examples is stored. */
  stride: number;
  /** Place of each example in the split; null if places do not determine what is held out. */
  places: Place[] | null;
}

/** Splits validation examples off the training file. Which examples are held out is known only if every example has a size. */
export function splitSample(
  { places, ...file }: ExampleSample & { places: readonly Place[] | null },
  validationFile: ExampleSample | null,
  training: ResolvedTraining,
): Pick<DataSample, 'training' | 'validation'> {
  const { examples, sizes } = file;
  const held = validationFile ? 0 : validationCount(examples, training.validation_split);
  if (held === 0) return { training: file, validation: validationFile };
  if (sizes.length === examples) {
    const parts = split(sizes, places, training);
    const of = (part: ExampleSize[]): ExampleSample => ({ examples: part.length, sizes: part });
    return {
      training: of(parts.training),
      // All examples may have the same prompt.
      validation: parts.validation.length > 0 ? of(parts.validation) : null,
    };
  }
  return { training: { examples: examples - held, sizes }, validation: { examples: held, sizes } };
}

/** A training file's sizes, with the place of each in a split. */
type PlacedSizes = ExampleSample & { places: readonly Place[] | null };

/** `splitSample` of several training files: `training` has the examples of an epoch, each file with its share. */
export function splitFiles(
  files: readonly PlacedSizes[],
  validationFile: ExampleSample | null,
  training: ResolvedTraining,
  mixture: Mixture | null,
): Pick<DataSample, 'training' | 'validation'> {
  if (!mixture) return splitSample(files[0]!, validationFile, training);
  const all = together(files);
  const held = validationFile ? 0 : validationCount(all.examples, training.validation_split);
  const parts =
    held > 0 && all.sizes.length === all.examples
      ? splitExactly(files, training)
      : files.map(({ examples, sizes }) => {
          const own = held > 0 ? validationCount(examples, training.validation_split) : 0;
          return { training: { examples: examples - own, sizes }, validation: { examples: own, sizes } };
        });
  const validation = validationFile ?? together(parts.map((part) => part.validation));
  return {
    training: mixed(
      parts.map((part) => part.training),
      mixture,
    ),
    validation: validation.examples > 0 ? validation : null,
  };
}

/** Every example has a size: each file's are those that training would have. */
function splitExactly(files: readonly PlacedSizes[], training: ResolvedTraining) {
  const owners = files.flatMap(({ sizes }, file) => sizes.map((size) => ({ file, size })));
  const places = files.every((file) => file.places) ? files.flatMap((file) => [...file.places!]) : null;
  const { training: trained, validation } = split(owners, places, training);
  const of = (part: typeof owners, file: number): ExampleSample => {
    const sizes = part.filter((each) => each.file === file).map(({ size }) => size);
    return { examples: sizes.length, sizes };
  };
  return files.map((_, file) => ({ training: of(trained, file), validation: of(validation, file) }));
}

/** The examples of an epoch, or of a very large one a selection with the same shares. */
function mixed(files: readonly ExampleSample[], mixture: Mixture): ExampleSample {
  const counts = epochCounts(
    files.map(({ examples }) => examples),
    mixture,
  );
  const examples = counts.reduce((sum, count) => sum + count, 0);
  const scale = Math.min(1, MAX_SIZES / examples);
  const sizes = files.flatMap(({ sizes }, file) => {
    const count = counts[file]!;
    const picked = count === 0 ? 0 : Math.max(1, Math.round(count * scale));
    const isSome = picked < sizes.length;
    return Array.from(
      { length: picked },
      (_, i) => sizes[isSome ? Math.floor((i * sizes.length) / picked) : i % sizes.length]!,
    );
  });
  return { examples, sizes };
}

const together = (files: readonly ExampleSample[]): ExampleSample => ({
  examples: files.reduce((sum, { examples }) => sum + examples, 0),
  sizes: files.flatMap(({ sizes }) => sizes),
});
