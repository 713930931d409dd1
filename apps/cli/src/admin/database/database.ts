import type { Services } from '@graft/service/services';
import type { UsageDifference } from '@graft/service/usage';
import type { Command } from 'commander';
import { listed, time } from '../../answer.ts';
import type { Columns } from '../../draw/table.ts';
import { CommandError } from '../../errors.ts';
import { expiresOption } from '../../team/key-options.ts';
import { stateOf } from '../../team/keys.ts';
import { noun, type VerbOptions, verb } from '../../verb.ts';
import { queuedText, type SourceOptions, withSource } from '../base-models.ts';
import { operatorKeyNote, operatorKeyOptions } from '../keys.ts';
import { overDatabase, type Service, unixSeconds } from './over-database.ts';
import { addSecretVerbs } from './secrets.ts';

/**
 * The verbs of `graft admin` that access the database: those that set up or recover a service, and those that are not allowed with
 * an operator key.
 */
export function addDatabaseVerbs(admin: Command): void {
  admin.commandsGroup("On the service's machine, in its database (DATABASE_URL, GRAFT_DATA_DIR):");
  addFirstKeyVerbs(admin);
  addSecretVerbs(admin);
  addScimVerbs(admin);
  addUnlistedVerb(nounOf(admin, 'base-models'));
  addCheckVerb(nounOf(admin, 'usage'));
}

const nounOf = (admin: Command, name: string): Command =>
  admin.commands.find((command) => command.name() === name)!;

interface KeyOptions extends VerbOptions {
  name: string;
  person?: string;
  expires?: number;
}

function addFirstKeyVerbs(admin: Command): void {
  const summaries = {
    bootstrap: 'create the first operator key and print it; refused if a valid one exists',
    rescue: 'create an operator key and print it, for an operator who lost theirs',
  };
  for (const [name, summary] of Object.entries(summaries)) {
    const create = verb(admin, name, summary, '--name laptop').option(
      '--name <name>',
      'name of the key',
      name,
    );
    operatorKeyOptions(create).action(
      overDatabase(async (services, service, options: KeyOptions) => {
        if (name === 'bootstrap' && (await hasWorkingKey(services)))
          throw new CommandError(
            'An operator key exists already. With it, `graft admin operator-keys create` creates others; `graft admin rescue` replaces a lost one.',
          );
        const { name: keyName, person, expires: expiresIn = null } = options;
        const personId = person === undefined ? null : await personOf(services, service, person);
        const input = { name: keyName, personId, expiresIn };
        const { record, key } = await service.createOperatorKey(services, input);
        const value = {
          id: record.id,
          name: keyName,
          person_id: personId,
          created_at: unixSeconds(record.createdAt),
          expires_at: unixSeconds(record.expiresAt),
          key,
        };
        return { value, text: key, note: operatorKeyNote };
      }),
    );
  }
}

/** True if a valid key exists that belongs to the service or to an operator. */
const hasWorkingKey = async ({ db }: Services): Promise<boolean> =>
  (await db.operatorKey.count({
    where: {
      revokedAt: null,
      AND: [
        { OR: [{ expiresAt: null }, { expiresAt: { gt: new Date() } }] },
        { OR: [{ personId: null }, { person: { isOperator: true, disabledAt: null } }] },
      ],
    },
  })) > 0;

async function personOf(services: Services, service: Service, idOrEmail: string): Promise<string> {
  const person = await service.findPerson(services, idOrEmail);
  if (person) return person.id;
  throw new CommandError(
    `There is no person ${idOrEmail}. Without --person the key is owned by the service.`,
  );
}

