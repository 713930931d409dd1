import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FairRows, type Owned } from './fair-rows.ts';

const of = (team: string, count: number, weight = 1): (Owned & { name: string })[] =>
  Array.from({ length: count }, (_, i) => ({ team, weight, name: `${team}${i}` }));

/** How often each is picked in `steps` steps. */
function counts(all: ReturnType<typeof of>, capacity: number, steps: number): Record<string, number> {
  const rows = new FairRows<(typeof all)[number]>();
  const found: Record<string, number> = {};
  for (let i = 0; i < steps; i++) {
    const picked = rows.pick(all, capacity);
    assert.equal(new Set(picked).size, Math.min(capacity, all.length));
    for (const { name } of picked) found[name] = (found[name] ?? 0) + 1;
  }
  return found;
}

test('if there are rows for all, all are picked', () => {
  assert.deepEqual(counts([...of('a', 2), ...of('b', 1)], 4, 5), { a0: 5, a1: 5, b0: 5 });
});

test('a team of one has a row in each step beside a team of many, whose sequences take turns', () => {
  assert.deepEqual(counts([...of('a', 6), ...of('b', 1)], 4, 10), {
    a0: 5,
    a1: 5,
    a2: 5,
    a3: 5,
    a4: 5,
    a5: 5,
    b0: 10,
  });
});

test('rows go by weight', () => {
  const found = counts([...of('a', 4), ...of('b', 4, 3)], 4, 20);
  const all = (team: string) =>
    Object.entries(found).reduce((sum, [name, n]) => sum + (name.startsWith(team) ? n : 0), 0);
  assert.deepEqual([all('a'), all('b')], [20, 60]);
});

test('an absent team accumulates no credit', () => {
  const rows = new FairRows<Owned & { name: string }>();
  const [a, b] = [of('a', 3), of('b', 3)];
  for (let i = 0; i < 10; i++) rows.pick(a, 2);
  const teams = rows.pick([...a, ...b], 2).map(({ team }) => team);
  assert.deepEqual(teams.toSorted(), ['a', 'b']);
});

test('what is charged decides whose turn it is, by weight', () => {
  const rows = new FairRows<Owned & { name: string }>();
  const all = [...of('a', 2), ...of('b', 1), ...of('c', 1, 3)];
  const firsts: string[] = [];
  for (let i = 0; i < 50; i++) {
    const [first] = rows.order(all);
    firsts.push(first!.team);
    rows.charge(first!, 96);
  }
  const count = (team: string) => firsts.filter((each) => each === team).length;
  assert.deepEqual([count('a'), count('b'), count('c')], [10, 10, 30]);
});

test('what a turn has cost is charged, also to a team that left and comes again', () => {
  const rows = new FairRows<Owned & { name: string }>();
  const [a, b] = [of('a', 1), of('b', 1)];
  assert.deepEqual(rows.pick(a, 1), a);
  rows.charge(a[0]!, 9);
  const turns: string[] = [];
  for (let i = 0; i < 14; i++) turns.push(rows.pick(i % 3 === 0 ? b : [...a, ...b], 1)[0]!.team);
  // Team a has had ten units; team b has ten turns, and then they alternate.
  assert.equal(turns.slice(0, 9).join(''), 'bbbbbbbbb');
  assert.ok(turns.slice(9).includes('a'), turns.join(''));
});

test('a debt has a limit', () => {
  const rows = new FairRows<Owned & { name: string }>();
  const [a, b] = [of('a', 1), of('b', 1)];
  rows.pick(a, 1);
  rows.charge(a[0]!, 1e9);
  rows.pick(b, 1);
  rows.charge(b[0]!, 40_000);
  assert.equal(rows.pick([...b, ...a], 1)[0]!.team, 'a');
});
