import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import { text } from 'node:stream/consumers';
import type { Command } from 'commander';
import { printAnswer } from '../answer.ts';
import { UsageError } from '../errors.ts';
import { INTERRUPTED } from '../interrupts.ts';
import { deleteProfile, isOperatorKey, profilePath, readProfile, sameUrl, writeProfile } from '../profile.ts';
import { type VerbOptions, verb } from '../verb.ts';
import { chosenUrl, DEFAULT_BASE_URL, openClient, type RemoteOptions } from './connect.ts';
import { serviceVerb } from './service-verb.ts';
import { whoIs } from './whoami.ts';

export function addLoginVerbs(program: Command): void {
  const saves = 'save the URL of a service and your API key for the other commands';
  serviceVerb(program, 'login', saves, '--base-url https://graft.example.com/v1', '< key.txt').action(
    async (options: RemoteOptions) => {
      const saved = readProfile();
      const proposed = chosenUrl(options) ?? saved?.baseUrl ?? DEFAULT_BASE_URL;
      const interactive = process.stdin.isTTY === true;
      const answer =
        options.baseUrl === undefined && interactive ? await ask(`Base URL [${proposed}]: `, false) : '';
      const baseUrl = (answer || proposed).replace(/\/+$/, '');
      const apiKey =
        options.apiKey ??
        (interactive ? await ask('API key (not shown): ', true) : (await text(process.stdin)).trim());
      if (apiKey === '') throw new UsageError('No API key given.');

      const me = await (await openClient(baseUrl, apiKey)).me();
      // An operator key and a team key are saved side by side.
      const kept = saved !== null && sameUrl(saved.baseUrl, baseUrl) ? saved : {};
      writeProfile({ ...kept, baseUrl, ...(isOperatorKey(apiKey) ? { operatorKey: apiKey } : { apiKey }) });
      const profile = profilePath();
      printAnswer(options, {
        value: { base_url: baseUrl, profile, me },
        text: () => `The key works: you are ${whoIs(me)}. Saved in ${profile}, readable by you alone.`,
      });
    },
  );

  verb(program, 'logout', 'delete the URL and keys that `graft login` saved').action(
    (options: VerbOptions) => {
      const deleted = deleteProfile();
      printAnswer(options, { value: { deleted }, text: deleted ? 'Deleted.' : 'Nothing was saved.' });
    },
  );
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
