/** Thread that reports on one file at a time, whose bytes are sent to it. */
import { parentPort } from 'node:worker_threads';
import { GraftError } from '@graft/peft-core/config';
import {
  type ColumnMapping,
  createExampleReporter,
  type ExampleReport,
  type ExampleReporter,
  type ReportedModel,
} from '@graft/peft-core/examples';
import { loadTokenizerWith, unpackTokenizer } from '@graft/peft-core/text';
import { answerCalls } from '@graft/peft-core/threads';
import type { JobError } from '@graft/service/jobs';
import type { ReportJob } from '@graft/service/reports';

export interface ReportModel {
  /** Packed files. */
  tokenizerFiles: Uint8Array;
  /** The base model's config.json. */
  config: Record<string, unknown>;
  maxSeqLength: number | null;
  /** The job that the report is for; null: default options. */
  job: ReportJob | null;
}

export type ReportCall =
  /** Discards an unfinished report. */
  | { kind: 'begin'; model: ReportModel | null; columns: ColumnMapping | null; bytes: number }
  | { kind: 'write'; chunk: Uint8Array }
  | { kind: 'end' };

export type ReportAnswer = { examples: number } | { report: ExampleReport } | { error: JobError };

// A bad line costs a JSON.parse error, whose stack would take most of the time.
Error.stackTraceLimit = 0;
let reporter: ExampleReporter = createExampleReporter(null);

function opened({ tokenizerFiles, job, ...model }: ReportModel): ReportedModel {
  return {
    ...model,
    tokenizer: loadTokenizerWith(unpackTokenizer(tokenizerFiles), job?.chatTemplate ?? null),
    job,
  };
}

async function answer(call: ReportCall): Promise<ReportAnswer> {
  switch (call.kind) {
    case 'begin': {
      const { model, columns, bytes } = call;
      reporter.close();
      reporter = createExampleReporter(model && opened(model), columns, { bytes });
      return { examples: 0 };
    }
    case 'write':
      await reporter.write(call.chunk);
      return { examples: reporter.examples() };
    case 'end': {
      const report = await reporter.end();
      reporter = createExampleReporter(null);
      return { report };
    }
  }
}

answerCalls<ReportCall, ReportAnswer>(parentPort!, async (call) => {
  try {
    return await answer(call);
  } catch (error) {
    if (!(error instanceof GraftError)) throw error;
    const { code, message, param, fault } = error;
    return { error: { code, message, param, fault } };
  }
});
