import type { AdapterLineage } from '@graft/client';

type Node = AdapterLineage['nodes'][number];

export const nodeKinds: Record<Node['type'], string> = {
  base_model: 'Base model',
  file: 'File',
  job: 'Job',
  adapter_version: 'Version',
  checkpoint: 'Checkpoint',
};

export interface Box {
  node: Node;
  /** Number of a job's checkpoints, which are not drawn. */
  checkpoints: number;
  /** Labels of its direct predecessors. */
  from: string[];
  before: Box[];
  after: Box[];
  column: number;
  row: number;
}

export interface Layout {
  /** Column by column, each from the top: the reading order. */
  boxes: Box[];
  edges: { from: Box; to: Box }[];
  columns: number;
  rows: number;
}

/** Maximum rows by which a short column is moved down to centre it, so that the start of the graph stays visible. */
const maxOffset = 2;

/**
 * Places the graph in columns so that every edge points right. Files and base models are in the column before their first user, and
 * boxes within a column are sorted by the mean row of their predecessors. O(nodes + edges), plus sorting.
 */
export function layOutLineage({ nodes, edges }: Pick<AdapterLineage, 'nodes' | 'edges'>): Layout {
  const boxes = new Map<string, Box>();
  for (const node of nodes)
    if (node.type !== 'checkpoint')
      boxes.set(node.id, { node, checkpoints: 0, from: [], before: [], after: [], column: 0, row: 0 });
  const drawn: Layout['edges'] = [];
  for (const { from: fromId, to: toId } of edges) {
    const [from, to] = [boxes.get(fromId), boxes.get(toId)];
    if (from && to) {
      drawn.push({ from, to });
      to.from.push(nodeLabel(from.node));
      to.before.push(from);
      from.after.push(to);
    } else if (from) from.checkpoints++;
  }
  assignColumns([...boxes.values()]);
  const columns = groupByColumn([...boxes.values()]);
  const rows = Math.max(0, ...columns.map(({ length }) => length));
  for (const column of columns) {
    sortByPredecessors(column);
    const down = Math.min(maxOffset, (rows - column.length) / 2);
    for (const [i, box] of column.entries()) box.row = i + down;
  }
  return { boxes: columns.flat(), edges: drawn, columns: columns.length, rows };
}

export function nodeLabel({ type, id, label, version }: Node): string {
  if (label === null) return type === 'adapter_version' ? 'Deleted version' : 'Deleted';
  if (version) return `${version.adapter_name} v${version.number}`;
  return type === 'job' ? id.slice(-8) : label;
}

/** Sets columns: one after the last predecessor, or, without predecessors, one before the first successor. */
function assignColumns(boxes: readonly Box[]): void {
  const open = new Map(boxes.map((box) => [box, box.before.length]));
  const roots = boxes.filter(({ before }) => before.length === 0);
  for (const ready = [...roots]; ready.length > 0; ) {
    const from = ready.shift()!;
    for (const to of from.after) {
      to.column = Math.max(to.column, from.column + 1);
      open.set(to, open.get(to)! - 1);
      if (open.get(to) === 0) ready.push(to);
    }
  }
  for (const root of roots) {
    const next = root.after.map(({ column }) => column);
    if (next.length > 0) root.column = Math.min(...next) - 1;
  }
}

function groupByColumn(boxes: readonly Box[]): Box[][] {
  const columns: Box[][] = [];
  for (const box of boxes) {
    columns[box.column] ??= [];
    columns[box.column]!.push(box);
  }
  return columns.filter(Boolean);
}

/** By the mean row of the predecessors in earlier columns, whose rows are set. */
function sortByPredecessors(column: Box[]): void {
  const meanRow = ({ before, column }: Box) => {
    const rows = before.filter((box) => box.column < column).map(({ row }) => row);
    return rows.length === 0 ? 0 : rows.reduce((a, b) => a + b, 0) / rows.length;
  };
  const means = new Map(column.map((box) => [box, meanRow(box)]));
  column.sort((a, b) => means.get(a)! - means.get(b)!);
}
