/** What must be done once after `npm ci`, whose packages run no scripts. Needs no generated code itself. */
export { locatePostgresBinaries } from '../postgres/postgres-binaries.ts';
export { ensurePrismaClient } from './ensure-prisma-client.ts';
