import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import { text } from 'node:stream/consumers';
import type { Command } from 'commander';
import { UsageError } from '../errors.ts';
import { INTERRUPTED } from '../interrupts.ts';
import { createOutput } from '../output.ts';
import { deleteProfile, isOperatorKey, profilePath, readProfile, sameUrl, writeProfile } from '../profile.ts';
import { type RemoteOptions, verb } from '../verb.ts';
import { DEFAULT_BASE_URL } from './connect.ts';
import { whoIs } from './whoami.ts';

export function addLoginVerbs(program: Command): void {
  verb(program, {
    name: 'login',
    summary: 'save the URL of a service and your API key for the other commands',
    examples: ['graft login --base-url https://graft.example.com/v1', 'graft login < key.txt'],
    remote: true,
  }).action(async (options: RemoteOptions) => {
    const output = createOutput(options);
    const saved = readProfile();
    const proposed = options.baseUrl ?? (process.env.GRAFT_BASE_URL || saved?.baseUrl) ?? DEFAULT_BASE_URL;
    const interactive = process.stdin.isTTY === true;
    const asked =
      options.baseUrl === undefined && interactive ? await ask(`Base URL [${proposed}]: `, false) : '';
    const baseUrl = (asked || proposed).replace(/\/+$/, '');
    const apiKey =
      options.apiKey ??
      (interactive ? await ask('API key (not shown): ', true) : (await text(process.stdin)).trim());
    if (apiKey === '') throw new UsageError('No API key given.');

    const { GraftClient } = await import('@graft/client');
    let client: InstanceType<typeof GraftClient>;
    try {
      client = new GraftClient({ baseUrl, apiKey });
    } catch (error) {
      throw error instanceof TypeError ? new UsageError(error.message) : error;
    }
    const me = await client.me();
    // An operator key and a team key are saved side by side.
    const kept = saved !== null && sameUrl(saved.baseUrl, baseUrl) ? saved : {};
    writeProfile({ ...kept, baseUrl, ...(isOperatorKey(apiKey) ? { operatorKey: apiKey } : { apiKey }) });
    const path = profilePath();
    output.result(
      { base_url: baseUrl, profile: path, me },
      () => `The key works: you are ${whoIs(me)}. Saved in ${path}, readable by you alone.`,
    );
  });

  verb(program, {
    name: 'logout',
    summary: 'delete the URL and keys that `graft login` saved',
    examples: ['graft logout'],
  }).action((options: RemoteOptions) => {
    const deleted = deleteProfile();
    createOutput(options).result({ deleted }, () => (deleted ? 'Deleted.' : 'Nothing was saved.'));
  });
}

async function ask(question: string, secret: boolean): Promise<string> {
  // readline echoes the input to its output. For a secret the output is discarded, so the question is written separately.
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  if (secret) process.stderr.write(question);
  const lines = createInterface({
    input: process.stdin,
    output: secret ? nowhere : process.stderr,
    terminal: true,
  });
  lines.on('SIGINT', () => process.exit(INTERRUPTED));
  try {
    const answer = await lines.question(secret ? '' : question);
    if (secret) process.stderr.write('\n');
    return answer.trim();
  } finally {
    lines.close();
  }
}
