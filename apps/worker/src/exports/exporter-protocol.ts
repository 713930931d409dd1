/**
 * Messages between the worker and its exporter, a child process that writes one export and knows nothing of Postgres, queues or teams. The
 * worker trusts neither the messages nor the files: it copies and digests the files itself.
 */
import { closed, large, type MessageOf, messages, text } from '@graft/peft-core/reports';
import { type Static, Type } from 'typebox';
import { type Check, checkerOf, commonCalls, commonEvents } from '../processes/message-schemas.ts';

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

const calls = messages({ write: { request: RequestSchema } });
/** Bytes written so far, and the expected number. */
const events = messages({ progress: { done: large, total: large } });
const results = messages({ written: { notes: Type.Array(text(2000), { maxItems: 100 }) } });

export interface ExporterMessages {
  call: MessageOf<typeof calls>;
  event: MessageOf<typeof events>;
  result: MessageOf<typeof results>;
}

export const checkExporter: Check = checkerOf({ ...commonEvents, ...events, ...results });
export const checkExporterCall: Check = checkerOf({ ...commonCalls, ...calls });
