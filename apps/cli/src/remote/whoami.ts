import type { Me } from '@graft/client';
import type { Command } from 'commander';
import { timestamp } from '../draw/quantities.ts';
import { fields } from '../draw/table.ts';
import { createOutput } from '../output.ts';
import { type RemoteOptions, verb } from '../verb.ts';
import { connect } from './connect.ts';

export function addWhoamiVerb(program: Command): void {
  verb(program, {
    name: 'whoami',
    summary: 'show the owner, team, role and limits of your API key',
    examples: ['graft whoami'],
    remote: true,
  }).action(async (options: RemoteOptions) => {
    const output = createOutput(options);
    const client = await connect(options);
    const me = await client.me();
    output.result(me, () => {
      const { key, person } = me;
      return fields(
        [
          ['service', client.baseUrl],
          ['you are', whoIs(me)],
          ['person', person && `${person.name} <${person.email}> (${person.id})`],
          ['key', key?.id ?? null],
          ['ends', key?.expires_at ? timestamp(key.expires_at) : 'never'],
          ['scopes', me.scopes ? me.scopes.join(', ') || 'none' : 'all of the role'],
          ['models', me.models ? me.models.join(', ') || 'none' : 'all'],
        ],
        output.paint,
      );
    });
  });
}

/** A short description, such as `admin of team research`. */
export function whoIs({ kind, team, role }: Me): string {
  if (kind === 'person') return 'signed in, but in no team';
  return team === null ? 'the operator of the service' : `${role} of team ${team.name}`;
}
