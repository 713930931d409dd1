#!/usr/bin/env node
// node scripts/compile/run.mjs FILE.ts [ARGUMENT …]: runs a program of Graft, compiled.
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { compiledFile, ensureCompiled } from './compile.mjs';

const root = path.join(import.meta.dirname, '../..');
const [file, ...args] = process.argv.slice(2);
const program = compiledFile(await ensureCompiled(root), root, file);
process.setSourceMapsEnabled(true);
// What it forks gets its flags.
process.execArgv.push('--enable-source-maps');
process.argv = [process.argv[0], path.resolve(root, file), ...args];
await import(pathToFileURL(program).href);
