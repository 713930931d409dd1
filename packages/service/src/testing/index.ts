/** Real services for tests: an own database, data folder and queue each. */

export { openCommitProxy } from './commit-proxy.ts';
export { type CuttableProxy, openCuttableProxy } from './cuttable-proxy.ts';
export { openFenced, openTestServices } from './open-test-services.ts';
export { mountSmallDisk } from './small-disk.ts';
export { createTestDatabase, type TestDatabase } from './test-database.ts';
