import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { writeTinyModel } from '@graft/peft-core/testing';
import type { JobState } from '@graft/service/jobs';
import { createApiKey, createOperatorKey, type NewApiKey } from '@graft/service/keys';
import type { Services } from '@graft/service/services';
import { createTeam } from '@graft/service/teams';
import { openFenced, openTestServices } from '@graft/service/testing';
import type { Role } from '@graft/wire/lists';
import { buildApp } from '../app.ts';
import type { ApiSettings } from '../settings.ts';

export interface Caller {
  teamId: string;
  teamName: string;
  key: string;
  /** Sends a request; a plain object as `body` is sent as JSON. */
  send(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer>;
  /** Uploads lines as a training file and returns its id. */
  upload(lines: string, filename?: string): Promise<string>;
}

export interface Answer {
  status: number;
  headers: Headers;
  text: string;
  /** The body as JSON. */
  // biome-ignore lint/suspicious/noExplicitAny: answers are what is tested
  json: any;
}

export interface ApiBench {
  /** The services with the owner's view of the database, so that tests see all rows. */
  services: Services;
  app: Awaited<ReturnType<typeof buildApp>>;
  /** `http://127.0.0.1:<port>` */
  url: string;
  /** Two teams, which both can use the model `tiny`. */
  acme: Caller;
  other: Caller;
  /** Creates a key of a team with another role, and optional limits. */
  caller(team: Caller, role: Role, limits?: Partial<NewApiKey>): Promise<Caller>;
  /** A caller with an operator's key. It has no team, so its ids are empty. */
  operator(): Promise<Caller>;
  /** A caller with this key. */
  withKey(team: Pick<Caller, 'teamId' | 'teamName'>, key: string): Caller;
  untilState(jobId: string, state: JobState): Promise<void>;
  close(): Promise<void>;
}

export const chatLine = '{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}';

/** Starts an API on real services, which checks responses against their schemas and has short timeouts. */
export async function openApiBench(
  settings: Partial<ApiSettings> = {},
  env: NodeJS.ProcessEnv = {},
  port = 0,
  log?: Services['log'],
): Promise<ApiBench> {
  const folder = await mkdtemp(join(tmpdir(), 'graft-api-'));
  await writeTinyModel(join(folder, 'tiny'), { max_position_embeddings: 64 });
  const baseModels = join(folder, 'base-models.json');
  await writeFile(baseModels, JSON.stringify({ tiny: { folder: 'tiny' } }));
  const services = await openTestServices({
    role: 'api',
    env: { GRAFT_BASE_MODELS: baseModels, ...env },
    ...(log && { log }),
  });
  const fenced = openFenced(services);
  const app = await buildApp(
    { ...services, ...fenced.database },
    {
      checkResponses: true,
      eventPollMs: 30,
      streamHeartbeatMs: 200,
      workerWaitMs: 300,
      validationSweepMs: 200,
      ...settings,
    },
  );
  const url = await app.listen({ host: '127.0.0.1', port });

  const callerOf = async (
    teamId: string,
    teamName: string,
    role: Role,
    limits: Partial<NewApiKey> = {},
  ): Promise<Caller> => {
    const { key } = await createApiKey(services, teamId, { name: role, role, ...limits });
    return withKey(teamId, teamName, key);
  };
  const withKey = (teamId: string, teamName: string, key: string): Caller => {
    const send: Caller['send'] = async (method, path, body, headers = {}) => {
      const isJson = body !== undefined && !(body instanceof FormData) && typeof body !== 'string';
      const response = await fetch(url + path, {
        method,
        headers: {
          authorization: `Bearer ${key}`,
          ...(isJson || typeof body === 'string' ? { 'content-type': 'application/json' } : {}),
          ...headers,
        },
        ...(body === undefined ? {} : { body: isJson ? JSON.stringify(body) : (body as string | FormData) }),
      });
      return await answerOf(response);
    };
    const upload: Caller['upload'] = async (lines, filename) => {
      const answer = await send('POST', '/v1/files', uploadForm(lines, filename));
      if (answer.status !== 200) throw new Error(answer.text);
      return answer.json.id;
    };
    return { teamId, teamName, key, send, upload };
  };
  const team = async (name: string) => {
    const { id } = await createTeam(services, { name });
    return await callerOf(id, name, 'member');
  };

  return {
    services,
    app,
    url,
    acme: await team('acme'),
    other: await team('other'),
    caller: async ({ teamId, teamName }, role, limits) => await callerOf(teamId, teamName, role, limits),
    operator: async () => withKey('', '', (await createOperatorKey(services, { name: 'test' })).key),
    withKey: ({ teamId, teamName }, key) => withKey(teamId, teamName, key),
    untilState: async (jobId, state) => {
      const end = performance.now() + 60_000;
      for (;;) {
        const { rows } = await services.sql.query('SELECT state, error FROM jobs WHERE id = $1', [jobId]);
        if (rows[0]?.state === state) return;
        if (performance.now() > end)
          throw new Error(`waited in vain for ${state}: ${JSON.stringify(rows[0])}`);
        await sleep(30);
      }
    },
    close: async () => {
      await app.close();
      await fenced.close();
      await services.close();
      await rm(folder, { recursive: true });
    },
  };
}

export async function answerOf(response: Response): Promise<Answer> {
  const text = await response.text();
  const isJson = response.headers.get('content-type')?.startsWith('application/json');
  return {
    status: response.status,
    headers: response.headers,
    text,
    json: isJson ? JSON.parse(text) : undefined,
  };
}

export function uploadForm(content: string | Uint8Array<ArrayBuffer>, name = 'train.jsonl'): FormData {
  const form = new FormData();
  form.set('purpose', 'fine-tune');
  form.set('file', new Blob([content]), name);
  return form;
}
