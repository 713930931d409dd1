import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { assertError } from '../testing/assert-error.ts';
import { type ApiBench, chatLine, openApiBench } from '../testing/open-api-bench.ts';

let bench: ApiBench;
before(async () => {
  bench = await openApiBench();
});
after(async () => await bench.close());

test('fifty requests for a job that a frozen transaction holds: 503 for them, and nothing for another team', async () => {
  const { acme, other, services } = bench;
  const create = async (team: typeof acme) => {
    const training_file = await team.upload(chatLine);
    return async () => await team.send('POST', '/v1/fine_tuning/jobs', { model: 'tiny', training_file });
  };
  const [createOfAcme, createOfOther] = [await create(acme), await create(other)];
  const { json: stuck } = await createOfAcme();
  await bench.untilState(stuck.id, 'queued');

  /** Milliseconds of the slowest of several sequential requests of the other team. */
  const slowest = async () => {
    let worst = 0;
    for (let i = 0; i < 6; i++) {
      const start = performance.now();
      const answers = [await createOfOther(), await other.send('GET', '/v1/fine_tuning/jobs?limit=5')];
      for (const answer of answers) assert.equal(answer.status, 200);
      worst = Math.max(worst, performance.now() - start);
    }
    return worst;
  };
  const calm = await slowest();

  const frozen = await services.sql.connect();
  // Disables Postgres' timeout, since the machine may be slow.
  await frozen.query('SET idle_in_transaction_session_timeout = 0');
  const path = `/v1/fine_tuning/jobs/${stuck.id}/cancel`;
  try {
    await frozen.query('BEGIN');
    await frozen.query('SELECT 1 FROM jobs WHERE id = $1 FOR UPDATE', [stuck.id]);
    const flood = Promise.all(Array.from({ length: 50 }, () => acme.send('POST', path)));
    const flooded = await slowest();
    for (const answer of await flood) {
      assertError(answer, 503, 'resource_busy');
      assert.match(answer.headers.get('retry-after')!, /^\d+$/);
    }
    // If the requests occupied all connections, it would take as long as the lock timeout.
    assert.ok(flooded < Math.max(2000, 5 * calm), `${calm} ms, then ${flooded} ms`);
  } finally {
    frozen.release(true);
  }
  assert.equal((await acme.send('POST', path)).json.status, 'cancelled');
});
