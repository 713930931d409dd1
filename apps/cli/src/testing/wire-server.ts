import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import type { ChatCompletion, ChatCompletionChunk, FineTuningJob } from '@graft/client';
import { parsePeftConfig } from '@graft/peft-core/config';
import { type Header, pack } from 'tar-stream';
import { jobOptions, me } from './wire-answers.ts';
import { estimate, estimateOf } from './wire-estimates.ts';
import {
  adapter,
  adapterFiles,
  baseModel,
  checkpoint,
  event,
  file,
  metric,
  sha256,
  tunedModel,
  version,
} from './wire-objects.ts';

export const KEY = 'graft_testkey12345_secretsecretsecretsecretsecret';

/** Number of steps of the job. Each read of the job advances it by one step. */
const TOTAL_STEPS = 4;

export interface WireServer {
  env: { GRAFT_BASE_URL: string; GRAFT_API_KEY: string };
  requests: { method: string; path: string; body: string }[];
  /** Entries of the archive; tests may add malicious ones. */
  archiveEntries: { header: Partial<Header> & { name: string }; content?: string }[];
  /** The job's final status; null: it never ends. */
  outcome: 'succeeded' | 'failed' | 'cancelled' | null;
}

/**
 * One file, one job and one adapter in the API's format, over real HTTP, for responses that a healthy service does not give on demand,
 * such as a job that never ends or a malicious archive. real-service.test.ts tests against the real service.
 */
