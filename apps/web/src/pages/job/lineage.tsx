import type { AdapterLineage, AdapterVersion } from '@graft/client';
import { useQuery } from '@tanstack/preact-query';
import { Link } from 'wouter-preact';
import { graft } from '../../data/graft.ts';

const kinds: Record<AdapterLineage['nodes'][number]['type'], string> = {
  base_model: 'Base model',
  file: 'Data',
  job: 'Job',
  checkpoint: 'Checkpoint',
  adapter_version: 'Version',
};

/** All that the adapter comes from, in the order in which it came about. */
export function Lineage({ version }: { version: Pick<AdapterVersion, 'adapter_id' | 'version'> }) {
  const { data } = useQuery({
    queryKey: ['lineage', version.adapter_id, version.version],
    queryFn: () => graft.adapters.versions.lineage(version.adapter_id, version.version),
    staleTime: 60_000,
  });
  if (!data) return null;
  return (
    <section class="panel">
      <h2>Where it comes from</h2>
      <ol class="job-lineage">
        {inOrder(data).map(({ id, type, label }) => (
          <li key={id}>
            <span class="soft">{kinds[type]}</span>
            {type === 'job' ? (
              <Link href={`/jobs/${id}`}>{label ?? id}</Link>
            ) : (
              <span>{label ?? `${id}, deleted`}</span>
            )}
          </li>
        ))}
      </ol>
    </section>
  );
}

/** What something is made of before it. */
function inOrder({ nodes, edges }: AdapterLineage): AdapterLineage['nodes'] {
  const rank = new Map(nodes.map(({ id }) => [id, 0]));
  // The graph has no circles, so that its depth bounds the rounds.
  for (let i = 0; i < nodes.length; i++) {
    for (const { from, to } of edges) rank.set(to, Math.max(rank.get(to) ?? 0, (rank.get(from) ?? 0) + 1));
  }
  return [...nodes].sort((a, b) => rank.get(a.id)! - rank.get(b.id)!);
}
