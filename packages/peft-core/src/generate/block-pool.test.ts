import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BLOCK, BlockPool, type Chain, RESERVED } from './block-pool.ts';

const chain = (root: string, change: Chain['change'] = null, owner = 'team'): Chain => ({
  owner,
  root,
  change,
});
const ids = (count: number, from = 0) => Array.from({ length: count }, (_, i) => from + i);

/** Allocates blocks for `tokens`, except those already cached, and caches the full ones. */
function compute(pool: BlockPool, by: string | Chain, tokens: number[]): { blocks: number[]; found: number } {
  const own = typeof by === 'string' ? chain(by) : by;
  const { blocks, link } = pool.takeKnown(own, tokens);
  const found = blocks.length;
  let last = link;
  for (let i = found; i * BLOCK < tokens.length; i++) {
    const block = pool.take();
    assert.ok(block !== null);
    blocks.push(block);
    if ((i + 1) * BLOCK <= tokens.length) last = pool.learn(own, last, tokens, i * BLOCK, block);
  }
  return { blocks, found };
}

test('what begins alike shares its full blocks, also when nobody uses them any more', () => {
  const pool = new BlockPool(RESERVED.count + 8);
  const first = compute(pool, 'a', ids(40));
  assert.deepEqual([first.found, first.blocks.length, pool.available], [0, 3, 5]);
  assert.ok(first.blocks.every((block) => block >= RESERVED.count));
  const second = compute(pool, 'a', [...ids(32), 99]);
  assert.equal(second.found, 2);
  assert.deepEqual(second.blocks.slice(0, 2), first.blocks.slice(0, 2));
  assert.notEqual(second.blocks[2], first.blocks[2]);
  pool.release(first.blocks);
  pool.release(second.blocks);
  assert.equal(pool.available, 8);
  assert.equal(compute(pool, 'a', ids(40)).found, 2);
});

test('another root, and other tokens before, share nothing', () => {
  const pool = new BlockPool(RESERVED.count + 9);
  pool.release(compute(pool, 'a', ids(32)).blocks);
  assert.equal(compute(pool, 'b', ids(32)).found, 0);
  assert.equal(compute(pool, 'a', [7, ...ids(31, 1)]).found, 0);
  assert.equal(compute(pool, 'a', [...ids(16), 7, ...ids(15, 17)]).found, 1);
});

test('the longest unused are forgotten first, the ends of a chain before its beginning; used ones never', () => {
  const pool = new BlockPool(RESERVED.count + 6);
  pool.release(compute(pool, 'a', ids(48)).blocks);
  const used = compute(pool, 'b', ids(32));
  assert.equal(pool.available, 4);
  compute(pool, 'c', ids(32));
  assert.equal(pool.takeKnown(chain('a'), ids(48)).blocks.length, 2, 'the end of the chain was evicted');
  assert.equal(pool.available, 0);
  assert.equal(pool.take(), null);
  assert.deepEqual(compute(pool, 'b', ids(32)).blocks, used.blocks);
});

test('two that compute the same at once each have a block, of which one is known', () => {
  const pool = new BlockPool(RESERVED.count + 4);
  const [a, b] = [pool.take()!, pool.take()!];
  const link = pool.learn(chain('a'), 'a', ids(16), 0, a);
  assert.equal(pool.learn(chain('a'), 'a', ids(16), 0, b), link);
  assert.equal(pool.known, 1);
  pool.release([b]);
  pool.release([a]);
  assert.deepEqual(pool.takeKnown(chain('a'), ids(16)).blocks, [a]);
});

test('what is computed before a change is shared with the root, and the rest only with the same change', () => {
  const pool = new BlockPool(RESERVED.count + 20);
  const from = (at: number, name: string) => chain('base', { at, name });
  const plain = compute(pool, 'base', ids(64));
  const changed = compute(pool, from(40, 'x'), ids(64));
  assert.equal(changed.found, 2);
  assert.deepEqual(changed.blocks.slice(0, 2), plain.blocks.slice(0, 2));
  assert.equal(compute(pool, from(40, 'x'), ids(64)).found, 4);
  assert.equal(compute(pool, from(41, 'x'), ids(64)).found, 2, 'another place');
  assert.equal(compute(pool, from(40, 'y'), ids(64)).found, 2, 'another name');
  assert.equal(compute(pool, from(48, 'x'), ids(64)).found, 3, 'at the border of a block');
  assert.equal(compute(pool, from(64, 'x'), ids(64)).found, 4, 'after all of them');
  assert.equal(compute(pool, 'base', ids(64)).found, 4);
});

test('many prompts of one team leave another what it has computed', () => {
  const pool = new BlockPool(RESERVED.count + 20);
  const theirs = chain('theirs', null, 'calm');
  pool.release(compute(pool, theirs, ids(64)).blocks);
  for (let i = 0; i < 50; i++)
    pool.release(compute(pool, chain('many', null, 'many'), ids(48, 1000 * i)).blocks);
  assert.equal(pool.takeKnown(theirs, ids(64)).blocks.length, 4);
  assert.equal(pool.available, 16);
  assert.equal(compute(pool, chain('many', null, 'many'), ids(256, 90_000)).blocks.length, 16);
  assert.equal(pool.take(), null);
});
