import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AdapterLineage } from '@graft/client';
import { layOutLineage } from './lineage-layout.ts';

type Node = AdapterLineage['nodes'][number];

const node = (id: string, type: Node['type'] = 'adapter_version', label: string | null = id): Node => ({
  id,
  type,
  label,
  created_at: null,
  version: null,
});
const edge = (from: string, to: string) => ({ from, to, kind: 'starts' as const });

test('every edge points right, files are before their job, and checkpoints are counted', () => {
  const { boxes, edges, columns, rows } = layOutLineage({
    nodes: [
      ...[node('v2'), node('v1'), node('base', 'base_model'), node('job1', 'job'), node('job2', 'job')],
      ...[
        node('data1', 'file'),
        node('data2', 'file', null),
        node('c1', 'checkpoint'),
        node('c2', 'checkpoint'),
      ],
    ],
    edges: [
      ...[edge('base', 'job1'), edge('data1', 'job1'), edge('job1', 'v1'), edge('v1', 'job2')],
      ...[edge('data2', 'job2'), edge('job2', 'v2'), edge('job2', 'c1'), edge('job2', 'c2')],
    ],
  });
  const at = Object.fromEntries(boxes.map(({ node, column }) => [node.id, column]));
  assert.deepEqual(at, { base: 0, data1: 0, job1: 1, v1: 2, data2: 2, job2: 3, v2: 4 });
  for (const { from, to } of edges) assert.ok(from.column < to.column);
  assert.deepEqual([columns, rows, edges.length], [5, 2, 6]);
  const job = boxes.find((box) => box.node.id === 'job2')!;
  assert.deepEqual([job.checkpoints, job.from], [2, ['v1', 'Deleted']]);
  const places = boxes.map(({ column, row }) => `${column} ${row}`);
  assert.equal(new Set(places).size, places.length, 'no two in one cell');
});

test('children are in the order of their parents, and a long column stays near its start', () => {
  const parents = ['p0', 'p1', 'p2'];
  const children = Array.from({ length: 198 }, (_, i) => `c${i}`);
  const { boxes, rows } = layOutLineage({
    nodes: [...children, ...parents].map((id) => node(id)),
    edges: children.map((id, i) => edge(parents[2 - (i % 3)]!, id)),
  });
  const origins = boxes.filter(({ column }) => column === 1).map(({ from }) => from[0]);
  assert.deepEqual(origins, [...origins].sort());
  assert.deepEqual([rows, boxes[0]!.row], [198, 2]);
});

test('empty graphs and cycles have a layout too', () => {
  assert.deepEqual(layOutLineage({ nodes: [], edges: [] }), { boxes: [], edges: [], columns: 0, rows: 0 });
  const { boxes } = layOutLineage({ nodes: [node('a'), node('b')], edges: [edge('a', 'b'), edge('b', 'a')] });
  assert.equal(boxes.length, 2);
});
