/**
 * `npm run openapi`: generates the TypeScript client's types from the API's OpenAPI document. The API runs for it on a private database.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { openTestServices } from '@graft/service/testing';
import { buildApp } from '../../apps/api/src/app.ts';
import { clientTypesOf } from '../../apps/api/src/open-api/client-types.ts';
import type { OpenApiDocument } from '../../apps/api/src/open-api/document.ts';

const file = path.join(import.meta.dirname, '../../packages/client/src/generated/wire.ts');
const services = await openTestServices();
try {
  const app = await buildApp(services);
  try {
    await app.ready();
    await mkdir(path.dirname(file), { recursive: true });
    await writeFile(file, clientTypesOf(app.swagger() as unknown as OpenApiDocument));
  } finally {
    await app.close();
  }
} finally {
  await services.close();
}
console.log(path.relative(process.cwd(), file));
