#!/usr/bin/env node
// Node 20 runs no TypeScript by itself: tsx compiles the command's files as they load, and caches them.
try {
  const { register } = await import('tsx/esm/api');
  register();
} catch (error) {
  if (error?.code !== 'ERR_MODULE_NOT_FOUND') throw error;
  process.stderr.write('graft: its packages are not installed: run `npm ci` in the folder of Graft once.\n');
  process.exit(1);
}
await import('../src/main.ts');
