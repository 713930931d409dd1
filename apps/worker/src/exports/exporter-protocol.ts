/**
 * Messages between the worker and its exporter, a child process that writes one export and knows nothing of Postgres, queues or teams. The
 * worker trusts neither the messages nor the files: it copies and digests the files itself.
 */
import { type Static, Type } from 'typebox';
import {
  type Check,
  checkerOf,
  closed,
  FailedSchema,
  large,
  ReadySchema,
  StopSchema,
  text,
} from '../processes/message-schemas.ts';

const RequestSchema = Type.Object(
  {
    /** Folder or file of the base model. */
    basePath: text(4096),
    /** Catalogue id of the base model, for error messages. */
    baseModelName: text(500),
    /** Folder where the digest of the base model is cached. */
    digestCache: text(4096),
    adapterDir: text(4096),
    outputDir: text(4096),
    format: text(100),
    options: Type.Record(Type.String(), Type.Unknown()),
    name: text(500),
  },
  closed,
);

/** One export, as plain data. All paths are absolute. */
export type WritingRequest = Static<typeof RequestSchema>;

const CallSchema = Type.Object({ type: Type.Literal('write'), request: RequestSchema }, closed);
/** Bytes written so far, and the expected number. */
const ProgressSchema = Type.Object({ type: Type.Literal('progress'), done: large, total: large }, closed);
const WrittenSchema = Type.Object(
  { type: Type.Literal('written'), notes: Type.Array(text(2000), { maxItems: 100 }) },
  closed,
);

export interface ExporterMessages {
  call: Static<typeof CallSchema>;
  event: Static<typeof ProgressSchema>;
  result: Static<typeof WrittenSchema>;
}

export const checkExporter: Check = checkerOf({
  ready: ReadySchema,
  progress: ProgressSchema,
  written: WrittenSchema,
  failed: FailedSchema,
});

export const checkExporterCall: Check = checkerOf({ write: CallSchema, stop: StopSchema });
