import type { Command } from 'commander';
import { timestamp } from '../draw/quantities.ts';
import { found, listVerb, serviceVerb } from '../remote/service-verb.ts';
import { noun } from '../verb.ts';

/** `graft admin leftovers`: adapters that may still be loaded in runtimes that did not answer after their deploy target was deleted. */
export function addLeftoverVerbs(admin: Command): void {
  const group = noun(admin, 'leftovers', 'adapters that runtimes may still have: list, dismiss');

  listVerb(group, ({ admin }, page) => admin.listLeftovers(page), {
    summary: 'list deleted deploy targets whose runtime did not answer for a day',
    columns: {
      ID: 'id',
      TEAM: 'team_name',
      NAME: 'name',
      RUNTIME: ({ runtime, url }) => `${runtime} at ${url}`,
      MODEL: 'model_name',
      'UNREACHABLE SINCE': ({ unreachable_since }) => timestamp(unreachable_since),
    },
    empty: 'None: every runtime has unloaded the adapters of its deleted targets.',
  });

  const dismisses = 'remove a leftover whose adapters you have unloaded, and its files';
  serviceVerb(group, 'dismiss <id>', dismisses, 'dpt-…').run(async ({ admin }, id: string) => {
    const absent = `There is no leftover ${id}. \`graft admin leftovers list\` shows them.`;
    const value = await found(admin.dismissLeftover(id), absent);
    return { value, text: `Dismissed ${id}; its files are removed within an hour.` };
  });
}
