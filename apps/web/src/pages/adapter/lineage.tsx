import type { AdapterVersion } from '@graft/client';
import { useQuery } from '@tanstack/preact-query';
import { useMemo } from 'preact/hooks';
import { Link } from 'wouter-preact';
import { Problem } from '../../components/problem.tsx';
import { graft } from '../../data/graft.ts';
import { count, counted } from '../../text/numbers.ts';
import { type Box, layOutLineage, nodeKinds, nodeLabel } from './lineage-layout.ts';

/** CSS pixels. */
const size = { width: 160, height: 48, across: 36, down: 14, edge: 2 };
const xOf = ({ column }: Box) => size.edge + column * (size.width + size.across);
const yOf = ({ row }: Box) => size.edge + row * (size.height + size.down);

/** Graph of a version's ancestors and descendants: files and base models, jobs, versions. */
export function Lineage({ version: { adapter_id, version, id } }: { version: AdapterVersion }) {
  const { data, error, refetch } = useQuery({
    queryKey: ['adapter', adapter_id, 'lineage', version],
    queryFn: () => graft.adapters.versions.lineage(adapter_id, version),
  });
  const layout = useMemo(() => data && layOutLineage(data), [data]);
  if (error) return <Problem error={error} onRetry={refetch} />;
  if (!data || !layout) return <div class="lineage card" />;
  const { boxes, edges, columns, rows } = layout;
  const width = columns * (size.width + size.across) - size.across + 2 * size.edge;
  const height = rows * (size.height + size.down) - size.down + 2 * size.edge;
  return (
    <>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: scrollable areas must be focusable */}
      <section class="lineage card" aria-label="Lineage" tabIndex={0}>
        {/* biome-ignore lint/a11y/noSvgWithoutTitle: each box has a label, and a title would be a tooltip over all of them */}
        <svg width={width} height={height} viewBox={`0 0 ${width} ${height}`}>
          {edges.map(({ from, to }) => (
            <path key={`${from.node.id} ${to.node.id}`} d={curve(from, to)} />
          ))}
          {boxes.map((box) => (
            <Node key={box.node.id} box={box} isHere={box.node.id === id} />
          ))}
        </svg>
      </section>
      {data.truncated && <p class="small soft">Showing the first {count(data.nodes.length)} nodes.</p>}
    </>
  );
}

function curve(from: Box, to: Box): string {
  const [x1, y1] = [xOf(from) + size.width, yOf(from) + size.height / 2];
  const [x2, y2] = [xOf(to), yOf(to) + size.height / 2];
  const bend = size.across / 2;
  return `M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}`;
}

function Node({ box, isHere }: { box: Box; isHere: boolean }) {
  const { node, checkpoints, from } = box;
  const [x, y] = [xOf(box), yOf(box)];
  const label = nodeLabel(node);
  const kind =
    checkpoints > 0
      ? `${nodeKinds[node.type]} · ${counted(checkpoints, 'checkpoint')}`
      : nodeKinds[node.type];
  const origin = from.length > 0 ? `, from ${from.join(', ')}` : '';
  const inside = (
    <>
      <rect x={x} y={y} width={size.width} height={size.height} rx="6" />
      <foreignObject x={x} y={y} width={size.width} height={size.height}>
        <div class="lineage-text" title={node.label ?? 'Deleted'}>
          <span class="cut lineage-kind">{kind}</span> <span class="cut">{label}</span>
        </div>
      </foreignObject>
    </>
  );
  const attributes = {
    class: 'lineage-node',
    'data-kind': node.type,
    'data-here': isHere,
    'aria-label': `${kind} ${label}${origin}`,
  };
  const href = nodeHref(box);
  return href ? (
    <Link href={href} aria-current={isHere ? 'true' : undefined} {...attributes}>
      {inside}
    </Link>
  ) : (
    // biome-ignore lint/a11y/noInteractiveElementToNoninteractiveRole: part of a graphic, not interactive
    <g role="img" {...attributes}>
      {inside}
    </g>
  );
}

function nodeHref({ node: { id, type, label, version } }: Box): string | null {
  if (label === null) return null;
  if (version) return `/adapters/${version.adapter_id}?version=${version.number}`;
  if (type === 'job') return `/jobs/${id}`;
  return type === 'file' ? `/files/${id}` : null;
}
