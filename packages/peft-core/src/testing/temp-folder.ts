import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after } from 'node:test';

/** A folder for the tests of one file, removed when they are done. Returns a function that joins names to it. */
export function tempFolder(): (...names: string[]) => string {
  const folder = mkdtempSync(path.join(tmpdir(), 'graft-formats-'));
  after(() => rmSync(folder, { recursive: true, force: true }));
  return (...names) => path.join(folder, ...names);
}
