/** Real services for tests: an own database, data folder and queue each. */
export { type CuttableProxy, openCuttableProxy } from './cuttable-proxy.ts';
export { openTestServices } from './open-test-services.ts';
export { createTestDatabase, type TestDatabase } from './test-database.ts';
