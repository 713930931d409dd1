import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { TestContext } from 'node:test';

const bin = resolve(import.meta.dirname, '../../bin/graft.mjs');

export interface Ran {
  code: number | null;
  stdout: string;
  stderr: string;
}

export interface RunOptions {
  env?: Record<string, string>;
  cwd?: string;
  stdin?: string;
  /** Called with the whole output so far whenever it grows; may send signals. */
  onStdout?: (stdout: string, child: { kill(signal: NodeJS.Signals): boolean }) => void;
  onStderr?: (stderr: string, child: { kill(signal: NodeJS.Signals): boolean }) => void;
}

/** Runs the real command in a separate process, without the caller's Graft settings. */
export function runGraft(args: string[], options: RunOptions = {}): Promise<Ran> {
  const inherited = Object.entries(process.env).filter(
    ([name]) => !/^(GRAFT_|NODE_(?!OPTIONS)|DATABASE_URL|REDIS_URL)/.test(name),
  );
  const child = spawn(process.execPath, [bin, ...args], {
    cwd: options.cwd ?? tmpdir(),
    // The developer's saved profile and .env must not be read. NODE_OPTIONS has the path of the test run's bundles.
    env: {
      ...Object.fromEntries(inherited),
      XDG_CONFIG_HOME: '/nonexistent',
      GRAFT_ENV_FILE: '',
      ...options.env,
    },
  });
  child.stdin.end(options.stdin ?? '');
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
    options.onStdout?.(stdout, child);
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
    options.onStderr?.(stderr, child);
  });
  return new Promise((done, failed) => {
    child.on('error', failed);
    child.on('close', (code) => done({ code, stdout, stderr }));
  });
}

/** Creates a folder that is removed after the test. */
export function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'graft-cli-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** Runs the command in one folder and environment: `graft` returns the result, `ok` requires success, `json` parses `--json`. */
export function graftIn(folder: string, env: Record<string, string>) {
  const graft = (args: string[], more: Record<string, string> = {}): Promise<Ran> =>
    runGraft(args, { cwd: folder, env: { ...env, ...more } });
  const ok = async (args: string[], more?: Record<string, string>): Promise<Ran> => {
    const ran = await graft(args, more);
    assert.equal(ran.code, 0, `${args.join(' ')}: ${ran.stderr}`);
    return ran;
  };
  const json = async (args: string[], more?: Record<string, string>) =>
    JSON.parse((await ok([...args, '--json'], more)).stdout);
  return { graft, ok, json };
}
