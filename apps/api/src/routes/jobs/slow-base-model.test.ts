/** Requests that wait for something other than Postgres hold no turn. If they held all turns, no team's requests would proceed. */
import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import { createApiKey } from '@graft/service/keys';
import { createTeam } from '@graft/service/teams';
import { type ApiBench, type Caller, chatLine, openApiBench } from '../../testing/open-api-bench.ts';

let bench: ApiBench;
let hub: Server;
let isAsked: Promise<void>;
before(async () => {
  // Accepts connections but never responds, like a hub behind a broken network.
  hub = createServer();
  isAsked = new Promise((resolve) => hub.once('request', () => resolve()));
  await new Promise<void>((resolve) => hub.listen(0, '127.0.0.1', resolve));
  const { port } = hub.address() as AddressInfo;
  bench = await openApiBench(
    {},
    { GRAFT_HUB_ALLOW: 'slow/*', HF_ENDPOINT: `http://127.0.0.1:${port}`, GRAFT_CACHE_DIR: '' },
  );
});
after(async () => {
  hub?.closeAllConnections();
  hub?.close();
  await bench?.close();
});

async function newTeam(name: string): Promise<Caller> {
  const { id } = await createTeam(bench.services, { name });
  const { key } = await createApiKey(bench.services, id, { name: 'k', role: 'member' });
  return bench.withKey({ teamId: id, teamName: name }, key);
}

test('24 requests of three teams that wait for a base model leave all others their turns', async () => {
  const teams = await Promise.all(['a', 'b', 'c'].map(newTeam));
  let answered = 0;
  const files = await Promise.all(teams.map((team) => team.upload(chatLine)));
  const jobs = teams.flatMap((team, i) =>
    Array.from({ length: 8 }, async (_, nth) => {
      const body = { model: 'slow/model', training_file: files[i], metadata: { nth: String(nth) } };
      const { status, text } = await team.send('POST', '/v1/fine_tuning/jobs', body);
      answered++;
      assert.equal(status, 200, text);
    }),
  );
  const ended = Promise.all(jobs);
  ended.catch(() => {});
  await isAsked;
  for (const team of [bench.other, ...teams])
    assert.equal((await team.send('GET', '/v1/files')).status, 200, team.teamName);
  assert.equal(answered, 0, 'others are answered while these wait');
  await ended;
});
