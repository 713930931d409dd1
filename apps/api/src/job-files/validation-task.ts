import { checkInitialText } from '@graft/peft-core/check';
import {
  type ErrorDetail,
  epochCounts,
  GraftError,
  leadingPositions,
  listedObjectives,
  type Mixture,
  objectiveOf,
  type PeftConfig,
  shortenedDetails,
} from '@graft/peft-core/config';
import { SampleGatherer } from '@graft/peft-core/estimate';
import {
  type DataFiles,
  DuplicateCounter,
  type ExampleCounts,
  JudgedLabels,
  lengthOf,
  mixtureOfFiles,
  OverlapCounter,
  type ReadingOptions,
  readExamples,
  type SkippedLines,
  type UnreadColumnOf,
} from '@graft/peft-core/examples';
import type { Tokenizer } from '@graft/peft-core/text';
import type { DataCounts, ValidationProgress } from '@graft/service/jobs';
import { keepSample, type SampleKey } from './kept-samples.ts';

/** A job's files, tokenised as in training. */
export interface ValidationTask extends ReadingOptions, DataFiles {
  modelConfig: Record<string, unknown>;
  peft: PeftConfig;
  method: string;
  /** Key under which the example sizes are cached for the job's estimate. */
  sample: SampleKey;
}

/** The parts of a GraftError, since class instances do not survive a transfer between threads. */
export interface FileFault {
  ok: false;
  code: string;
  message: string;
  param: string;
  fault: 'user' | 'system' | 'environment';
  /** Errors by line. */
  details?: ErrorDetail[];
}

export type ValidationReport = { ok: true; tokens: number; counts: DataCounts } | FileFault;

/** A job shows this many errors, and this many ranges of lines of each. The report of the file has more. */
const maxFaults = 10;
const maxRanges = 20;
/** And this many columns of each file that were not read. */
const maxColumns = 20;
const progressMilliseconds = 200;
/** Reports every example that cannot be used. */
export async function validateFiles(
  task: ValidationTask,
  tokenizer: Tokenizer,
  onProgress: (progress: ValidationProgress) => void,
): Promise<ValidationReport> {
  const hasValidationFile = Boolean(task.validationFile);
  const mixture = mixtureOfFiles(task, task.sample.training);
  const gatherer = new SampleGatherer(task.peft, task.sample.training, hasValidationFile, mixture);
  const overlap = hasValidationFile ? new OverlapCounter() : null;
  const duplicates = task.trainingFiles ? new DuplicateCounter() : null;
  const { virtualTokens, prefixLength } = leadingPositions(task.peft);
  const judged = isUnpaired(task.method) ? new JudgedLabels(task.method) : null;
  let examples = 0;
  let longest = 0;
  /** Tokens of each training file. */
  const tokens: number[] = [];
  let reportedAt = 0;
  let counted: unknown = null;
  try {
    checkInitialText(task.peft, task.modelConfig, (text) => tokenizer.encode(text));
    const read = await readExamples(
      { ...task, tokenizer },
      {
        onExample: (example, file, raw, index) => {
          examples++;
          gatherer.add(example, file, raw, index);
          overlap?.add(raw, file, index);
          longest = Math.max(longest, lengthOf(raw.format, example));
          if (file !== 'training_file') return;
          judged?.add(example);
          tokens[index] = (tokens[index] ?? 0) + example.tokens;
          // The pieces of a split text are one line.
          if (raw !== counted) duplicates?.add(raw, index);
          counted = raw;
        },
        onBytes: (bytes, totalBytes) => {
          const now = performance.now();
          if (now - reportedAt < progressMilliseconds) return;
          reportedAt = now;
          onProgress({ bytes, totalBytes, examples });
        },
      },
    );
    // The format of the lines may not have been known before.
    objectiveOf(read.format, task.method);
    judged?.check();
    keepSample(task.sample, gatherer.sample(read));
    const { training_file: training, validation_file } = read.counts;
    return {
      ok: true,
      tokens: epochTokens(tokens, read.fileCounts.training_file, mixture),
      counts: {
        training,
        validation: hasValidationFile ? validation_file : null,
        overlap: overlap?.overlap() ?? null,
        longest: longest + virtualTokens + prefixLength,
        ...(task.trainingFiles && { trainingFiles: read.fileCounts.training_file }),
        ...(task.validationFiles && {
          validationFiles: read.fileCounts.validation_file.map((counts, i) => ({
            ...counts,
            overlap: overlap!.overlapOf(i),
          })),
        }),
        ...(duplicates && { duplicates: duplicates.duplicates() }),
        ...(read.badLines.length > 0 && { badLines: storableLines(read.badLines) }),
        ...(read.unreadColumns.length > 0 && { unreadColumns: firstColumns(read.unreadColumns) }),
      },
    };
  } catch (error) {
    return faultOf(error);
  }
}

/** Checks whether the method judges completions one by one. */
const isUnpaired = (method: string): boolean =>
  listedObjectives.some((each) => each.method === method && each.isUnpaired);

function storableLines(all: readonly SkippedLines[]): SkippedLines[] {
  const listed = new Map<string, number>();
  const kept = all.flatMap((each) => {
    const count = (listed.get(each.param) ?? 0) + 1;
    listed.set(each.param, count);
    return count > maxFaults
      ? []
      : [{ ...each, ...(each.lines && { lines: each.lines.slice(0, maxRanges) }) }];
  });
  return shortenedDetails(kept);
}

function firstColumns(all: readonly UnreadColumnOf[]): UnreadColumnOf[] {
  const listed = new Map<string, number>();
  return all.filter(({ param }) => {
    const count = (listed.get(param) ?? 0) + 1;
    listed.set(param, count);
    return count <= maxColumns;
  });
}

/** Tokens of the training files in an epoch, a validation split included. */
function epochTokens(
  tokens: readonly number[],
  counts: readonly ExampleCounts[],
  mixture: Mixture | null,
): number {
  if (!mixture) return tokens.reduce((sum, count) => sum + count, 0);
  const examples = counts.map((each) => each.examples);
  const shares = epochCounts(examples, mixture);
  return Math.ceil(
    tokens.reduce((sum, count, i) => sum + (count * shares[i]!) / Math.max(1, examples[i]!), 0),
  );
}

/** Converts a GraftError for the owner of the job. Throws any other error. */
export function faultOf(error: unknown): FileFault {
  if (!(error instanceof GraftError)) throw error;
  const { code, message, details } = error;
  const param = error.param ?? 'training_file';
  const fault = error.fault === 'user' ? 'user' : 'system';
  if (!details) return { ok: false, code, message, param, fault };
  return {
    ok: false,
    // `training_files[1]` has the code of `training_file`.
    code: `invalid_${param.replace(/s\[\d+\]$/, '')}`,
    message,
    param,
    fault: 'user',
    details: details
      .slice(0, maxFaults)
      .map(({ lines, ...detail }) => ({ ...detail, ...(lines && { lines: lines.slice(0, maxRanges) }) })),
  };
}
