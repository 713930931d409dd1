/** Every schema of the API's OpenAPI document by its name there, and the query parameters of operations. */
export type * as Wire from '@graft/wire/types';
export { type ErrorDetail, GraftApiError, GraftConnectionError, GraftDigestError } from './errors.ts';
export { GraftClient, type GraftClientOptions } from './graft-client.ts';
export type { UploadProgress } from './multipart-upload.ts';
export type { Page, PageList } from './page-list.ts';
export type { AdapterDownload, DownloadOptions } from './resources/adapters/download.ts';
export type { UploadAdapterParams } from './resources/adapters.ts';
export type { ImportParams, ReportOptions, UploadParams } from './resources/files.ts';
export type { ChangeStreamOptions, EventStreamOptions } from './resources/job-event-stream.ts';
export type { EmbeddingVectors } from './resources/texts.ts';
export type { SendFileParams, UploadCreateParams } from './resources/uploads.ts';
export type * from './types.ts';
