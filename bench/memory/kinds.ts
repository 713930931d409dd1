import { done, says, startScriptedWorker, token } from '../../apps/api/src/testing/scripted-worker.ts';
import { type Answer, type Asked, createJob, type RunningApi, toolCall, uploadFile } from '../running-api.ts';

/** An ordinary kind of request. */
export interface Kind {
  name: string;
  /** Of how many requests of the cheapest kinds there is one of these: what takes long is rarer, as it is in use. */
  every?: number;
  /** The `i`th request, or requests that belong together; their answers' statuses. */
  send(i: number): Promise<number[]>;
}

const line = '{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}\n';
const teams = 10;
const keysPerTeam = 20;

/** The kinds, over an API that has some teams, keys, files and jobs. */
export async function openKinds(api: RunningApi): Promise<{ kinds: Kind[]; close(): Promise<void> }> {
  const worker = await startScriptedWorker(api.services, 'bench', says(token('Hel'), token('lo'), done()));
  // A silent worker counts as dead.
  const heartbeat = setInterval(() => void worker.register().catch(() => {}), 2_000);
  const holders: { key: string; file: string; job: string }[] = [];
  for (let team = 0; team < teams; team++) {
    const { id, key } = await api.newTeam(`team-${team}`);
    const file = await uploadFile(api, key, line.repeat(20));
    const job = await createJob(api, key, file);
    holders.push({ key, file, job });
    for (let i = 1; i < keysPerTeam; i++) holders.push({ key: await api.newKey(id), file, job });
  }
  const holder = (i: number) => holders[i % holders.length]!;
  const send = async (asked: Asked): Promise<number[]> => [(await api.ask(asked)).status];
  const etags = new Map<string, string>();
  const tagOf = ({ headers }: Answer) => String(headers.etag ?? '');
  const chat = { model: 'tiny', messages: [{ role: 'user', content: 'a' }] };
  const streamed = { ...chat, stream: true };
  const long = 'word '.repeat(20_000);

  const kinds: Kind[] = [
    {
      name: 'get a job',
      send: async (i) => await send({ path: `/v1/fine_tuning/jobs/${holder(i).job}`, key: holder(i).key }),
    },
    {
      name: 'poll a job by ETag',
      send: async (i) => {
        const { job, key } = holder(i);
        const known = etags.get(key);
        const headers = known ? { 'if-none-match': known } : {};
        const answer = await api.ask({ path: `/v1/fine_tuning/jobs/${job}`, key, headers });
        etags.set(key, tagOf(answer));
        return [answer.status];
      },
    },
    {
      name: 'list jobs',
      send: async (i) => await send({ path: '/v1/fine_tuning/jobs?limit=20', key: holder(i).key }),
    },
    { name: 'list files', send: async (i) => await send({ path: '/v1/files', key: holder(i).key }) },
    { name: 'list models', send: async (i) => await send({ path: '/v1/models', key: holder(i).key }) },
    {
      name: 'list events',
      send: async (i) =>
        await send({ path: `/v1/fine_tuning/jobs/${holder(i).job}/events`, key: holder(i).key }),
    },
    {
      name: 'follow events, and hang up',
      every: 4,
      send: async (i) =>
        await send({
          path: `/v1/fine_tuning/jobs/${holder(i).job}/events?stream=true`,
          key: holder(i).key,
          hangUp: true,
        }),
    },
    {
      name: 'download a file',
      send: async (i) => await send({ path: `/v1/files/${holder(i).file}/content`, key: holder(i).key }),
    },
    {
      name: 'upload a file, and delete it',
      every: 10,
      send: async (i) => {
        const { key } = holder(i);
        const file = await uploadFile(api, key, line.repeat(20));
        return [200, ...(await send({ method: 'DELETE', path: `/v1/files/${file}`, key }))];
      },
    },
    {
      name: 'create a job, and cancel it',
      every: 20,
      send: async (i) => {
        const { key, file } = holder(i);
        const job = await createJob(api, key, file);
        return [200, ...(await send({ method: 'POST', path: `/v1/fine_tuning/jobs/${job}/cancel`, key }))];
      },
    },
    {
      name: 'estimate a job',
      every: 40,
      send: async (i) =>
        await send({
          method: 'POST',
          path: '/v1/fine_tuning/estimates',
          key: holder(i * keysPerTeam).key,
          body: { model: 'tiny', training_file: holder(i * keysPerTeam).file },
        }),
    },
    {
      name: 'chat',
      every: 2,
      send: async (i) =>
        await send({ method: 'POST', path: '/v1/chat/completions', key: holder(i).key, body: chat }),
    },
    {
      name: 'chat by stream',
      every: 2,
      send: async (i) =>
        await send({ method: 'POST', path: '/v1/chat/completions', key: holder(i).key, body: streamed }),
    },
    {
      name: 'chat by stream, and hang up',
      every: 4,
      send: async (i) =>
        await send({
          method: 'POST',
          path: '/v1/chat/completions',
          key: holder(i).key,
          body: streamed,
          hangUp: true,
        }),
    },
    {
      name: 'a tool of MCP',
      every: 2,
      send: async (i) => await send(toolCall(holder(i).key, 'list_files', {})),
    },
    {
      name: 'a refused body of 100 kB',
      every: 4,
      send: async (i) =>
        await send({
          method: 'POST',
          path: '/v1/fine_tuning/jobs',
          key: holder(i).key,
          body: { model: long },
        }),
    },
    {
      name: 'a body that is no JSON',
      send: async (i) =>
        await send({ method: 'POST', path: '/v1/fine_tuning/jobs', key: holder(i).key, body: '{"model": ' }),
    },
    {
      name: 'a wrong key',
      send: async (i) =>
        await send({ path: '/v1/files', key: `graft_${String(i).padStart(12, 'a')}_${'b'.repeat(40)}` }),
    },
    {
      name: 'an unknown path',
      send: async (i) => await send({ path: `/v1/no/such/path/${i}`, key: holder(i).key }),
    },
  ];
  const close = async () => {
    clearInterval(heartbeat);
    await worker.close();
  };
  return { kinds, close };
}
