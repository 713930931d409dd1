import type { AdapterLineage } from '@graft/client';

type Node = AdapterLineage['nodes'][number];

export interface Box {
  node: Node;
  /** Kept checkpoints of a job, which are counted and not drawn. */
  checkpoints: number;
  /** What leads to it, by label. */
  from: string[];
  /** Column and place in it. */
  column: number;
  row: number;
}

export interface Layout {
  /** Column by column, each from the top: the order in which they are read. */
  boxes: Box[];
  edges: { from: Box; to: Box }[];
  columns: number;
  rows: number;
}

/** Rows that a short column is moved down at most beside a long one: where the graph begins stays in sight. */
const mostDown = 2;

/**
 * Places the graph in columns, so that every edge leads to the right: data and base models stand just before what they go into,
 * and within a column boxes stand by the mean place of what they came from. O(nodes + edges), but for sorting the columns.
 */
export function layLineage({ nodes, edges }: Pick<AdapterLineage, 'nodes' | 'edges'>): Layout {
  const boxes = new Map<string, Box>();
  for (const node of nodes)
    if (node.type !== 'checkpoint') boxes.set(node.id, { node, checkpoints: 0, from: [], column: 0, row: 0 });
  const drawn: Layout['edges'] = [];
  for (const { from: fromId, to: toId } of edges) {
    const [from, to] = [boxes.get(fromId), boxes.get(toId)];
    if (from && to) {
      drawn.push({ from, to });
      to.from.push(labelOf(from.node));
    } else if (from) from.checkpoints++;
  }
  place(boxes, drawn);
  const columns = columnsOf([...boxes.values()]);
  const rows = Math.max(0, ...columns.map(({ length }) => length));
  for (const column of columns) {
    sortByOrigin(column, drawn);
    const down = Math.min(mostDown, (rows - column.length) / 2);
    for (const [i, box] of column.entries()) box.row = i + down;
  }
  return { boxes: columns.flat(), edges: drawn, columns: columns.length, rows };
}

/** What people call it. */
export function labelOf({ type, id, label, version }: Node): string {
  if (label === null) return type === 'adapter_version' ? 'Deleted version' : 'Deleted';
  if (version) return `${version.adapter_name} v${version.number}`;
  return type === 'job' ? id.slice(-8) : label;
}

/** Each one column behind the last of what leads to it; what nothing leads to, one before the first that it goes into. */
function place(boxes: ReadonlyMap<string, Box>, edges: Layout['edges']): void {
  const [into, outOf] = [groupBy(edges, 'to'), groupBy(edges, 'from')];
  const open = new Map([...boxes.values()].map((box) => [box, into.get(box)?.length ?? 0]));
  const roots = [...open].flatMap(([box, count]) => (count === 0 ? box : []));
  for (const ready = [...roots]; ready.length > 0; ) {
    const from = ready.shift()!;
    for (const { to } of outOf.get(from) ?? []) {
      to.column = Math.max(to.column, from.column + 1);
      open.set(to, open.get(to)! - 1);
      if (open.get(to) === 0) ready.push(to);
    }
  }
  for (const root of roots) {
    const next = (outOf.get(root) ?? []).map(({ to }) => to.column);
    if (next.length > 0) root.column = Math.min(...next) - 1;
  }
}

function groupBy(edges: Layout['edges'], end: 'from' | 'to'): Map<Box, Layout['edges']> {
  const groups = new Map<Box, Layout['edges']>();
  for (const edge of edges) {
    const group = groups.get(edge[end]);
    if (group) group.push(edge);
    else groups.set(edge[end], [edge]);
  }
  return groups;
}

function columnsOf(boxes: readonly Box[]): Box[][] {
  const columns: Box[][] = [];
  for (const box of boxes) {
    columns[box.column] ??= [];
    columns[box.column]!.push(box);
  }
  return columns.filter(Boolean);
}

function sortByOrigin(column: Box[], edges: Layout['edges']): void {
  const origins = new Map(column.map((box) => [box, [] as number[]]));
  for (const { from, to } of edges) if (from.column < to.column) origins.get(to)?.push(from.row);
  const mean = (box: Box) => {
    const rows = origins.get(box)!;
    return rows.length === 0 ? 0 : rows.reduce((a, b) => a + b, 0) / rows.length;
  };
  const means = new Map(column.map((box) => [box, mean(box)]));
  column.sort((a, b) => means.get(a)! - means.get(b)!);
}
