import { type PeftConfig, type ResolvedTraining, validationCount } from '../config/index.ts';
import { type ExampleSize, sizeOf } from '../examples/batches/plan-batches.ts';
import type { DataFile } from '../examples/example-source.ts';
import { formatOf, type RawExample } from '../examples/formats/formats.ts';
import { type Place, placeReader, split } from '../examples/hold-out/hold-out.ts';
import type { TrainingExample } from '../examples/training-example.ts';
import { leadingPositions } from '../tuners/methods.ts';
import type { DataSample, ExampleSample } from './estimate.ts';

/** Maximum number of sizes stored per file. */
export const MAX_SIZES = 2048;
/** Maximum number of their token ids stored for finding common prefixes: 16 MiB. */
const MAX_IDS = 4 << 20;

/** Gathers a sample while all examples of a job are read: the size of every example, or if there are many, of every second, fourth, … */
export class SampleGatherer {
  readonly #virtualTokens: number;
  readonly #training: ResolvedTraining;
  readonly #place: ReturnType<typeof placeReader>;
  readonly #files: Partial<Record<DataFile, GatheredSizes>> = {};

  constructor(peft: PeftConfig, training: ResolvedTraining, hasValidationFile: boolean) {
    this.#virtualTokens = leadingPositions(peft).virtualTokens;
    this.#training = training;
    this.#place = placeReader(training, hasValidationFile);
  }

  add(example: TrainingExample, file: DataFile, raw: RawExample): void {
    this.#files[file] ??= { examples: 0, stride: 1, sizes: [], places: this.#place && [] };
    const gathered = this.#files[file];
    if (gathered.examples++ % gathered.stride !== 0) return;
    gathered.sizes.push(sampledSize(example, this.#virtualTokens));
    if (this.#place) gathered.places!.push(this.#place(raw, example));
    if (gathered.sizes.length <= MAX_SIZES && idsOf(gathered.sizes) <= MAX_IDS) return;
    gathered.sizes = gathered.sizes.filter((_, i) => i % 2 === 0);
    gathered.places = gathered.places?.filter((_, i) => i % 2 === 0) ?? null;
    gathered.stride *= 2;
  }

  /** Returns the sample after all examples have been read; there must be at least one. */
  sample(data: Pick<DataSample, 'format' | 'labels'>): DataSample {
    const { format, labels } = data;
    const { training_file, validation_file = null } = this.#files;
    const of = ({ examples, sizes }: GatheredSizes): ExampleSample => ({ examples, sizes });
    const parts = splitSample(
      { ...of(training_file!), places: training_file!.places },
      validation_file && of(validation_file),
      this.#training,
    );
    return { format, labels, ...parts };
  }
}

/** Placeholder id of virtual tokens, above all vocabularies: all examples begin with the same virtual tokens. */
const anyVirtual = 2 ** 30;

/** Size of an example, with only those of its ids that other examples may share. */
export function sampledSize(example: TrainingExample, virtualTokens: number): ExampleSize {
  const { shareable, ...size } = sizeOf(example, virtualTokens, anyVirtual);
  if (!shareable) return size;
  const { ids, limit } = shareable;
  return { ...size, shareable: { ids: ids.slice(0, limit), limit } };
}

const idsOf = (sizes: readonly ExampleSize[]): number =>
  sizes.reduce((sum, { shareable }) => sum + (shareable?.ids.length ?? 0), 0);

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
  return {
    training: { examples: examples - held, sizes },
    validation: { examples: held, sizes },
  };
}
