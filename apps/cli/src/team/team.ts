import type { Command } from 'commander';
import { timestamp } from '../draw/quantities.ts';
import { quotaView } from '../draw/quota-view.ts';
import { fields } from '../draw/table.ts';
import { createOutput } from '../output.ts';
import { connect } from '../remote/connect.ts';
import { noun, type RemoteOptions, verb } from '../verb.ts';
import { addAuditVerb } from './audit.ts';
import { addInvitationVerbs } from './invitations.ts';
import { addTeamKeyVerbs } from './keys.ts';
import { addMemberVerbs } from './members.ts';

/** `graft team …`: verbs for the admins of a team. */
export function addTeamVerbs(program: Command): void {
  const team = noun(program, 'team', 'your team: show, quota, members, invitations, keys, audit, delete');

  verb(team, {
    name: 'show',
    summary: 'show your team',
    examples: ['graft team show'],
    remote: true,
  }).action(async (options: RemoteOptions) => {
    const output = createOutput(options);
    const shown = await (await connect(options)).team.retrieve();
    output.result(shown, () =>
      fields(
        [
          ['team', shown.name],
          ['id', shown.id],
          ['running limit', String(shown.running_limit)],
          ['weight', String(shown.weight)],
          ['created', timestamp(shown.created_at)],
        ],
        output.paint,
      ),
    );
  });

  verb(team, {
    name: 'quota',
    summary: 'show the limits of your team and their current use',
    examples: ['graft team quota'],
    remote: true,
  }).action(async (options: RemoteOptions) => {
    const output = createOutput(options);
    const quota = await (await connect(options)).team.quota();
    output.result(quota, () => quotaView(quota, output.paint));
  });
  addMemberVerbs(team);
  addInvitationVerbs(team);
  addTeamKeyVerbs(team);
  addAuditVerb(team);

  verb(team, {
    name: 'delete',
    summary:
      'permanently delete your team with its files, jobs, adapters and keys; refused while it has unfinished jobs',
    examples: ['graft team delete --name research'],
    remote: true,
  })
    .requiredOption('--name <name>', 'the name of the team, as confirmation')
    .action(async (options: RemoteOptions & { name: string }) => {
      const deleted = await (await connect(options)).team.delete(options.name);
      createOutput(options).result(deleted, () => `Deleted the team ${options.name}.`);
    });
}
