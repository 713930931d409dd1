export { type ErrorDetail, GraftApiError, GraftConnectionError, GraftDigestError } from './errors.ts';
/** Every schema of the API's OpenAPI document by its name there, and the query parameters of operations. */
export type * as Wire from './generated/wire.ts';
export { GraftClient, type GraftClientOptions } from './graft-client.ts';
export type { UploadProgress } from './multipart-upload.ts';
export type { Page, PageList } from './page-list.ts';
export type { AdapterDownload, DownloadOptions } from './resources/adapter-download.ts';
export type { UploadAdapterParams } from './resources/adapters.ts';
export type { ImportParams, ReportOptions, UploadParams } from './resources/files.ts';
export type { ChangeStreamOptions, EventStreamOptions } from './resources/job-event-stream.ts';
export type { EmbeddingVectors } from './resources/texts.ts';
export type { SendFileParams, UploadCreateParams } from './resources/uploads.ts';
export type * from './team-objects.ts';
export type * from './wire-adapters.ts';
export type * from './wire-integrations.ts';
export type * from './wire-objects.ts';
export type * from './wire-reports.ts';
export type * from './wire-usage.ts';
export type * from './wire-webhooks.ts';
