/** Writes .env.example, the tables of docs/configuration.md and lines of docker-compose.yml from packages/service/src/settings: `npm run config:docs`. */
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { sections } from '../../packages/service/src/settings/sections.ts';
import { replaceSection } from '../methods/docs-section.ts';
import { renderCompose, renderExample, renderTables } from './render-settings.ts';

const root = path.join(import.meta.dirname, '../..');
await writeFile(path.join(root, '.env.example'), renderExample(sections));
await replaceSection(path.join(root, 'docs/configuration.md'), 'settings', renderTables(sections));
const compose = path.join(root, 'docker-compose.yml');
await writeFile(compose, renderCompose(await readFile(compose, 'utf8'), sections));
