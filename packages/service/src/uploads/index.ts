export * from './complete-upload.ts';
export * from './expire-uploads.ts';
export * from './incoming-bytes.ts';
export type { Upload, UploadPart } from './upload.ts';
export {
  addPart,
  cancelUpload,
  createUpload,
  getUpload,
  listParts,
  listUploads,
} from './upload-records.ts';
