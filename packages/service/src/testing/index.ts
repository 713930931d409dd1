/** Real services for tests: an own database, data folder and queue each. */
export { openTestServices } from './open-test-services.ts';
export { createTestDatabase, type TestDatabase } from './test-database.ts';
