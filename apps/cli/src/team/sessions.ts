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
  const sessions = noun(program, 'sessions', 'browsers that are signed in with your key: list, end');

  verb(sessions, {
    name: 'list',
    summary: 'list the active sessions of your key',
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
          'No sessions: no browser is signed in with this key.',
        ),
      );
    });

  verb(sessions, {
    name: 'end [id]',
    summary: 'end a session, or with --all every one, immediately',
    examples: ['graft sessions end session_…', 'graft sessions end --all'],
    remote: true,
  })
    .option('--all', 'end all sessions of your key')
    .action(async (id: string | undefined, options: RemoteOptions & { all?: boolean }) => {
      if ((id === undefined) !== (options.all === true))
        throw new UsageError('Give the id of a session, or --all.');
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
