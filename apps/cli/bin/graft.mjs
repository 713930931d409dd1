#!/usr/bin/env node
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { compiledFile, ensureCompiled } from '../../../scripts/compile/compile.mjs';

const root = path.join(import.meta.dirname, '../../..');
let folder;
try {
  folder = await ensureCompiled(root);
} catch (error) {
  if (error?.code !== 'MODULE_NOT_FOUND') throw error;
  process.stderr.write('graft: its packages are not installed: run `npm ci` in the folder of Graft once.\n');
  process.exit(1);
}
process.setSourceMapsEnabled(true);
await import(pathToFileURL(compiledFile(folder, root, 'apps/cli/src/main.ts')).href);
