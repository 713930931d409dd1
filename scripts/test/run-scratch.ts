import { existsSync, readFileSync } from 'node:fs';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A folder that the test files of one run share; each file runs in its own process. */
export interface RunScratch {
  /** Variables for their processes. */
  env: { GRAFT_TEST_SCRATCH: string; GRAFT_MATRIX_TABLE: string };
  /** The file to which each appends its CPU time and waits: see slow-files.ts. */
  usageFile: string;
  /** The tables that golden tests wrote; empty without any. */
  tables(): string;
  remove(): Promise<void>;
}

export async function createRunScratch(): Promise<RunScratch> {
  const folder = await mkdtemp(join(tmpdir(), 'graft-test-'));
  // Processes that a test starts as another user load their modules from here.
  await chmod(folder, 0o755);
  const table = join(folder, 'matrix-tables.txt');
  return {
    // GRAFT_TEST_SCRATCH: files made once per run, such as tiny models, and the socket of the warm Python.
    env: { GRAFT_TEST_SCRATCH: folder, GRAFT_MATRIX_TABLE: table },
    usageFile: join(folder, 'usage.jsonl'),
    tables: () => (existsSync(table) ? readFileSync(table, 'utf8').trim() : ''),
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}
