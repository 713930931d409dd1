import { done, says, startScriptedWorker, token } from '../../apps/api/src/testing/scripted-worker.ts';
import { type Asked, createJob, type RunningApi, toolCall, uploadFile } from '../running-api.ts';

/** An ordinary kind of request. */
export interface Kind {
  name: string;
  /** Of how many requests of the cheapest kinds there is one of these: what takes long is rarer, as it is in use. */
  every?: number;
  /** The `i`th request, or requests that belong together; their answers' statuses. */
  send(i: number): Promise<number[]>;
}

const line = '{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}\n';
/** A key, and a file and a job of its team. */
interface Holder {
  key: string;
  file: string;
  job: string;
}

const teams = 10;
const keysPerTeam = 20;

/** The kinds, over an API that has some teams, keys, files and jobs. */
export async function openKinds(api: RunningApi): Promise<{ kinds: Kind[]; close(): Promise<void> }> {
  const worker = await startScriptedWorker(api.services, 'bench', says(token('Hel'), token('lo'), done()));
  // A silent worker counts as dead.
  const heartbeat = setInterval(() => void worker.register().catch(() => {}), 2_000);
  const holders: Holder[] = [];
  for (let team = 0; team < teams; team++) {
    const { id, key } = await api.newTeam(`team-${team}`);
    const file = await uploadFile(api, key, line.repeat(20));
    const job = await createJob(api, key, file);
    holders.push({ key, file, job });
    for (let i = 1; i < keysPerTeam; i++) holders.push({ key: await api.newKey(id), file, job });
  }
  const holder = (i: number) => holders[i % holders.length]!;
  const statusOf = async (asked: Asked): Promise<number> => (await api.ask(asked)).status;
  /** A kind of single requests, with the holder's key unless they have another. */
  const single = (name: string, every: number, asked: (own: Holder, i: number) => Asked): Kind => ({
    name,
    every,
    send: async (i) => [await statusOf({ key: holder(i).key, ...asked(holder(i), i) })],
  });
  const etags = new Map<string, string>();
  const jobs = '/v1/fine_tuning/jobs';
  const chats = { method: 'POST', path: '/v1/chat/completions' };
  const chat = { model: 'tiny', messages: [{ role: 'user', content: 'a' }] };
  const streamed = { ...chat, stream: true };
  const long = 'word '.repeat(20_000);

  const kinds: Kind[] = [
    single('get a job', 1, ({ job }) => ({ path: `${jobs}/${job}` })),
    {
      name: 'poll a job by ETag',
      send: async (i) => {
        const { job, key } = holder(i);
        const known = etags.get(key);
        const headers = known ? { 'if-none-match': known } : {};
        const answer = await api.ask({ path: `${jobs}/${job}`, key, headers });
        etags.set(key, answer.headers.get('etag') ?? '');
        return [answer.status];
      },
    },
    single('list jobs', 1, () => ({ path: `${jobs}?limit=20` })),
    single('list files', 1, () => ({ path: '/v1/files' })),
    single('list models', 1, () => ({ path: '/v1/models' })),
    single('list events', 1, ({ job }) => ({ path: `${jobs}/${job}/events` })),
    single('follow events, and hang up', 4, ({ job }) => ({
      path: `${jobs}/${job}/events?stream=true`,
      hangUp: true,
    })),
    single('download a file', 1, ({ file }) => ({ path: `/v1/files/${file}/content` })),
    {
      name: 'upload a file, and delete it',
      every: 10,
      send: async (i) => {
        const { key } = holder(i);
        const file = await uploadFile(api, key, line.repeat(20));
        return [200, await statusOf({ method: 'DELETE', path: `/v1/files/${file}`, key })];
      },
    },
    {
      name: 'create a job, and cancel it',
      every: 20,
      send: async (i) => {
        const { key, file } = holder(i);
        const job = await createJob(api, key, file);
        return [200, await statusOf({ method: 'POST', path: `${jobs}/${job}/cancel`, key })];
      },
    },
    single('estimate a job', 40, (_, i) => {
      const { key, file } = holder(i * keysPerTeam);
      const body = { model: 'tiny', training_file: file };
      return { method: 'POST', path: '/v1/fine_tuning/estimates', key, body };
    }),
    single('chat', 2, () => ({ ...chats, body: chat })),
    single('chat by stream', 2, () => ({ ...chats, body: streamed })),
    single('chat by stream, and hang up', 4, () => ({ ...chats, body: streamed, hangUp: true })),
    single('a tool of MCP', 2, ({ key }) => toolCall(key, 'list_files', {})),
    single('a refused body of 100 kB', 4, () => ({ method: 'POST', path: jobs, body: { model: long } })),
    single('a body that is no JSON', 1, () => ({ method: 'POST', path: jobs, body: '{"model": ' })),
    single('a wrong key', 1, (_, i) => ({
      path: '/v1/files',
      key: `graft_${String(i).padStart(12, 'a')}_${'b'.repeat(40)}`,
    })),
    single('an unknown path', 1, (_, i) => ({ path: `/v1/no/such/path/${i}` })),
  ];
  const close = async () => {
    clearInterval(heartbeat);
    await worker.close();
  };
  return { kinds, close };
}
