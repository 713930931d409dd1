import type { Me } from '@graft/client';
import type { Command } from 'commander';
import { timestamp } from '../draw/quantities.ts';
import { fields } from '../draw/table.ts';
import { serviceVerb } from './service-verb.ts';

export function addWhoamiVerb(program: Command): void {
  serviceVerb(program, 'whoami', 'show the owner, team, role and limits of your API key').run(
    async (client) => {
      const me = await client.me();
      const { key, person } = me;
      const values = {
        service: client.baseUrl,
        'you are': whoIs(me),
        person: person && `${person.name} <${person.email}> (${person.id})`,
        key: key?.id,
        ends: key?.expires_at ? timestamp(key.expires_at) : 'never',
        scopes: me.scopes ? me.scopes.join(', ') || 'none' : 'all of the role',
        models: me.models ? me.models.join(', ') || 'none' : 'all',
      };
      return { value: me, text: (paint) => fields(values, paint) };
    },
  );
}

/** A short description, such as `admin of team research`. */
export function whoIs({ kind, team, role }: Me): string {
  if (kind === 'person') return 'signed in, but in no team';
  return team === null ? 'the operator of the service' : `${role} of team ${team.name}`;
}
