import type { ResolvedTraining } from '../config/index.ts';
import { GraftError } from '../errors.ts';
import type { ExampleSize } from '../examples/batches/example-size.ts';
import {
  attributeErrors,
  type DataFile,
  filesOf,
  formatMismatch,
  mixtureOfFiles,
  type NamedFile,
} from '../examples/data-files.ts';
import {
  type Classes,
  classesOf,
  type ExampleSource,
  faultOfLines,
  noneLeft,
  type ReadingOptions,
  readingOptions,
  tokenizeOptions,
} from '../examples/example-source.ts';
import type { FormatName } from '../examples/formats/formats.ts';
import type { TokenizeOptions } from '../examples/formats/reading.ts';
import { type Place, placeReader } from '../examples/hold-out/hold-out.ts';
import { LabelCollector } from '../examples/label-names.ts';
import type { UnreadColumnOf } from '../examples/read-examples.ts';
import { checkFormat } from '../examples/task-formats.ts';
import { ExampleTokenizer, TemplateAllowance } from '../examples/tokenize-examples.ts';
import { isClassifier } from '../outlines/index.ts';
import { leadingPositions } from '../tuners/methods.ts';
import type { DataSample } from './estimate.ts';
import { MAX_SIZES, sampledSize, splitFiles } from './gather-sample.ts';
import { type FileSample, sampleFile } from './sample-file.ts';

export interface SampledSource extends Omit<ExampleSource, keyof ReadingOptions> {
  training: ResolvedTraining;
  /** Number of examples in each file, if known: only a part of a large file is read. */
  counts: Record<DataFile, readonly (number | null)[]>;
}

/**
 * Sizes of some of a job's examples, as in training, from a bounded part of its files, however large they are. A classifier gets the
 * classes seen in that part. Throws the errors of `readExamples` for the lines that were tokenised; if the number of a line is not
 * known, the message gives its first byte.
 */
export async function sampleExamples(given: SampledSource): Promise<DataSample> {
  const { training, counts, peft } = given;
  const source = { ...given, ...readingOptions(training) };
  const { virtualTokens } = leadingPositions(peft);
  const files = [...filesOf(given, 'training_file'), ...filesOf(given, 'validation_file')];
  const place = placeReader(training, Boolean(given.validationFile));
  const classes = isClassifier(peft.task_type) ? await seenClasses(source) : null;
  const options = tokenizeOptions(source, classes);

  const unread: UnreadColumnOf[] = [];
  const sampled: Record<DataFile, PlacedSample[]> = { training_file: [], validation_file: [] };
  let first: { file: NamedFile; format: FormatName } | null = null;
  // One file at a time, so that the lines of one are in memory.
  for (const file of files) {
    const { role, index } = file;
    const placeIn = role === 'training_file' ? place : null;
    const { format, ...sample } = await attributeErrors(file, async () => {
      const look = await sampleFile(file.path, source.columns);
      unread.push(...look.unread.map((each) => ({ param: file.param, ...each })));
      const most = Math.ceil(MAX_SIZES / filesOf(given, role).length);
      const { perLine, ...read } = sizesOf(look, source, options, virtualTokens, placeIn, most);
      return { ...read, examples: countOf(look, counts[role][index] ?? null, perLine) };
    });
    first ??= { file, format };
    if (format !== first.format) throw formatMismatch({ file, format }, first);
    sampled[role].push(sample);
  }
  const held = sampled.validation_file;
  const validation =
    held.length === 0
      ? null
      : {
          examples: held.reduce((sum, { examples }) => sum + examples, 0),
          sizes: held.flatMap(({ sizes }) => sizes),
        };
  return {
    format: first!.format,
    labels: classes?.names ?? null,
    unread,
    ...splitFiles(sampled.training_file, validation, training, mixtureOfFiles(given, training)),
  };
}

interface PlacedSample {
  examples: number;
  sizes: ExampleSize[];
  places: Place[] | null;
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

/** The classes seen in the training files. Parts of files may contain too few of them, so all their labels are mapped to class 0. */
async function seenClasses(source: ExampleSource): Promise<Classes> {
  const labels = new LabelCollector();
  let isWhole = true;
  let hasFault = false;
  const files = filesOf(source, 'training_file');
  for (const file of files)
    await attributeErrors(file, async () => {
      const look = await sampleFile(file.path, source.columns);
      for (const example of look.examples) labels.add(example);
      isWhole &&= look.isWhole;
      hasFault ||= look.fault !== null;
    });
  const param = files.length > 1 ? 'training_files' : files[0]!.param;
  return await attributeErrors({ param, prefix: '' }, async () => {
    try {
      const classes = classesOf(source, labels);
      return isWhole ? classes : { ...classes, of: () => 0 };
    } catch (error) {
      if (isWhole && !hasFault) throw error;
      return { names: ['LABEL_0', 'LABEL_1'], of: () => 0 };
    }
  });
}

/** Tokenises an even selection of the examples; `perLine` is the mean number of examples per line. Throws if lines are invalid. */
function sizesOf(
  { examples: seen, fault: unread, badLines, unit, place, bytes }: FileSample,
  { tokenizer, peft, onBadLines }: ExampleSource,
  options: TokenizeOptions,
  virtualTokens: number,
  placeIn: ReturnType<typeof placeReader>,
  most: number,
): { format: FormatName; perLine: number; sizes: ExampleSize[]; places: Place[] | null } {
  for (const { format } of seen.slice(0, 1)) checkFormat(peft.task_type, format);
  let bad = badLines;
  const examples = new ExampleTokenizer(tokenizer, options, () => bad++);
  const allowance = new TemplateAllowance(tokenizer, bytes);
  const sizes: ExampleSize[] = [];
  let more = 0;
  const places: Place[] = [];
  const picked = Math.min(seen.length, most);
  for (let i = 0; i < picked; i++) {
    const raw = seen[Math.floor((i * seen.length) / picked)]!;
    const pieces = examples.pieces(raw);
    allowance.check();
    more += Math.max(0, pieces.length - 1);
    for (const example of pieces) {
      sizes.push(sampledSize(example, virtualTokens, options.invocation));
      if (placeIn) places.push(placeIn(raw, example));
    }
  }
  const faults = [unread, examples.fault()].map((fault) => fault && placed(fault, place));
  const fault = faultOfLines(faults, bad, unit);
  if (fault && onBadLines !== 'skip') throw fault;
  if (sizes.length === 0) throw noneLeft(examples.counts, options.maxSeqLength);
  const { zero_weight: unused = 0 } = examples.counts;
  return { format: seen[0]!.format, perLine: 1 + (more - unused) / picked, sizes, places: placeIn && places };
}

function placed(fault: GraftError, place: FileSample['place']): GraftError {
  const { code, message, details = [] } = fault;
  return new GraftError(code, message, { details: details.map(place) });
}
