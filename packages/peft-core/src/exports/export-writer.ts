import type { BaseModel, WrittenFile } from '../files.ts';
import type { FittingAdapter } from '../peft-model/adapter-fit.ts';

export interface ExportRequest {
  base: BaseModel;
  adapterDir: string;
  /** An existing, empty folder. */
  outputDir: string;
  /** As in a request: options without a value have their defaults. */
  options?: Record<string, unknown>;
  /** The name of the exported model, in files that have one. */
  name: string;
  /** Bytes written so far, and about how many there will be. */
  onProgress?(done: number, total: number): void;
  /** Stops the export: between two pieces of a tensor, with the signal's reason as the error. */
  signal?: AbortSignal;
}

/** Arguments of a format's writer: the request with the format's options, and the adapter, which fits the base model. */
export interface ExportJob<Options>
  extends Pick<ExportRequest, 'base' | 'adapterDir' | 'outputDir' | 'name'> {
  options: Options;
  fitting: FittingAdapter;
  /** Counts written bytes; throws if the export was stopped. */
  onBytes(bytes: number): void;
}

export interface ExportResult {
  /** The files, with paths relative to `outputDir`. */
  files: WrittenFile[];
  /** Sentences for the user: what was baked in, padded, permuted, or left to the runtime. */
  notes: string[];
}

/** Writes a format's files into `outputDir`. Each is complete and synced to disk before it gets its name. */
export type ExportWriter<Options> = (job: ExportJob<Options>) => Promise<ExportResult>;
