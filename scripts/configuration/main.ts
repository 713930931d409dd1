/** Writes .env.example and the tables of docs/configuration.md from packages/service/src/settings: `npm run config:docs`. */
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { sections } from '../../packages/service/src/settings/sections.ts';
import { replaceSection } from '../methods/docs-section.ts';
import { renderExample, renderTables } from './render-settings.ts';

const root = path.join(import.meta.dirname, '../..');
await writeFile(path.join(root, '.env.example'), renderExample(sections));
await replaceSection(path.join(root, 'docs/configuration.md'), 'settings', renderTables(sections));
