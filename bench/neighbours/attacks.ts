import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { GraftClient } from '@graft/client';
import { adapterFor, filesOf } from '../../apps/api/src/testing/adapter-parts.ts';
import { type Asked, createJob, type RunningApi, uploadFile } from '../running-api.ts';

/** One piece of a team's work, as often as it has an answer. Resolves to how it ended: `done`, or the code of the user's fault. */
export type Act = (i: number) => Promise<string>;

export interface Attack {
  number: number;
  name: string;
  /** Acts at a time. */
  atOnce: number;
  /** How an ordinary team does equal work, where that is not as many acts at a time. */
  ordinaryAtOnce?: number;
  /** What the service may answer to a hostile act; an ordinary one is `done`. */
  ends: readonly string[];
  /** Writes files and trains adapters that the acts need, for one team. */
  open(team: Team): Promise<{ ordinary: Act; hostile: Act }>;
}

/** A team that works beside the calm one. */
export interface Team {
  api: RunningApi;
  key: string;
  /** For files that it uploads. */
  folder: string;
  /** Bytes of a large file. */
  bytes: number;
  /** config.json of the base model. */
  modelConfig: Record<string, unknown>;
  /** Whether it is to stop: what is not done by then is cancelled. */
  isOver(): boolean;
}

/** Characters of an error that one job or answer may have. */
const longestMessage = 4_000;
/** An ordinary team's large work is this many small pieces. */
const pieces = 64;

const jobs = '/v1/fine_tuning/jobs';
const turns = (content: string, count = 2) => ({
  messages: Array.from({ length: count }, (_, i) => ({ role: i % 2 ? 'assistant' : 'user', content })),
});
const line = (example: object) => `${JSON.stringify(example)}\n`;
/** A template as models have it. `first` is put before it. */
const template = (first = '') =>
  `${first}{% for message in messages %}{{ message.role + ': ' + message.content + '</s>' }}{% endfor %}{% if add_generation_prompt %}{{ 'assistant: ' }}{% endif %}`;
const doubled = (times: number) =>
  `{% set x = ['a'] %}{% set y = ['a'] %}${'{% set x = [x, x] %}{% set y = [y, y] %}'.repeat(times)}`;
const doubling = `${doubled(45)}{% if x == y %}{% endif %}`;
/** 64 MiB, which a long conversation's budget allows; as the only text, or twice in a list. */
const longFault = (isList: boolean) =>
  `{% set ns = namespace(x='x') %}{% for i in range(26) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}{{ raise_exception(${isList ? '[ns.x, ns.x]' : 'ns.x'}) }}`;

