import type { ResolvedTraining } from '../config/index.ts';
import { GraftError } from '../errors.ts';
import type { ExampleSize } from '../examples/batches/plan-batches.ts';
import {
  type Classes,
  classesOf,
  type DataFile,
  type ExampleSource,
  faultOfLines,
  naming,
  noneLeft,
  otherFormat,
  type ReadingOptions,
  readingOptions,
  tokenizeOptions,
} from '../examples/example-source.ts';
import type { FormatName } from '../examples/formats/formats.ts';
import type { TokenizeOptions } from '../examples/formats/reading.ts';
import { type Place, placeReader } from '../examples/hold-out/hold-out.ts';
import { LabelCollector } from '../examples/label-names.ts';
import { checkFormat } from '../examples/task-formats.ts';
import { ExampleTokenizer } from '../examples/tokenize-examples.ts';
import { isClassifier } from '../outlines/index.ts';
import { leadingPositions } from '../tuners/methods.ts';
import type { DataSample } from './estimate.ts';
import { MAX_SIZES, sampledSize, splitSample } from './gather-sample.ts';
import { type FileSample, sampleFile } from './sample-file.ts';

/** A job's data files, as training reads them. */
export interface SampledSource extends Omit<ExampleSource, keyof ReadingOptions> {
  training: ResolvedTraining;
  /** Number of examples in each file, if known: only a part of a large file is read. */
  counts: Record<DataFile, number | null>;
}

/**
 * Sizes of some of a job's examples, as in training, from a bounded part of its files, however large they are. A classifier gets the
 * classes seen in that part. Throws the errors of `readExamples` for the lines that were tokenised; if the number of a line is not
 * known, the message gives its first byte.
 */
export async function sampleExamples(given: SampledSource): Promise<DataSample> {
  const { training, counts, peft, trainingFile, validationFile } = given;
  const source = { ...given, ...readingOptions(training) };
  const { virtualTokens } = leadingPositions(peft);

  const { look, classes, sample } = await naming('training_file', async () => {
    const look = await sampleFile(trainingFile, source.columns);
    const classes = isClassifier(peft.task_type) ? seenClasses(source, look) : null;
    const options = tokenizeOptions(source, classes);
    const place = placeReader(training, Boolean(validationFile));
    return { look, classes, sample: sizesOf(look, source, options, virtualTokens, place) };
  });
  const { format } = sample;
  const { sizes, places, perLine } = sample;
  const file = { examples: countOf(look, counts.training_file, perLine), sizes, places };

  const other = validationFile
    ? await naming('validation_file', async () => {
        const look = await sampleFile(validationFile, source.columns);
        const read = sizesOf(look, source, tokenizeOptions(source, classes), virtualTokens);
        return { ...read, examples: countOf(look, counts.validation_file, read.perLine) };
      })
    : null;
  if (other && other.format !== format) throw otherFormat(other.format, format);
  const held = other && { examples: other.examples, sizes: other.sizes };
  return { format, labels: classes?.names ?? null, ...splitSample(file, held, training) };
}

/** `perLine`: mean number of pieces that a line is split into. */
function countOf(
  { isWhole, examples, bytes, seenBytes }: FileSample,
  known: number | null,
  perLine: number,
): number {
  const lines = isWhole ? examples.length : (known ?? Math.round((examples.length * bytes) / seenBytes));
  return Math.round(lines * perLine);
}

/** The classes seen in a file. A part of a file may contain too few of them, so all its labels are mapped to class 0. */
function seenClasses(source: ExampleSource, { examples, isWhole, fault }: FileSample): Classes {
  const labels = new LabelCollector();
  for (const example of examples) labels.add(example);
  try {
    const classes = classesOf(source, labels);
    return isWhole ? classes : { ...classes, of: () => 0 };
  } catch (error) {
    if (isWhole && !fault) throw error;
    return { names: ['LABEL_0', 'LABEL_1'], of: () => 0 };
  }
}

/** Tokenises an even selection of the examples; `perLine` is the mean number of examples per line. Throws if lines are invalid. */
function sizesOf(
  { examples: seen, fault: unread, badLines, unit, place }: FileSample,
  { tokenizer, peft }: ExampleSource,
  options: TokenizeOptions,
  virtualTokens: number,
  placeIn: ReturnType<typeof placeReader> = null,
): { format: FormatName; perLine: number; sizes: ExampleSize[]; places: Place[] | null } {
  for (const { format } of seen.slice(0, 1)) checkFormat(peft.task_type, format);
  let bad = badLines;
  const examples = new ExampleTokenizer(tokenizer, options, () => bad++);
  const sizes: ExampleSize[] = [];
  let more = 0;
  const places: Place[] = [];
  const picked = Math.min(seen.length, MAX_SIZES);
  for (let i = 0; i < picked; i++) {
    const raw = seen[Math.floor((i * seen.length) / picked)]!;
    const pieces = examples.pieces(raw);
    more += Math.max(0, pieces.length - 1);
    for (const example of pieces) {
      sizes.push(sampledSize(example, virtualTokens));
      if (placeIn) places.push(placeIn(raw, example));
    }
  }
  const faults = [unread, examples.fault()].map((fault) => fault && placed(fault, place));
  const fault = faultOfLines(faults, bad, unit);
  if (fault) throw fault;
  if (sizes.length === 0) throw noneLeft(examples.counts, options.maxSeqLength);
  const { zero_weight: unused = 0 } = examples.counts;
  return { format: seen[0]!.format, perLine: 1 + (more - unused) / picked, sizes, places: placeIn && places };
}

function placed(fault: GraftError, place: FileSample['place']): GraftError {
  const { code, message, details = [] } = fault;
  return new GraftError(code, message, { details: details.map(place) });
}