/** Adds a base model from any source. Not in the API, where a stolen operator key must be limited to the configured sources. */
function addUnlistedVerb(models: Command): void {
  const adds = 'add a base model from a source that GRAFT_BASE_MODEL_SOURCES does not list, in the database';
  withSource(verb(models, 'add-unlisted <id>', adds, 'our-model --folder /models/our-model')).action(
    overDatabase(async (services, service, id: string, options: VerbOptions & SourceOptions) => {
      const { hub, revision, folder, s3, file } = options;
      const teams = options.teams && (await teamIds(services, service, options.teams));
      const input = { id, hub, revision, folder, s3, file, teams };
      const { source, location, state } = await service.addBaseModel(services, input, null, null);
      return { value: { id, source, location, state, teams: teams ?? null }, text: queuedText(id) };
    }),
  );
}

async function teamIds(services: Services, service: Service, names: string[]): Promise<string[]> {
  const ids: string[] = [];
  for (const name of names) {
    const team = await service.findTeam(services, name);
    if (!team) throw new CommandError(`There is no team ${name}. \`graft admin teams list\` shows them.`);
    ids.push(team.id);
  }
  return ids;
}

/** Compares the ledger with all counted rows. Not in the API, because a request that reads all of them is too expensive. */
function addCheckVerb(usage: Command): void {
  const checks =
    'compare the usage ledger with jobs, attempts and stored rows, in the database; fails if they differ';
  verb(usage, 'check', checks).action(
    overDatabase(async (services, { checkUsage }) => {
      const differences = await checkUsage(services);
      const columns: Columns<UsageDifference> = {
        TEAM: 'teamId',
        KIND: 'kind',
        OF: 'subject',
        COUNTED: ({ counted }) => String(counted ?? '-'),
        'IN THE LEDGER': 'entered',
      };
      const { length } = differences;
      return {
        ...listed(differences, columns, 'The ledger agrees with jobs, attempts and stored rows.'),
        failure: length > 0 ? `${length} differences.` : undefined,
      };
    }),
  );
}

/**
 * Tokens for a directory such as Entra or Okta, which reports who has left. They are created in the database and belong to the
 * installation: a token created with a stolen operator key would outlive that key.
 */
function addScimVerbs(admin: Command): void {
  const scim = noun(admin, 'scim', 'tokens of SCIM directories: create, list, revoke');

  const creates =
    'create a token for a directory that provisions people by SCIM, and print it; it cannot be shown again';
  verb(scim, 'create', creates, '--name entra')
    .requiredOption('--name <name>', 'name of the directory')
    .addOption(expiresOption('lifetime, such as 90d (default: unlimited)'))
    .action(
      overDatabase(async (services, service, options: VerbOptions & { name: string; expires?: number }) => {
        const { name, expires: expiresIn } = options;
        const { record, token } = await service.createScimToken(services, { name, expiresIn });
        const note = 'A token for /scim/v2 of the service. It is shown only once.';
        return { value: { id: record.id, name, token }, text: token, note };
      }),
    );

  verb(scim, 'list', 'list the tokens of directories, newest first').action(
    overDatabase(async (services, { listScimTokens }) => {
      const data = (await listScimTokens(services)).map((token) => ({
        id: token.id,
        name: token.name,
        created_at: unixSeconds(token.createdAt),
        last_used_at: unixSeconds(token.lastUsedAt),
        expires_at: unixSeconds(token.expiresAt),
        revoked_at: unixSeconds(token.revokedAt),
      }));
      const columns = {
        TOKEN: 'id',
        NAME: 'name',
        'LAST USED': (token: (typeof data)[number]) => time(token.last_used_at),
        STATE: stateOf,
      } as const;
      return listed(data, columns, 'No tokens.');
    }),
  );

  const revokes = 'revoke a token by its id; people whom it deactivated stay deactivated';
  verb(scim, 'revoke <token>', revokes, 'scim_Zb3kQ9wLx0aT').action(
    overDatabase(async (services, { revokeScimToken }, id: string) => {
      if (!(await revokeScimToken(services, id)))
        throw new CommandError(`There is no valid token ${id}. \`graft admin scim list\` shows them.`);
      return { value: { id, revoked: true }, text: `Revoked ${id}.` };
    }),
  );
}