export const attacks: readonly Attack[] = [
  {
    number: 1,
    name: 'templates that compare a list doubled 45 times',
    atOnce: 2,
    ends: ['invalid_chat_template'],
    open: async (team) => {
      const file = await uploadFile(team.api, team.key, line(turns('a')).repeat(20));
      return {
        ordinary: async (i) =>
          await validate(team, file, { seed: i, training: { chat_template: template() } }),
        hostile: async (i) =>
          await validate(team, file, { seed: i, training: { chat_template: template(doubling) } }),
      };
    },
  },
  {
    number: 2,
    name: 'templates whose faults have 64 and 128 MiB',
    atOnce: 3,
    ends: ['invalid_chat_template', 'chat_template_error', 'invalid_training_file'],
    open: async (team) => {
      const file = await uploadFile(team.api, team.key, line(turns('a', 1000)));
      const chat_template = (i: number) => longFault(i % 2 === 1);
      return {
        ordinary: async (i) =>
          await validate(team, file, { seed: i, training: { chat_template: template() } }),
        hostile: async (i) =>
          await validate(team, file, { seed: i, training: { chat_template: chat_template(i) } }),
      };
    },
  },
  {
    number: 3,
    name: 'schemas with nested unbounded quantifiers',
    atOnce: 4,
    ends: ['done', 'unsupported_json_schema', 'invalid_value', 'constraint_too_complex'],
    open: async (team) => {
      const answer = async (pattern: string) => {
        const schema = { type: 'object', properties: { a: { type: 'string', pattern } }, required: ['a'] };
        const response_format = { type: 'json_schema', json_schema: { name: 'a', schema } };
        return await chat(team, 'tiny', 'Write.', { response_format, max_tokens: 32 });
      };
      return {
        ordinary: async () => await answer('^[a-z ]*$'),
        hostile: async (i) => await answer(`^(([a-z ]*[a-z ]*)*)*${'a'.repeat(i % 4)}$`),
      };
    },
  },
  {
    number: 4,
    name: 'prompts and exports of an adapter with an expensive template',
    atOnce: 4,
    ends: ['done', 'prompt_not_tokenized', 'invalid_chat_template', 'chat_template_refused'],
    open: async (team) => {
      // Training's short conversations are cheap; long prompts, and the conversation that exports probe with, are not.
      const isCostly = "{% if messages[0].content | length > 4000 or messages[0].content == 'Hello' %}";
      const use = async (model: Trained, i: number) =>
        i % 4 === 3 ? await exportVersion(team, model) : await chat(team, model.model, 'a'.repeat(4100), {});
      const ordinary = await trained(team, 'plain', template());
      const hostile = await trained(team, 'costly', template(`${isCostly}${doubling}{% endif %}`));
      return {
        ordinary: async (i) => await use(ordinary, i),
        hostile: async (i) => await use(hostile, i),
      };
    },
  },
  {
    number: 5,
    name: 'adapters of ever other shapes',
    atOnce: 4,
    ends: ['done', 'service_unavailable', 'resource_busy'],
    open: async (team) => {
      const all = ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj'];
      const use = async (i: number, r: number, targets: number) => {
        const target_modules = all.filter((_, bit) => (targets >> bit) & 1);
        const { model } = await uploadAdapter(team, `shape-${i % 200}`, { r, target_modules });
        return await chat(team, model, 'Write.', {});
      };
      return {
        ordinary: async (i) => await use(i, 4, 0b101),
        hostile: async (i) => await use(i, 1 + (i % 16), 1 + ((i * 37) % 127)),
      };
    },
  },
  {
    number: 6,
    name: 'an upload of a large file',
    atOnce: 1,
    ends: ['done'],
    open: async (team) => {
      const large = await writeLines(team, 'large.jsonl', team.bytes);
      const small = await writeLines(team, 'small.jsonl', team.bytes / pieces);
      return {
        ordinary: async () => await upload(team, small).then(() => 'done'),
        hostile: async () => await upload(team, large).then(() => 'done'),
      };
    },
  },
  {
    number: 7,
    name: 'a validation of a large file',
    atOnce: 1,
    ends: ['done'],
    open: async (team) => {
      const large = await upload(team, await writeLines(team, 'large.jsonl', team.bytes));
      const small = await upload(team, await writeLines(team, 'small.jsonl', team.bytes / pieces));
      return {
        ordinary: async (i) => await validate(team, small, { seed: i }),
        hostile: async (i) => await validate(team, large, { seed: i }),
      };
    },
  },
  {
    number: 8,
    name: '16 exports at once',
    atOnce: 16,
    ordinaryAtOnce: 1,
    ends: ['done'],
    open: async (team) => {
      const act: Act = async (i) => {
        const adapter = await uploadAdapter(team, `export-${i % 200}`, { r: 2, target_modules: ['q_proj'] });
        return await exportVersion(team, adapter);
      };
      return { ordinary: act, hostile: act };
    },
  },
];

interface Trained {
  model: string;
  adapter_id: string;
  version: number;
}

const codeOf = (text: string): string => {
  const { error } = JSON.parse(text);
  return faultCode(error);
};

/** The code of an error, which must be short. */
function faultCode({ code, message, ...rest }: { code: string; message: string }): string {
  const characters = JSON.stringify({ message, ...rest }).length;
  return characters > longestMessage ? `${code} with ${characters} characters` : code;
}

