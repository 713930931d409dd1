export type { Database } from './database.ts';
export { connectOwner } from './database.ts';
export { withReaderConnections, withSystemScope, withTeamScope } from './database-scope.ts';
export * from './database-unavailable.ts';
export * from './describe-database.ts';
export * from './probe-write.ts';
export type { Page, TimeSpan } from './read-page.ts';
export { waitForRow, withWaits } from './wait-for-row.ts';
