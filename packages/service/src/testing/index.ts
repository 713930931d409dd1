/** Real services for tests: a separate database, data folder and queue for each. */

export { makeLastVersion, recordLastVersion } from '../database/testing/last-version-record.ts';
export type { RuntimeServer } from '../deploy/testing/runtime-server.ts';
export { openVllmServer } from '../deploy/testing/vllm-server.ts';
export { openCommitProxy } from './commit-proxy.ts';
export { type CuttableProxy, openCuttableProxy } from './cuttable-proxy.ts';
export { keepJobRows } from './keep-job-rows.ts';
export { keepLog } from './keep-log.ts';
export { listCheckpoints } from './list-checkpoints.ts';
export { openFenced, openTestServices } from './open-test-services.ts';
export { mountSmallDisk } from './small-disk.ts';
export { createTestDatabase, type TestDatabase } from './test-database.ts';
