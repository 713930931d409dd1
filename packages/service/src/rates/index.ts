export * from './count-stores.ts';
export { openSharedCounts, type SharedCounts } from './shared-counts.ts';
