import type { AuditFilterParams } from '@graft/client';
import type { Command } from 'commander';
import { Option } from 'commander';
import { wholeNumber } from '../arguments.ts';
import { timestamp } from '../draw/quantities.ts';
import { table } from '../draw/table.ts';
import { UsageError } from '../errors.ts';
import { createOutput } from '../output.ts';
import { connect } from '../remote/connect.ts';
import { saveStream } from '../save-stream.ts';
import { type RemoteOptions, verb } from '../verb.ts';

interface AuditOptions extends RemoteOptions {
  action?: string;
  actor?: string;
  target?: string;
  since?: string;
  until?: string;
  after?: string;
  limit: number;
  export?: 'jsonl' | 'csv';
  output: string;
}

/** `graft team audit`: prints or exports the audit log. */
export function addAuditVerb(team: Command): void {
  verb(team, {
    name: 'audit',
    summary: 'show or export the audit log of your team',
    examples: [
      'graft team audit --action "member.*" --since 2026-11-01',
      'graft team audit --export csv --output audit.csv',
    ],
    remote: true,
  })
    .option('--action <action>', 'only this action, such as job.cancel, or a prefix such as member.*')
    .option('--actor <id>', 'only actions of this key or person')
    .option('--target <id>', 'only actions on this object')
    .option('--since <time>', 'from this time on, such as 2026-11-01 or 2026-11-01T12:00Z')
    .option('--until <time>', 'before this time')
    .option('--after <id>', 'continue after this entry')
    .option('--limit <n>', 'at most this many', wholeNumber(1), 100)
    .addOption(
      new Option(
        '--export <format>',
        'export in this format, oldest first; without --limit up to 100,000 entries',
      ).choices(['jsonl', 'csv']),
    )
    .option('--output <file>', 'file for the export; - is stdout', '-')
    .action(async (options: AuditOptions, command: Command) => {
      const { audit } = (await connect(options)).team;
      const output = createOutput(options);
      const { action, actor, target, after } = options;
      const filter: AuditFilterParams = Object.fromEntries(
        Object.entries({
          action,
          actor,
          target,
          after,
          since: secondsOf(options.since),
          until: secondsOf(options.until),
        }).filter(([, value]) => value !== undefined),
      );
      if (options.export) {
        // Without --limit, an export has as many entries as one response may contain.
        const limit = command.getOptionValueSource('limit') === 'default' ? 100_000 : options.limit;
        const response = await audit.export({ ...filter, limit, format: options.export });
        const bytes = await saveStream(response.bytes(), options.output);
        if (options.output !== '-') {
          output.result({ path: options.output, bytes }, () => `Wrote ${bytes} bytes to ${options.output}.`);
        }
        return;
      }
      const data = await audit
        .list({ ...filter, limit: Math.min(options.limit, 1_000) })
        .toArray(options.limit);
      output.result({ object: 'list', data }, () =>
        table(
          ['TIME', 'ACTION', 'TARGET', 'BY'],
          data.map((entry) => [
            timestamp(entry.created_at),
            entry.action,
            entry.target,
            entry.person_id ?? entry.key_id ?? entry.system ?? 'graft_admin or graft',
          ]),
          output.paint,
          'No matching entries.',
        ),
      );
    });
}

function secondsOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const time = Date.parse(text);
  if (Number.isNaN(time))
    throw new UsageError(`'${text}' is no time: write 2026-11-01 or 2026-11-01T12:00:00Z.`);
  return Math.floor(time / 1000);
}
