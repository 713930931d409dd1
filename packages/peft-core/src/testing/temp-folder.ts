import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after } from 'node:test';

/** Creates a folder for the tests of one file, which is removed after them. Returns a function that joins names to its path. */
export function tempFolder(): (...names: string[]) => string {
  const folder = mkdtempSync(path.join(tmpdir(), 'graft-formats-'));
  after(() => rmSync(folder, { recursive: true, force: true }));
  return (...names) => path.join(folder, ...names);
}
