export { GraftApiError, GraftConnectionError, GraftDigestError } from './errors.ts';
export { GraftClient, type GraftClientOptions } from './graft-client.ts';
export type { UploadProgress } from './multipart-upload.ts';
export type { Page, PageList } from './page-list.ts';
export type { AdapterDownload, DownloadOptions } from './resources/adapter-download.ts';
export type { UploadAdapterParams } from './resources/adapters.ts';
export type { UploadParams } from './resources/files.ts';
export type { EventStreamOptions } from './resources/job-event-stream.ts';
export type * from './wire-objects.ts';
