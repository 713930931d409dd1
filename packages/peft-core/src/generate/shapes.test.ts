import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { GraftError } from '../errors.ts';
import { type ShapeLimits, Shapes, ShapesFull } from './shapes.ts';

const nextTurn = () => new Promise((resolve) => setImmediate(resolve));
const isFull = (error: unknown) => {
  const { code, fault, param } = error as GraftError;
  assert.deepEqual([code, fault, param], ['adapter_shapes_full', 'environment', 'model']);
  return true;
};

/** Shapes with requests on them: as the models of a generator use them. */
function open(limits: Partial<ShapeLimits> = {}) {
  const seen = { rebuilt: 0, attached: 0 };
  const shapes = new Shapes<number>(() => seen.rebuilt++, limits);
  const loaded = new Set<string>();
  /** Begins a request, and returns what ends it. */
  async function use(shape: string, team = 'a'): Promise<() => void> {
    for (;;) {
      const rebuilt = seen.rebuilt;
      const end = await shapes.enter(team, () => rebuilt === seen.rebuilt && loaded.has(shape));
      try {
        await shapes.attached(shape, team, () => ++seen.attached);
        loaded.add(shape);
        return end;
      } catch (error) {
        end();
        if (!(error instanceof ShapesFull)) throw error;
        await shapes.waitForCapacity(team);
      }
    }
  }
  return { shapes, seen, use };
}

test('a thirty-third shape leads to a rebuild, although requests keep coming', async () => {
  const { shapes, seen, use } = open({ grace: 50 });
  for (let i = 0; i < 32; i++) (await use(`shape ${i}`))();
  let going = true;
  let served = 0;
  /** Before each request ends the next begins. */
  const load = (async () => {
    let end = await use('shape 0');
    while (going) {
      const next = use('shape 0');
      await nextTurn();
      served++;
      end();
      end = await next;
    }
    end();
  })();
  await nextTurn();
  const before = served;
  const end = await use('shape 32');
  assert.equal(seen.rebuilt, 1);
  // Requests for the loaded model continued until the time was over.
  assert.ok(served > before + 1, `${served}`);
  going = false;
  end();
  await load;
  assert.ok(shapes.size <= 2, `${shapes.size}`);
});

test('the program is not rebuilt as long as a request or a write is in progress', async () => {
  const { shapes, seen, use } = open({ most: 1, grace: 0 });
  const end = await use('x');
  const written = shapes.hold('a');
  const next = use('y');
  end();
  await nextTurn();
  assert.equal(seen.rebuilt, 0);
  written();
  (await next)();
  assert.deepEqual([seen.rebuilt, shapes.size], [1, 1]);
});

test('a team with its share gets no further shape beside another team, and all of them alone', async () => {
  const { shapes, seen, use } = open({ most: 4, teamLimit: 2, grace: 0 });
  const other = await use('of b', 'b');
  for (const shape of ['x', 'y']) (await use(shape))();
  await assert.rejects(use('z'), isFull);
  assert.deepEqual([shapes.size, seen.rebuilt], [3, 0]);
  // The other team still may, and those that are loaded are used.
  (await use('of b, too', 'b'))();
  (await use('x'))();
  other();
  (await use('z'))();
  assert.deepEqual([shapes.size, seen.rebuilt], [1, 1]);
  for (const shape of ['w', 'x', 'y']) (await use(shape))();
  assert.deepEqual([shapes.size, seen.rebuilt], [4, 1]);
});

test('the wait for requests in progress has a limit, and ends when the generator closes', async () => {
  const { shapes, seen, use } = open({ most: 1, grace: 0, wait: 20 });
  const end = await use('x');
  await assert.rejects(use('y'), isFull);
  await assert.rejects(use('x'), isFull);
  end();
  (await use('y'))();
  assert.equal(seen.rebuilt, 1);
  const last = await use('y');
  const waiting = assert.rejects(use('z'), /closed/);
  await nextTurn();
  shapes.close(new Error('closed'));
  await waiting;
  last();
});
