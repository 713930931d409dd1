import type { Access } from '../access/access.ts';
import { argumentName, type RouteInput, type ToolSchema, toolSchemaOf } from './tool-schema.ts';

export interface ToolRoute {
  method: string;
  /** Path with prefix, such as `/v1/files/:file_id`. */
  path: string;
  access: Access;
  summary: string;
  description: string;
  input: RouteInput;
}

/** A request that a tool makes to the API on behalf of its caller. */
export interface ToolRequest {
  method: string;
  url: string;
  /** Sent as JSON or as a form. */
  body?: object;
}

export interface ToolAnswer {
  status: number;
  text: string;
}

export type Ask = (request: ToolRequest) => Promise<ToolAnswer>;

/** Actions of a tool on behalf of its caller. When the caller disconnects, `ask` rejects and `waitForEnd` resolves. */
export interface ToolContext {
  ask: Ask;
  /** Resolves when a job of the caller's team has ended or is paused, or after `ms`. */
  waitForEnd(jobId: string, ms: number): Promise<void>;
}

type Arguments = Record<string, unknown>;

export interface Tool {
  name: string;
  description: string;
  inputSchema: ToolSchema;
  annotations: { title: string; readOnlyHint: boolean; destructiveHint?: boolean };
  access: Access;
  call(args: Arguments, context: ToolContext): Promise<ToolAnswer>;
}

const exportsPath = '/v1/adapters/:adapter_id/versions/:version/exports';

interface RouteTool {
  hidden?: string[];
  destroys?: true;
  reads?: true;
  /** Arguments whose description only refers to another tool: the schemas are long, and an agent reads all of them. */
  sameAs?: { tool: string; arguments: string[] };
}

const fileArguments = ['training_file', 'training_files', 'validation_file', 'validation_files'];

/** Tools that request one route each. The route determines description, parameters and access. */
const routes: [name: string, method: string, path: string, more?: RouteTool][] = [
  ['list_models', 'GET', '/v1/models'],
  ['list_files', 'GET', '/v1/files'],
  ['get_file_report', 'GET', '/v1/files/:file_id/report'],
  [
    'estimate_fine_tuning_job',
    'POST',
    '/v1/fine_tuning/estimates',
    {
      hidden: ['hyperparameters'],
      reads: true,
      sameAs: { tool: 'create_fine_tuning_job', arguments: ['method', 'peft', 'training', 'sweep'] },
    },
  ],
  [
    'preview_fine_tuning_job',
    'POST',
    '/v1/files/:file_id/report',
    {
      // The file is that of the job, and its seed and trials do not change what is read.
      hidden: [...fileArguments, 'hyperparameters', 'seed', 'sweep'],
      reads: true,
      sameAs: { tool: 'create_fine_tuning_job', arguments: ['method', 'peft', 'training'] },
    },
  ],
  [
    'create_fine_tuning_job',
    'POST',
    '/v1/fine_tuning/jobs',
    { hidden: ['hyperparameters', 'idempotency-key'] },
  ],
  ['list_fine_tuning_jobs', 'GET', '/v1/fine_tuning/jobs'],
  ['get_fine_tuning_job', 'GET', '/v1/fine_tuning/jobs/:fine_tuning_job_id'],
  ['cancel_fine_tuning_job', 'POST', '/v1/fine_tuning/jobs/:fine_tuning_job_id/cancel', { destroys: true }],
  ['pause_fine_tuning_job', 'POST', '/v1/fine_tuning/jobs/:fine_tuning_job_id/pause'],
  ['resume_fine_tuning_job', 'POST', '/v1/fine_tuning/jobs/:fine_tuning_job_id/resume'],
  [
    'list_fine_tuning_events',
    'GET',
    '/v1/fine_tuning/jobs/:fine_tuning_job_id/events',
    { hidden: ['stream'] },
  ],
  ['get_fine_tuning_metrics', 'GET', '/v1/fine_tuning/jobs/:fine_tuning_job_id/metrics'],
  ['list_adapters', 'GET', '/v1/adapters'],
  ['list_export_formats', 'GET', `${exportsPath}/formats`],
  ['create_export', 'POST', exportsPath],
  ['list_exports', 'GET', exportsPath],
  ['get_export', 'GET', `${exportsPath}/:export_id`],
  ['create_embeddings', 'POST', '/v1/embeddings', { hidden: ['encoding_format', 'user'] }],
  ['classify', 'POST', '/v1/classify', { hidden: ['user'] }],
  ['chat', 'POST', '/v1/chat/completions', { hidden: ['stream', 'stream_options'] }],
];

/**
 * Maximum characters of training data in a call. The data is a JSON string in a body of 1 MB, where each quotation mark and line break
 * takes one more byte: up to two fifths of short lines. Lines with much non-ASCII or already escaped text take more.
 */
