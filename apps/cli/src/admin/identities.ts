import type { IdentityRecord } from '@graft/service';
import type { Command } from 'commander';
import { timestamp } from '../draw/quantities.ts';
import { table } from '../draw/table.ts';
import { CommandError } from '../errors.ts';
import { createOutput } from '../output.ts';
import { type VerbOptions, verb } from '../verb.ts';
import { existingPerson } from './existing-person.ts';
import { unixSeconds, withServices } from './with-services.ts';

/** `graft admin people identities` and `unlink`: by what a person signs in. */
export function addIdentityVerbs(people: Command): void {
  verb(people, {
    name: 'identities <person>',
    summary: 'list the identities at providers by which a person signs in',
    examples: ['graft admin people identities ada@example.com'],
  }).action(async (idOrEmail: string, options: VerbOptions) => {
    const output = createOutput(options);
    const data = await withServices(async (services, service) => {
      const { id } = await existingPerson(services, service, idOrEmail);
      return await service.listIdentities(services, id);
    });
    output.result({ object: 'list', data: data.map(wireIdentity) }, () =>
      table(
        ['IDENTITY', 'PROVIDER', 'SUBJECT', 'LINKED', 'LAST SIGN-IN'],
        data.map((identity) => [
          identity.id,
          identity.issuer,
          identity.subject,
          timestamp(unixSeconds(identity.createdAt)),
          timestamp(unixSeconds(identity.lastSeenAt)),
        ]),
        output.paint,
        'None: this person has never signed in at a provider.',
      ),
    );
  });

  verb(people, {
    name: 'unlink <person> <identity>',
    summary: 'take an identity from a person, and end the sessions that it made',
    examples: ['graft admin people unlink ada@example.com ident-…'],
  }).action(async (idOrEmail: string, identity: string, options: VerbOptions) => {
    const { id, email } = await withServices(async (services, service) => {
      const person = await existingPerson(services, service, idOrEmail);
      if (await service.unlinkIdentity(services, person.id, identity, null, null)) return person;
      throw new CommandError(
        `${person.email} has no identity ${identity}. \`graft admin people identities ${person.email}\` shows them.`,
      );
    });
    createOutput(options).result(
      { person_id: id, email, identity_id: identity, unlinked: true },
      () => `${identity} is unlinked from ${email}, and its sessions have ended.`,
    );
  });
}

/** Field names and times as the API has them. */
const wireIdentity = ({ id, issuer, subject, createdAt, lastSeenAt }: IdentityRecord) => ({
  id,
  issuer,
  subject,
  created_at: unixSeconds(createdAt),
  last_seen_at: unixSeconds(lastSeenAt),
});