async function send(
  team: Team,
  asked: Asked,
): Promise<Trained & { id: string; status: string; error: never }> {
  const { status, text } = await team.api.ask({ key: team.key, ...asked });
  if (status !== 200) throw new Error(`${asked.path}: ${status} ${codeOf(text)}`);
  return JSON.parse(text);
}

/** Creates a job and cancels it once its files are validated. */
async function validate(team: Team, file: string, options: object): Promise<string> {
  const job = await createJob(team.api, team.key, file, options);
  let state = await send(team, { path: `${jobs}/${job}` });
  for (; state.status === 'validating_files' && !team.isOver(); await sleep(50))
    state = await send(team, { path: `${jobs}/${job}` });
  if (state.status === 'failed') return faultCode(state.error);
  await team.api.ask({ method: 'POST', path: `${jobs}/${job}/cancel`, key: team.key });
  return state.status === 'validating_files' ? 'cancelled while validating' : 'done';
}

async function chat(team: Team, model: string, content: string, options: object): Promise<string> {
  const body = { model, messages: [{ role: 'user', content }], max_tokens: 4, ...options };
  const signal = AbortSignal.timeout(120_000);
  const asked = { method: 'POST', path: '/v1/chat/completions', key: team.key, body, signal };
  const { status, text } = await team.api.ask(asked);
  return status === 200 ? 'done' : codeOf(text);
}

async function trained(team: Team, suffix: string, chat_template: string): Promise<Trained> {
  const file = await uploadFile(team.api, team.key, line(turns('a')).repeat(4));
  const peft = { peft_type: 'LORA', r: 2, target_modules: ['q_proj'] };
  const options = { suffix, peft, training: { chat_template, max_steps: 1 } };
  const job = await createJob(team.api, team.key, file, options);
  for (;;) {
    const { text } = await team.api.ask({ path: `${jobs}/${job}`, key: team.key });
    const { status, fine_tuned_model: model, error } = JSON.parse(text);
    if (status === 'succeeded') {
      const { adapter_id, version } = (await new GraftClient(clientOptions(team)).adapters.retrieveVersionOf(
        model,
      ))!;
      return { model, adapter_id, version };
    }
    if (status === 'failed') throw new Error(`training of ${suffix}: ${error.message}`);
    await sleep(100);
  }
}

async function uploadAdapter(team: Team, name: string, options: Record<string, unknown>): Promise<Trained> {
  const body = new FormData();
  body.set('base_model', 'tiny');
  body.set('name', name);
  for (const [file, content] of filesOf(adapterFor(team.modelConfig, options)))
    body.append('file', new Blob([content]), file);
  return await send(team, { method: 'POST', path: '/v1/adapters', body });
}

/** Exports a version as a merged model and deletes it, so that the next export is a new one. */
async function exportVersion(team: Team, { adapter_id, version }: Trained): Promise<string> {
  const path = `/v1/adapters/${adapter_id}/versions/${version}/exports`;
  let made = await send(team, { method: 'POST', path, body: { format: 'merged' } });
  for (; ['queued', 'running'].includes(made.status) && !team.isOver(); await sleep(50))
    made = await send(team, { path: `${path}/${made.id}` });
  await team.api.ask({ method: 'DELETE', path: `${path}/${made.id}`, key: team.key });
  if (made.status === 'failed') return faultCode(made.error);
  return made.status === 'succeeded' ? 'done' : 'cancelled while exporting';
}

const clientOptions = ({ api, key }: Team) => ({ baseUrl: `${api.url}/v1`, apiKey: key });

async function writeLines({ folder }: Team, name: string, bytes: number): Promise<string> {
  const file = path.join(folder, name);
  const example = { prompt: 'The bikes of the town are '.repeat(8), completion: 'red and green. '.repeat(8) };
  const block = Buffer.from(line(example).repeat(2_000));
  const count = Math.max(1, Math.round(bytes / block.length));
  await writeFile(
    file,
    Array.from({ length: count }, () => block),
  );
  return file;
}

async function upload(team: Team, file: string): Promise<string> {
  return (await new GraftClient(clientOptions(team)).files.upload({ file })).id;
}
