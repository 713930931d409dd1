import type { AuditFilterParams } from '@graft/client';
import { type Command, Option } from 'commander';
import { listed } from '../answer.ts';
import { timestamp } from '../draw/quantities.ts';
import { given, unixTime, wholeNumber } from '../options/arguments.ts';
import { serviceVerb } from '../remote/service-verb.ts';
import { saveStream } from '../save-stream.ts';

interface AuditOptions extends AuditFilterParams {
  limit?: number;
  export?: 'jsonl' | 'csv';
  output: string;
}

export function addAuditVerb(team: Command): void {
  const examples = ['--action "member.*" --since 2026-11-01', '--export csv --output audit.csv'];
  serviceVerb(team, 'audit', 'show or export the audit log of your team', ...examples)
    .option('--action <action>', 'only this action, such as job.cancel, or a prefix such as member.*')
    .option('--actor <id>', 'only actions of this key or person')
    .option('--target <id>', 'only actions on this object')
    .option('--since <time>', 'from this time on, such as 2026-11-01 or 2026-11-01T12:00Z', unixTime)
    .option('--until <time>', 'before this time', unixTime)
    .option('--after <id>', 'continue after this entry')
    .option('--limit <n>', 'maximum number of entries (default: 100; of an export 100,000)', wholeNumber(1))
    .addOption(
      new Option('--export <format>', 'export in this format, oldest first').choices(['jsonl', 'csv']),
    )
    .option('--output <file>', 'file for the export; - is stdout', '-')
    .run(async ({ team: { audit } }, options: AuditOptions) => {
      const { action, actor, target, since, until, after, export: format, output: path } = options;
      const filter = given({ action, actor, target, since, until, after });
      if (format) {
        const response = await audit.export({ ...filter, limit: options.limit ?? 100_000, format });
        const bytes = await saveStream(response.bytes(), path);
        return path === '-' ? null : { value: { path, bytes }, text: `Wrote ${bytes} bytes to ${path}.` };
      }
      const { limit = 100 } = options;
      const entries = await audit.list({ ...filter, limit: Math.min(limit, 1_000) }).toArray(limit);
      return listed(
        entries,
        {
          TIME: (entry) => timestamp(entry.created_at),
          ACTION: 'action',
          TARGET: 'target',
          BY: (entry) => entry.person_id ?? entry.key_id ?? entry.system ?? 'graft_admin or graft',
        },
        'No matching entries.',
      );
    });
}
