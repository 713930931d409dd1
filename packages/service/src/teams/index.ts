export * from './delete-team.ts';
export * from './ensure-bootstrap-key.ts';
export { type QuotaUse, readQuota, readQuotaUse, setQuota, type TeamQuota } from './team-quota.ts';
export * from './team-records.ts';
export { checkJobQuota, type IncomingBytes, QuotaExceeded } from './within-quota.ts';
