export * from './collect-deleted.ts';
export * from './collect-local.ts';
export * from './job-loops.ts';
export { isDamage, reportCorruption } from './report-corruption.ts';
