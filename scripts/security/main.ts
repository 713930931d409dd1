/** Writes the table of docs/security.md that follows from the grants of the database: `node --import tsx scripts/security/main.ts`. */
import path from 'node:path';
import { replaceSection } from '../methods/docs-section.ts';
import { databaseMatrix } from './database-matrix.ts';

const file = path.join(import.meta.dirname, '../../docs/security.md');
await replaceSection(file, 'database', await databaseMatrix());
