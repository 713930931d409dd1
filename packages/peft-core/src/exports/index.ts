/** Export formats: their options and what they hold. Loads no TensorFlow; `writeExport` of the package itself writes them. */
export type { ExportedAdapter, ExportFormat, ExportRefusal, StoredModel } from './export-format.ts';
export { exportedAdapter, folderBytes } from './exported-adapter.ts';
export { folderCard } from './folder-card.ts';
export {
  checkExport,
  type ExportFormatName,
  exportFormat,
  exportFormatNames,
  exportFormats,
  parseExportOptions,
} from './formats.ts';
export { type ModelCard, modelCard } from './model-card.ts';
export { writePaddedAdapter } from './peft/padded-files.ts';
