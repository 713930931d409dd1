import type { Command } from 'commander';
import { wholeNumber } from '../arguments.ts';
import { timestamp } from '../draw/quantities.ts';
import { table } from '../draw/table.ts';
import { UsageError } from '../errors.ts';
import { createOutput } from '../output.ts';
import { connect } from '../remote/connect.ts';
import { noun, type RemoteOptions, verb } from '../verb.ts';

/** `graft sessions …`: browsers that are signed in with your key. */
export function addSessionVerbs(program: Command): void {
  const sessions = noun(program, 'sessions', 'browsers that your key was exchanged in: list, end');

  verb(sessions, {
    name: 'list',
    summary: 'list the sessions of your key that have not ended',
    examples: ['graft sessions list'],
    remote: true,
  })
    .option('--limit <n>', 'at most this many', wholeNumber(1), 1_000)
    .action(async (options: RemoteOptions & { limit: number }) => {
      const output = createOutput(options);
      const list = (await connect(options)).sessions.list({ limit: Math.min(options.limit, 1_000) });
      const data = await list.toArray(options.limit);
      output.result({ object: 'list', data }, () =>
        table(
          ['SESSION', 'SINCE', 'LAST USED', 'ENDS', 'BROWSER'],
          data.map((session) => [
            session.id,
            timestamp(session.created_at),
            timestamp(session.last_used_at),
            timestamp(session.expires_at),
            session.user_agent ?? '',
          ]),
          output.paint,
          'No sessions: this key is signed in nowhere.',
        ),
      );
    });

  verb(sessions, {
    name: 'end [id]',
    summary: 'end a session, or all of them, at once',
    examples: ['graft sessions end session_…', 'graft sessions end --all'],
    remote: true,
  })
    .option('--all', 'all sessions of your key')
    .action(async (id: string | undefined, options: RemoteOptions & { all?: boolean }) => {
      if ((id === undefined) !== (options.all === true))
        throw new UsageError('Name a session, or say --all.');
      const { sessions: mine } = await connect(options);
      const output = createOutput(options);
      if (id === undefined) {
        const ended = await mine.endAll();
        output.result(ended, () => `Ended ${ended.count} ${ended.count === 1 ? 'session' : 'sessions'}.`);
      } else {
        output.result(await mine.end(id), () => `Ended the session ${id}.`);
      }
    });
}
