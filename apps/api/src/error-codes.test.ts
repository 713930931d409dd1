import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { errorCodes } from './error-codes.ts';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const folders = ['apps/api/src', 'apps/worker/src', 'packages/service/src', 'packages/peft-core/src'];

/** Codes that no team sees, and where they occur. */
const hidden: Record<string, string> = {
  api_key_exists: 'admin command',
  team_exists: 'admin command',
  team_not_found: 'admin command',
  invalid_team_name: 'admin command',
  invalid_token: 'between API and worker',
  invalid_request: 'between API and worker',
  request_failed: 'between API and worker',
  protocol_mismatch: 'between API and worker, then worker_version_mismatch',
  generator_busy: 'between API and worker, then no_worker_available',
  adapter_shapes_full: 'between API and worker, then no_worker_available',
  generator_lost: 'between API and worker, then no_worker_available',
  generator_closing: 'between API and worker, then no_worker_available',
  generation_failed: 'between API and worker, then worker_failed',
  answer_failed: 'between API and worker, then worker_failed',
  task_head_missing: 'graft score',
  worker_unfit: 'a worker that gives a job back; the job then goes elsewhere, or fails as no_fit_worker',
  trainer_not_started: 'the same',
  engine_unsound: 'the same',
  gpu_not_used: 'the same, as the other faults of cards',
  requirements_not_met: 'the same',
  checkpoint_unreadable: 'the same',
  checkpoint_unwritable: 'the same',
};

/** Codes that the sources build from a template. */
const composed = [
  'invalid_training_file',
  'invalid_validation_file',
  'unknown_training_option',
  'invalid_training_option',
];

/** Files whose errors only the command's local verbs show: `graft score`, `graft export` and `graft merge`. */
const local =
  /^(packages\/peft-core\/src\/(score\/|exports\/|base-model\/weight-types\.ts))|\.test\.ts$|\/testing\//;

/** Matches a quoted code as `code` of an object, or as the first argument of a class or function that creates an error. */
const uses =
  /(?:\bcode: (?:[^,;{}()']*\? )?|\b(?:GraftError|ApiError|GenerationError|BadExample|gone|error|badLines)\(\s*)'([a-z]+(?:_[a-z]+)+)'(?: : '([a-z_]+)')?/g;

async function codesInSources(): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (const folder of folders) {
    for (const entry of await readdir(join(root, folder), { recursive: true, withFileTypes: true })) {
      const file = join(entry.parentPath, entry.name).slice(root.length);
      if (!entry.isFile() || !file.endsWith('.ts') || local.test(file)) continue;
      const source = await readFile(join(root, file), 'utf8');
      for (const [, code, other] of source.matchAll(uses)) {
        for (const each of [code, other]) if (each) found.set(each, file);
      }
    }
  }
  return found;
}

test('every code that the sources throw or write on a job is in the table', async () => {
  const found = await codesInSources();
  // Checks that the expression finds all forms in use.
  for (const code of ['invalid_json', 'example_empty', 'worker_lost', 'file_truncated', 'training_diverged'])
    assert.ok(found.has(code), code);
  const missing = [...found].filter(([code]) => !(code in errorCodes) && !(code in hidden));
  assert.deepEqual(missing, []);
  for (const code of composed) assert.ok(code in errorCodes, code);
  for (const code of Object.keys(hidden)) assert.ok(found.has(code), `${code} is no longer thrown`);
});

test('no code that a retry cannot fix has a status that clients retry', () => {
  const mended = [408, 409, 429];
  const retried = Object.entries(errorCodes).filter(([, [status]]) => mended.includes(status));
  assert.deepEqual(
    retried.map(([code]) => code),
    // SCIM requires 409. A budget and a month's tokens reset with the month, and the response disables automatic retries. The team's
    // other limits free up when one of its jobs, uploads, reports or exports ends.
    [
      'scim_user_exists',
      'quota_exceeded',
      'request_timeout',
      'too_many_requests',
      'rate_limit_exceeded',
      'budget_exceeded',
      'too_many_uploads',
      'too_many_reports',
      'too_many_exports',
      'too_many_publications',
    ],
  );
});
