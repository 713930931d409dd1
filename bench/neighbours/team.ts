import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { GraftClient } from '@graft/client';
import { adapterFor, filesOf } from '../../apps/api/src/testing/adapter-parts.ts';
import { type Asked, answerTo, createJob, type RunningApi, uploadFile } from '../running-api.ts';

export interface Team {
  api: RunningApi;
  key: string;
  /** For files that it uploads. */
  folder: string;
  /** Bytes of a large file. */
  bytes: number;
  /** config.json of the base model. */
  modelConfig: Record<string, unknown>;
  /** True once the team is to stop: unfinished work is then cancelled. */
  isOver(): boolean;
}

/** Characters of an error that one job or answer may have. */
const longestError = 4_000;
const jobs = '/v1/fine_tuning/jobs';
export const turns = (content: string, count = 2) => ({
  messages: Array.from({ length: count }, (_, i) => ({ role: i % 2 ? 'assistant' : 'user', content })),
});
export const line = (example: object) => `${JSON.stringify(example)}\n`;
/** A template as models have it. `first` is put before it. */
export const template = (first = '') =>
  `${first}{% for message in messages %}{{ message.role + ': ' + message.content + '</s>' }}{% endfor %}{% if add_generation_prompt %}{{ 'assistant: ' }}{% endif %}`;
export interface Trained {
  model: string;
  adapter_id: string;
  version: number;
}

/** How an act ended with this error: `broken` unless it is the user's fault in few characters. */
function faultCode({ code, ...rest }: { code: string; message: string }, isUsers: boolean): string {
  const text = JSON.stringify(rest);
  if (!isUsers) return `broken: ${code} ${text.slice(0, 300)}`;
  return text.length > longestError ? `broken: ${code} with ${text.length} characters` : code;
}

const send = (team: Team, asked: Asked) => answerTo(team.api, { key: team.key, ...asked });

/** Creates a job and cancels it once its files are validated. */
export async function validate(team: Team, file: string, options: object): Promise<string> {
  const job = await createJob(team.api, team.key, file, options);
  let state = await send(team, { path: `${jobs}/${job}` });
  for (; state.status === 'validating_files' && !team.isOver(); await sleep(50))
    state = await send(team, { path: `${jobs}/${job}` });
  if (state.status === 'failed') return faultCode(state.error, state.error.fault === 'user');
  await team.api.ask({ method: 'POST', path: `${jobs}/${job}/cancel`, key: team.key });
  return state.status === 'validating_files' ? 'cancelled' : 'done';
}

export async function chat(
  team: Team,
  model: string,
  content: string,
  options: object = {},
): Promise<string> {
  const body = { model, messages: [{ role: 'user', content }], max_tokens: 4, ...options };
  const signal = AbortSignal.timeout(120_000);
  const asked = { method: 'POST', path: '/v1/chat/completions', key: team.key, body, signal };
  const { status, text } = await team.api.ask(asked);
  if (status === 200) return 'done';
  const { error } = JSON.parse(text);
  return status === 503 ? `busy: ${error.code}` : faultCode(error, status < 500);
}

export async function trained(team: Team, suffix: string, chat_template: string): Promise<Trained> {
  const file = await uploadFile(team.api, team.key, line(turns('a')).repeat(4));
  const options = { suffix, training: { chat_template, max_steps: 1 } };
  const job = await createJob(team.api, team.key, file, options);
  for (const end = performance.now() + 300_000; performance.now() < end; await sleep(100)) {
    const { text } = await team.api.ask({ path: `${jobs}/${job}`, key: team.key });
    const { status, fine_tuned_model: model, error } = JSON.parse(text);
    if (status === 'succeeded') {
      const { adapter_id, version } = (await new GraftClient(clientOptions(team)).adapters.retrieveVersionOf(
        model,
      ))!;
      return { model, adapter_id, version };
    }
    if (status === 'failed') throw new Error(`training of ${suffix}: ${error.message}`);
  }
  throw new Error(`training of ${suffix} takes more than five minutes`);
}

export async function uploadAdapter(
  team: Team,
  name: string,
  options: Record<string, unknown>,
): Promise<Trained> {
  const body = new FormData();
  body.set('base_model', 'tiny');
  body.set('name', name);
  for (const [file, content] of filesOf(adapterFor(team.modelConfig, options)))
    body.append('file', new Blob([content]), file);
  return (await send(team, { method: 'POST', path: '/v1/adapters', body })) as Trained;
}

/** Exports a version as a merged model and deletes it, so that the next export is a new one. */
export async function exportVersion(team: Team, { adapter_id, version }: Trained): Promise<string> {
  const path = `/v1/adapters/${adapter_id}/versions/${version}/exports`;
  let made = await send(team, { method: 'POST', path, body: { format: 'merged' } });
  for (; ['queued', 'running'].includes(made.status) && !team.isOver(); await sleep(500))
    made = await send(team, { path: `${path}/${made.id}` });
  await team.api.ask({ method: 'DELETE', path: `${path}/${made.id}`, key: team.key });
  if (made.status === 'failed') return faultCode(made.error, made.error.fault === 'user');
  return made.status === 'succeeded' ? 'done' : 'cancelled';
}

const clientOptions = ({ api, key }: Team) => ({ baseUrl: `${api.url}/v1`, apiKey: key });

export async function writeLines({ folder }: Team, bytes: number): Promise<string> {
  const file = path.join(folder, `${bytes}.jsonl`);
  const example = { prompt: 'The bikes of the town are '.repeat(8), completion: 'red and green. '.repeat(8) };
  const block = Buffer.from(line(example).repeat(2_000));
  const count = Math.max(1, Math.round(bytes / block.length));
  await writeFile(
    file,
    Array.from({ length: count }, () => block),
  );
  return file;
}

export async function upload(team: Team, file: string): Promise<string> {
  return (await new GraftClient(clientOptions(team)).files.upload({ file })).id;
}
