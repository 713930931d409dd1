import { useQuery } from '@tanstack/preact-query';
import { graft } from './graft.ts';
import { useMe, usePermission } from './session.ts';

export function useMemberNames(): {
  nameOf: (id: string) => string;
  members: { id: string; name: string }[];
} {
  const { person } = useMe();
  const { data = [] } = useQuery({
    queryKey: ['members', 'names'],
    queryFn: () => graft.team.members.list({ limit: 1000 }).toArray(1000),
    staleTime: 300_000,
    enabled: usePermission('team:read'),
  });
  const members = data.map(({ id, name, email }) => ({ id, name: name || email }));
  const names = new Map(members.map(({ id, name }) => [id, name]));
  return {
    nameOf: (id) =>
      id === person?.id
        ? 'you'
        : (names.get(id) ?? (id.startsWith('user-') ? 'a former member' : `key ${id}`)),
    members,
  };
}
