export * from './change-export.ts';
export { createExport, maxOpenExports, type NewExport } from './create-export.ts';
export { expireExports } from './expire-exports.ts';
export type { AdapterExport, ExportLease } from './export.ts';
export * from './export-lease.ts';
export * from './read-exports.ts';
