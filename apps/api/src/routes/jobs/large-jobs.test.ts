/** Many jobs with options as long as they may be: neither a list nor a stream of changes holds them all in the memory of all teams. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setJobPriority } from '@graft/service/jobs';
import { createJobChanges } from '../../jobs/job-changes.ts';
import { createJobWriter, type WireJob } from '../../jobs/job-writer.ts';
import { type ApiBench, chatLine, openApiBench } from '../../testing/open-api-bench.ts';

const path = '/v1/fine_tuning/jobs';
const count = 100;

let bench: ApiBench;
let first: string;
before(async () => {
  bench = await openApiBench();
  const { acme, services } = bench;
  const training_file = await acme.upload(chatLine);
  const { json, text } = await acme.send('POST', path, {
    model: 'tiny',
    training_file,
    peft: {
      peft_type: 'PROMPT_TUNING',
      prompt_tuning_init: 'TEXT',
      prompt_tuning_init_text: 'a'.repeat(65_536),
      num_virtual_tokens: 4,
    },
  });
  assert.ok(json.id, text);
  first = json.id;
  await bench.untilState(first, 'queued');
  // As if the team had created the same job again and again, and paused each.
  const { rows } = await services.sql.query<{ name: string }>(
    `SELECT column_name AS name FROM information_schema.columns
     WHERE table_schema = current_schema() AND table_name = 'jobs' AND column_name NOT IN ('id', 'state')`,
  );
  const columns = rows.map(({ name }) => name).join(', ');
  await services.sql.query(
    `INSERT INTO jobs (id, state, ${columns})
     SELECT id || '-' || n, 'paused', ${columns} FROM jobs, generate_series(2, ${count}) n WHERE id = $1`,
    [first],
  );
});
after(async () => await bench?.close());

test('pages of a list end before they have more than some megabytes, and together are the list', async () => {
  const ids: string[] = [];
  let pages = 0;
  for (let after = ''; ; ) {
    const { status, text, json } = await bench.acme.send('GET', `${path}?limit=1000${after}`);
    assert.equal(status, 200, text);
    assert.ok(text.length < 6 * 2 ** 20, `a page has ${text.length} characters`);
    ids.push(...json.data.map(({ id }: WireJob) => id));
    pages++;
    if (!json.has_more) break;
    after = `&after=${json.last_id}`;
  }
  assert.equal(new Set(ids).size, count);
  assert.equal(ids.length, count);
  assert.ok(pages > 1);
});

test('a stream reads a job when its client does and when it has changed, and no other', async (t) => {
  const { services, acme } = bench;
  const writer = createJobWriter(services);
  let read = 0;
  const wireAll: typeof writer.wireAll = async (jobs) => {
    read += jobs.length;
    return await writer.wireAll(jobs);
  };
  const changes = createJobChanges(services, { ...writer, wireAll }, 10);
  t.after(() => changes.close());
  const leaving = new AbortController();
  const stream = changes.follow(acme.teamId, 60_000, leaving.signal);
  const sent: string[] = [];
  const take = async () => {
    const { value } = await stream.next();
    const jobs = value as WireJob[];
    const characters = JSON.stringify(jobs).length;
    assert.ok(
      jobs.length === 1 || characters < 4 * 65_536,
      `${jobs.length} jobs of ${characters} characters`,
    );
    sent.push(...jobs.map(({ id }) => id));
  };
  await take();
  assert.ok(read <= 20, `${read} jobs were read for the first`);
  while (sent.length < count) await take();
  assert.equal(new Set(sent).size, count);
  const before = read;
  assert.ok(before <= count + 20, `${before} jobs were read`);
  // Several polls pass in that time.
  for (const priority of ['high', 'low', 'normal'] as const) {
    await setJobPriority(services, acme.teamId, first, priority, { keyId: acme.key.split('_')[1]! });
    while (sent.at(-1) !== first) await take();
    sent.push('');
  }
  assert.ok(read - before <= 12, `${read - before} jobs were read for three changes of one`);
  leaving.abort();
});
