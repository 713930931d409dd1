import type { Wire } from '@graft/client';
import { type Command, Option } from 'commander';
import { type Answer, listed } from '../answer.ts';
import { given, words } from '../options/arguments.ts';
import { serviceVerb } from '../remote/service-verb.ts';

interface Rules {
  allow?: string[];
  disallow?: string[];
  public?: 'on' | 'off';
}

/** `graft team exits` and `graft team publishing`: what sends the team's data to other servers, and to which repositories. */
export function addExitVerbs(team: Command): void {
  const lists =
    'list what sends to other servers, with its maker: webhooks, integrations, deploy targets, unfinished publications';
  serviceVerb(team, 'exits', lists, '--maker user-…', '--maker-left')
    .option('--maker <id>', 'only what this key or person made, also through other keys')
    .option('--maker-left', 'only what was made by a key or person without access')
    .run(async ({ team }, { maker, makerLeft }: { maker?: string; makerLeft?: true }) =>
      listed(
        await team.exits(given({ made_by: maker, maker_left: makerLeft })).toArray(),
        {
          ID: 'id',
          KIND: ({ kind }) => kind.replace('_', ' '),
          NAME: 'name',
          'MADE BY': ({ created_by }) => created_by ?? 'unknown',
          KEY: 'made_by_key',
          MAKER: ({ maker_left }) => (maker_left === null ? 'unknown' : maker_left ? 'left' : 'active'),
          STATE: ({ enabled }) => (enabled ? 'enabled' : 'disabled'),
        },
        'None.',
      ),
    );

  const sets = 'show and set to which repositories of the Hugging Face Hub your team may publish';
  serviceVerb(team, 'publishing', sets, '--allow acme', '--allow acme/support-* --public on')
    .option('--allow <names>', 'owners and repositories to add, separated by commas', words)
    .option('--disallow <names>', 'owners and repositories to remove, separated by commas', words)
    .addOption(new Option('--public <state>', 'whether publications may be public').choices(['on', 'off']))
    .run(async ({ team }, { allow = [], disallow = [], public: isPublic }: Rules) => {
      const before = await team.publishing();
      if (allow.length + disallow.length === 0 && isPublic === undefined) return rulesAnswer(before);
      const removed = disallow.map((name) => (name.includes('/') ? name : `${name}/*`).toLowerCase());
      const repositories = [...before.repositories.filter((name) => !removed.includes(name)), ...allow];
      return rulesAnswer(
        await team.setPublishing({
          repositories,
          ...given({ public: isPublic === undefined ? undefined : isPublic === 'on' }),
        }),
      );
    });
}

function rulesAnswer(rules: Wire.PublishingRules): Answer {
  const { repositories, public: isPublic } = rules;
  const where = repositories.length === 0 ? 'nowhere' : `to ${repositories.join(', ')}`;
  return {
    value: rules,
    text: `The team may publish ${where}, ${isPublic ? 'also in public' : 'never in public'}.`,
  };
}
