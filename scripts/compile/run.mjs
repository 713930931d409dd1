#!/usr/bin/env node
// node scripts/compile/run.mjs FILE.ts [ARGUMENT …]: runs a program of Graft, compiled. Where the process that starts it opens a
// channel ('ipc') to it, the program gets SIGTERM when that process has ended, even by SIGKILL.
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { compiledFile, ensureCompiled } from './compile.mjs';

process.once('disconnect', () => process.kill(process.pid, 'SIGTERM'));
// Listening to the channel must not keep the process running.
process.channel?.unref();
const root = path.join(import.meta.dirname, '../..');
const [file, ...args] = process.argv.slice(2);
const program = compiledFile(await ensureCompiled(root), root, file);
process.setSourceMapsEnabled(true);
// Forked processes inherit the flags.
process.execArgv.push('--enable-source-maps');
process.argv = [process.argv[0], path.resolve(root, file), ...args];
await import(pathToFileURL(program).href);
