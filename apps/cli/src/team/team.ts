import type { Command } from 'commander';
import { timestamp } from '../draw/quantities.ts';
import { quotaView } from '../draw/quota-view.ts';
import { fields } from '../draw/table.ts';
import { serviceVerb } from '../remote/service-verb.ts';
import { noun } from '../verb.ts';
import { addAuditVerb } from './audit.ts';
import { addExitVerbs } from './exits.ts';
import { addInvitationVerbs } from './invitations.ts';
import { addTeamKeyVerbs } from './keys.ts';
import { addMemberVerbs } from './members.ts';

/** `graft team …`: verbs for the admins of a team. */
export function addTeamVerbs(program: Command): void {
  const group = noun(
    program,
    'team',
    'your team: show, quota, members, invitations, keys, exits, publishing, audit, delete',
  );

  serviceVerb(group, 'show', 'show your team').run(async ({ team }) => {
    const shown = await team.retrieve();
    const values = {
      team: shown.name,
      id: shown.id,
      'running limit': String(shown.running_limit),
      weight: String(shown.weight),
      created: timestamp(shown.created_at),
    };
    return { value: shown, text: (paint) => fields(values, paint) };
  });

  serviceVerb(group, 'quota', 'show the limits of your team and their current use').run(async ({ team }) => {
    const quota = await team.quota();
    return { value: quota, text: (paint) => quotaView(quota, paint) };
  });
  addMemberVerbs(group);
  addInvitationVerbs(group);
  addTeamKeyVerbs(group);
  addExitVerbs(group);
  addAuditVerb(group);

  const deletes =
    'permanently delete your team with its files, jobs, adapters and keys; refused while it has unfinished jobs';
  serviceVerb(group, 'delete', deletes, '--name research')
    .requiredOption('--name <name>', 'the name of the team, as confirmation')
    .run(async ({ team }, { name }: { name: string }) => ({
      value: await team.delete(name),
      text: `Deleted the team ${name}.`,
    }));
}
