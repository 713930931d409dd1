import type { Command } from 'commander';
import { time } from '../answer.ts';
import { UsageError } from '../errors.ts';
import { listVerb, serviceVerb } from '../remote/service-verb.ts';
import { noun } from '../verb.ts';

/** `graft sessions …`: browsers that are signed in with your key. */
export function addSessionVerbs(program: Command): void {
  const group = noun(program, 'sessions', 'browsers that are signed in with your key: list, end');

  listVerb(group, ({ sessions }, page) => sessions.list(page), {
    summary: 'list the active sessions of your key',
    limit: 1_000,
    columns: {
      SESSION: 'id',
      SINCE: ({ created_at }) => time(created_at),
      'LAST USED': ({ last_used_at }) => time(last_used_at),
      ENDS: ({ expires_at }) => time(expires_at),
      BROWSER: 'user_agent',
    },
    empty: 'No sessions: no browser is signed in with this key.',
  });

  const ends = 'end a session, or with --all every one, immediately';
  serviceVerb(group, 'end [id]', ends, 'session_…', '--all')
    .option('--all', 'end all sessions of your key')
    .run(async ({ sessions }, id: string | undefined, { all = false }: { all?: boolean }) => {
      if ((id === undefined) !== all) throw new UsageError('Give the id of a session, or --all.');
      if (id !== undefined) return { value: await sessions.end(id), text: `Ended the session ${id}.` };
      const value = await sessions.endAll();
      return { value, text: `Ended ${value.count} ${value.count === 1 ? 'session' : 'sessions'}.` };
    });
}