export async function wireServer(t: TestContext): Promise<WireServer> {
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request.setEncoding('utf8')) body += chunk;
    const url = new URL(request.url ?? '', 'http://x');
    const path = decodeURIComponent(url.pathname).replace(/^\/v1/, '');
    state.requests.push({ method: request.method ?? '', path: path + url.search, body });
    response.setHeader('x-request-id', `req-${state.requests.length}`);
    if (request.headers.authorization !== `Bearer ${KEY}`) {
      return fail(response, 401, 'invalid_api_key', 'The API key is wrong or revoked.');
    }
    await answer(request, response, `${request.method} ${path}`, url.searchParams, body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const state: WireServer = {
    env: {
      GRAFT_BASE_URL: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
      GRAFT_API_KEY: KEY,
    },
    requests: [],
    archiveEntries: Object.entries(adapterFiles).map(([name, content]) => ({ header: { name }, content })),
    outcome: 'succeeded',
  };
  let step = 0;

  async function answer(
    request: IncomingMessage,
    response: ServerResponse,
    route: string,
    query: URLSearchParams,
    body: string,
  ): Promise<void> {
    switch (route) {
      case 'GET /me':
        return send(response, me);
      case 'POST /files/import':
        if (body.includes('none/')) return fail(response, 403, 'data_set_not_allowed', 'It is not allowed.');
        return send(response, { ...file, filename: 'org--name-train.parquet' });
      case 'POST /files':
        if (body.includes('not json')) {
          return fail(response, 400, 'invalid_jsonl', 'line 2 is not valid JSON; line 5 is not valid JSON');
        }
        return send(response, file);
      case 'GET /files':
        return send(
          response,
          list([file, { ...file, id: 'file-2', filename: 'two\x1b[2J.jsonl', examples: null }]),
        );
      case 'GET /files/file-1':
        return send(response, file);
      case 'GET /files/file-1/content':
        response.end('{"text":"one"}\n');
        return;
      case 'DELETE /files/file-1':
        return send(response, { id: 'file-1', object: 'file', deleted: true });
      case 'GET /fine_tuning/options':
        if (query.get('model') === 'no-such-model')
          return fail(response, 400, 'model_not_found', "The model 'no-such-model' does not exist.");
        return send(response, jobOptions);
      case 'POST /fine_tuning/estimates':
      case 'POST /fine_tuning/jobs':
        if (body.includes('refused-later')) {
          return fail(response, 400, 'invalid_value', 'The API refuses it.');
        }
        return send(response, route.endsWith('/jobs') ? job() : estimateOf(body));
      case 'GET /fine_tuning/jobs':
        return send(response, list([job()]));
      case 'GET /fine_tuning/jobs/ftjob-1': {
        const current = job();
        step++;
        return send(response, current);
      }
      case 'POST /fine_tuning/jobs/ftjob-1':
        return send(response, { ...job(), ...JSON.parse(body) });
      case 'POST /fine_tuning/jobs/ftjob-1/clone':
        return send(response, { ...job(), id: 'ftjob-2' });
      case 'POST /fine_tuning/jobs/ftjob-1/cancel':
        return send(response, { ...job(), status: 'cancelled' });
      case 'POST /fine_tuning/jobs/ftjob-1/pause':
        return fail(response, 400, 'invalid_job_state', 'The job is queued and cannot be paused.');
      case 'GET /fine_tuning/jobs/ftjob-1/events':
        if (query.get('stream') !== 'true') return send(response, list([event(2), event(1)]));
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        for (const number of [1, 2]) {
          response.write(`id: ftevent-${number}\ndata: ${JSON.stringify(event(number))}\n\n`);
        }
        if (state.outcome !== null) response.end('data: [DONE]\n\n');
        return;
      case 'GET /fine_tuning/jobs/ftjob-1/metrics': {
        const after = Number(query.get('after_step') ?? 0);
        const steps = Array.from({ length: Math.max(0, Math.min(step, TOTAL_STEPS)) }, (_, i) => i + 1);
        const metrics = steps.filter((each) => each > after).map((each) => metric('train', each, 3 / each));
        return send(
          response,
          list([...metrics, ...(step >= TOTAL_STEPS ? [metric('evaluation', 4, 1.1)] : [])]),
        );
      }
      case 'GET /fine_tuning/jobs/ftjob-1/checkpoints':
        return send(response, list([checkpoint(4, false), checkpoint(3), checkpoint(2, true, true)]));
      case 'POST /fine_tuning/jobs/ftjob-1/checkpoints/ftckpt_2/promote':
        return send(response, version);
      case 'DELETE /fine_tuning/jobs/ftjob-1/checkpoints/ftckpt_3':
        return send(response, { id: 'ftckpt_3', object: 'fine_tuning.job.checkpoint', deleted: true });
      case 'GET /models':
        return send(response, list([baseModel, tunedModel]));
      case 'GET /models/ft:base:team:demo:abc':
        return send(response, tunedModel);
      case 'GET /models/base':
        return send(response, baseModel);
      case 'GET /adapters':
        return send(response, list([adapter]));
      case 'POST /adapters/combine':
        return send(response, version);
      case 'GET /adapters/adpt_1':
        return send(response, adapter);
      case 'GET /adapters/adpt_1/versions':
        return send(response, list([version]));
      case 'GET /adapters/adpt_1/versions/1':
        return send(response, version);
      case 'GET /fine_tuning/jobs/ftjob-1/checkpoints/ftckpt_3/download':
      case 'GET /adapters/adpt_1/versions/1/download': {
        const archive = await tarOf(state.archiveEntries);
        response.writeHead(200, {
          etag: '"tar"',
          'repr-digest': `sha-256=:${sha256(archive).toString('base64')}:`,
          'content-length': archive.length,
        });
        response.end(archive);
        return;
      }
      case 'POST /chat/completions': {
        const { stream, messages } = JSON.parse(body) as {
          stream?: boolean;
          messages: { content: string }[];
        };
        const text = `You said: ${messages.at(-1)?.content}`;
        const usage = { prompt_tokens: 3, completion_tokens: 4, total_tokens: 7 };
        const head = { id: 'chat-1', created: 1, model: 'ft:x' };
        if (!stream) {
          const whole: ChatCompletion = {
            ...head,
            object: 'chat.completion',
            choices: [
              {
                index: 0,
                logprobs: null,
                finish_reason: 'stop' as const,
                message: { role: 'assistant', content: text, refusal: null },
              },
            ],
            usage,
          };
          return send(response, whole);
        }
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        for (const word of text.split(/(?<= )/)) {
          const piece: ChatCompletionChunk = {
            ...head,
            object: 'chat.completion.chunk',
            choices: [{ index: 0, delta: { content: word }, logprobs: null, finish_reason: null }],
          };
          response.write(`data: ${JSON.stringify(piece)}\n\n`);
        }
        response.end('data: [DONE]\n\n');
        return;
      }
      default:
        if (route.startsWith('GET /fine_tuning/jobs/')) {
          return fail(response, 404, 'job_not_found', 'No such fine-tuning job.');
        }
        return fail(
          response,
          404,
          'unknown_url',
          `No such method and path: ${request.method} ${request.url}`,
        );
    }
  }

  function job(): FineTuningJob {
    const at = Math.min(Math.max(step - 1, 0), TOTAL_STEPS);
    const ended = state.outcome !== null && step > TOTAL_STEPS;
    const status = step === 0 ? 'queued' : ended && state.outcome !== null ? state.outcome : 'running';
    const error: FineTuningJob['error'] = {
      code: 'example_too_long',
      message: 'line 3 is too long',
      param: 'training_file',
      fault: 'user',
    };
    return {
      id: 'ftjob-1',
      object: 'fine_tuning.job',
      created_at: 1_700_000_000,
      created_by: null,
      suffix: null,
      finished_at: ended ? 1_700_000_065 : null,
      model: 'base',
      organization_id: 'team_1',
      status,
      training_file: 'file-1',
      validation_file: null,
      training_files: null,
      validation_files: null,
      system_prompt: null,
      fine_tuned_model: status === 'succeeded' ? tunedModel.id : null,
      trained_tokens: null,
      hyperparameters: { n_epochs: 2, batch_size: 8, learning_rate_multiplier: 1 },
      result_files: [],
      seed: 42,
      error: status === 'failed' ? error : null,
      estimated_finish: null,
      method: { type: 'supervised' },
      metadata: null,
      training_end: null,
      estimate: step === 0 ? null : estimate,
      peft: parsePeftConfig({ peft_type: 'LORA' }),
      training: { learning_rate: 2e-4 },
      training_reasons: { learning_rate: 'what suits LoRA' },
      validation: null,
      data: null,
      progress:
        step === 0
          ? null
          : {
              step: at,
              total_steps: TOTAL_STEPS,
              epoch: at / 2,
              tokens: at * 100,
              tokens_per_second: 1_532,
              seconds_remaining: 61,
              loss: 0.5,
              gpu: null,
            },
      priority: 'normal',
      estimated_start: step === 0 ? 1_700_000_600 : null,
      estimated_start_latest: step === 0 ? 1_700_001_200 : null,
      start_from: null,
      integrations: [],
      sweep: null,
      queue_position: step === 0 ? 2 : null,
    };
  }
  return state;
}

const list = (data: unknown[]) => ({ object: 'list', data, has_more: false, first_id: null, last_id: null });

function send(response: ServerResponse, body: unknown, status = 200): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

function fail(response: ServerResponse, status: number, code: string, message: string): void {
  send(response, { error: { message, type: 'invalid_request_error', param: null, code } }, status);
}

export async function tarOf(entries: WireServer['archiveEntries']): Promise<Buffer> {
  const archive = pack();
  for (const { header, content } of entries) archive.entry(header as Header, content ?? '');
  archive.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of archive) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}
