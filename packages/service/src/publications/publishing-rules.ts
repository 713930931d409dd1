import { GraftError } from '@graft/peft-core/config';
import type { Actor } from '../audit/actor.ts';
import { insertAudit } from '../audit/insert-audit.ts';
import type { Database, Transaction } from '../database/database.ts';
import { inTransaction } from '../database/in-transaction.ts';
import { holdExitMaker } from '../keys/exits.ts';

/** To which repositories of the Hub a team may publish. An admin of the team sets it; without it there are none. */
export interface PublishingRules {
  /** `owner/name` in lower case; a name may end with `*`, and `owner/*` is all of an owner's. */
  repositories: string[];
  allowPublic: boolean;
  /** Null: no admin has set the rules. */
  updatedAt: Date | null;
}
const none: PublishingRules = { repositories: [], allowPublic: false, updatedAt: null };

/** An owner alone, or with a repository whose name may end with `*`. */
const form = /^[a-z0-9][\w.-]{0,95}(?:\/(?:[a-z0-9][\w.-]{0,95}\*?|\*))?$/i;

export async function getPublishingRules(
  { db }: { db: Pick<Transaction, 'publishingRules'> },
  teamId: string,
): Promise<PublishingRules> {
  const row = await db.publishingRules.findFirst({ where: { teamId }, omit: { teamId: true } });
  return row ?? none;
}

/** Sets what is given. Throws GraftError `invalid_publishing_rules`. */
export async function setPublishingRules(
  database: Database,
  teamId: string,
  changes: { repositories?: readonly string[] | undefined; allowPublic?: boolean | undefined },
  by: Actor,
): Promise<PublishingRules> {
  const bad = changes.repositories?.find((entry) => !form.test(entry));
  if (bad !== undefined)
    throw new GraftError(
      'invalid_publishing_rules',
      `repositories: ${JSON.stringify(bad.slice(0, 200))} is neither an owner, such as acme, nor a repository, such as acme/support or acme/support-*.`,
      { param: 'repositories' },
    );
  const repositories = changes.repositories?.map((entry) =>
    (entry.includes('/') ? entry : `${entry}/*`).toLowerCase(),
  );
  return await inTransaction(database, async (tx) => {
    await holdExitMaker(tx, teamId, by);
    const before = await getPublishingRules({ db: tx }, teamId);
    const values = {
      repositories: repositories ? [...new Set(repositories)].sort() : before.repositories,
      allowPublic: changes.allowPublic ?? before.allowPublic,
      updatedAt: new Date(),
    };
    const row = await tx.publishingRules.upsert({
      where: { teamId },
      create: { teamId, ...values },
      update: values,
      omit: { teamId: true },
    });
    const detail = { repositories: values.repositories, public: values.allowPublic };
    await insertAudit(tx, teamId, by, { action: 'publishing.set', target: teamId, detail });
    return row;
  });
}

/** Throws GraftError `repository_not_allowed`, `public_not_allowed`. */
export function checkPublishable(
  { repositories, allowPublic }: PublishingRules,
  { repository, isPublic }: { repository: string; isPublic: boolean },
): void {
  const name = repository.toLowerCase();
  const isAllowed = repositories.some((entry) =>
    entry.endsWith('*') ? name.startsWith(entry.slice(0, -1)) : name === entry,
  );
  const owner = repository.slice(0, repository.indexOf('/'));
  if (!isAllowed)
    throw new GraftError(
      'repository_not_allowed',
      `An admin of the team has not allowed publications to ${repository}: \`graft team publishing --allow ${owner}\` allows all of ${owner}, \`--allow ${repository}\` this one.`,
      { param: 'repository' },
    );
  if (isPublic && !allowPublic)
    throw new GraftError(
      'public_not_allowed',
      'An admin of the team has not allowed public publications: `graft team publishing --public on` allows them.',
      { param: 'public' },
    );
}
