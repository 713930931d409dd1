import { locatePostgresBinaries } from '@graft/service/postgres-binaries';
import { ensurePrismaClient } from './ensure-prisma-client.ts';

/** Generates the Prisma client if it is out of date and links the libraries of Postgres' binaries. */
if (await ensurePrismaClient()) console.log('generated the Prisma client');
if (!process.env.DATABASE_URL) {
  await locatePostgresBinaries().catch((error: Error) =>
    console.log(`no Postgres of its own: ${error.message}`),
  );
}