const maxDataCharacters = 700_000;

export function createTools(known: readonly ToolRoute[], resolve: (id: string) => unknown): Tool[] {
  const find = (method: string, path: string): ToolRoute => {
    const route = known.find((one) => one.method === method && one.path === path);
    if (!route) throw new Error(`The route ${method} ${path} of a tool does not exist.`);
    return route;
  };
  const routeTools = routes.map(([name, method, path, more = {}]): Tool => {
    const route = find(method, path);
    const inputSchema = toolSchemaOf(route.input, resolve);
    for (const hidden of more.hidden ?? []) delete inputSchema.properties[hidden];
    for (const argument of more.sameAs?.arguments ?? [])
      inputSchema.properties[argument] = { type: 'object', description: `Same as in ${more.sameAs!.tool}.` };
    const readOnlyHint = method === 'GET' || more.reads === true;
    return {
      name,
      description: [`${route.summary}.`, route.description].filter(Boolean).join(' '),
      inputSchema,
      annotations: {
        title: route.summary,
        readOnlyHint,
        ...(readOnlyHint ? {} : { destructiveHint: more.destroys ?? false }),
      },
      access: route.access,
      // A tool returns one response: a stream of events would end only with the job.
      call: async ({ stream: _, stream_options: __, ...args }, { ask }) => await ask(requestOf(route, args)),
    };
  });
  return [
    ...routeTools,
    uploadTool(find('POST', '/v1/files')),
    waitTool(find('GET', '/v1/fine_tuning/jobs/:fine_tuning_job_id')),
  ];
}

/** Puts arguments into the path, then into the body if the route has one, else into the query string. */
function requestOf({ method, path, input }: ToolRoute, args: Arguments): ToolRequest {
  const left = new Map(Object.entries(args));
  const filled = path.replace(/:(\w+)|\*/g, (_, name: string | undefined) => {
    const key = argumentName(name ?? '*');
    const value = left.get(key);
    left.delete(key);
    return encodeURIComponent(String(value ?? ''));
  });
  if (input.body) return { method, url: filled, body: Object.fromEntries(left) };
  const query = new URLSearchParams();
  for (const [key, value] of left) {
    if (value === null || value === undefined) continue;
    if (typeof value !== 'object') query.append(key, String(value));
    else for (const [inner, each] of Object.entries(value)) query.append(`${key}[${inner}]`, String(each));
  }
  return { method, url: query.size > 0 ? `${filled}?${query}` : filled };
}

function uploadTool(route: ToolRoute): Tool {
  return {
    name: 'upload_training_data',
    description: `${route.description} Upload larger files with POST ${route.path} or POST /v1/uploads.`,
    inputSchema: {
      type: 'object',
      properties: {
        jsonl: {
          type: 'string',
          maxLength: maxDataCharacters,
          description:
            'Lines of the file (JSONL). The whole call, in which quotation marks and line breaks are escaped, may have at most 1 MB.',
        },
        filename: { type: 'string', maxLength: 256, default: 'data.jsonl' },
      },
      required: ['jsonl'],
      additionalProperties: false,
    },
    annotations: { title: route.summary, readOnlyHint: false, destructiveHint: false },
    access: route.access,
    call: async ({ jsonl, filename = 'data.jsonl' }, { ask }) => {
      const body = new FormData();
      body.set('purpose', 'fine-tune');
      body.set('file', new Blob([String(jsonl)]), String(filename));
      return await ask({ method: route.method, url: route.path, body });
    },
  };
}

/** Seconds; shorter than the response timeout of MCP clients. */
const longestWait = 50;
const endStates = ['succeeded', 'failed', 'cancelled', 'paused'];

function waitTool(route: ToolRoute): Tool {
  return {
    name: 'wait_for_fine_tuning_job',
    description:
      'Wait until the job ends or is paused, for at most `seconds`, and return the job. Call it again to follow a long job.',
    inputSchema: {
      type: 'object',
      properties: {
        fine_tuning_job_id: { type: 'string', maxLength: 64 },
        seconds: { type: 'integer', minimum: 1, maximum: longestWait, default: 30 },
      },
      required: ['fine_tuning_job_id'],
      additionalProperties: false,
    },
    annotations: { title: 'Wait for a fine-tuning job', readOnlyHint: true },
    access: route.access,
    call: async ({ seconds = 30, fine_tuning_job_id }, { ask, waitForEnd }) => {
      const milliseconds = 1000 * Math.min(Number(seconds) || 0, longestWait);
      const request = requestOf(route, { fine_tuning_job_id });
      const before = await ask(request);
      if (before.status !== 200 || endStates.includes(JSON.parse(before.text).status)) return before;
      await waitForEnd(String(fine_tuning_job_id), milliseconds);
      // Requested again, since the key's permissions may have changed.
      return await ask(request);
    },
  };
}
