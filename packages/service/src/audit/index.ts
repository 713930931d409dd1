export { type Actor, requesterOf } from './actor.ts';
export { type AuditedDownload, createDownloadAudit } from './audit-downloads.ts';
export { startAuditExporter } from './export/audit-exporter.ts';
export { type AuditRecord, exportAudit, listAudit } from './read-audit.ts';
export { type AuditCheck, type AuditHead, listAuditHeads, verifyAudit } from './verify-audit.ts';
