import { defaultPeft, parsePeftConfig, resolveTraining } from '@graft/peft-core/config';
import type { Access } from '../access/access.ts';
import { errorBody } from '../api-error.ts';
import { errorCodes } from '../error-codes.ts';
import { type Answer, nameOf, type OpenApiDocument, type Operation, type Schema } from './document.ts';
import { base, exampleValues, fileId, model } from './example-values.ts';
import { pythonSample } from './python-samples.ts';

const header = (description: string, type = 'string') => ({ description, schema: { type } });
const integer = (description: string) => header(description, 'integer');

const headers: Record<string, object> = {
  'X-Request-Id': header('Id of the request in the server’s log.'),
  'RateLimit-Limit': integer(
    'Requests per minute allowed for the key or for the address, whichever runs out first. The same value as in OpenAI’s header x-ratelimit-limit-requests; the next two headers have such equivalents, too.',
  ),
  'RateLimit-Remaining': integer('Requests remaining in the current window.'),
  'RateLimit-Reset': integer('Seconds until the window resets.'),
  'Retry-After': integer('Seconds to wait before retrying.'),
  'X-Should-Retry': header(
    '`false` if clients should not retry automatically because the wait would be too long.',
  ),
  'WWW-Authenticate': header('Required kind of key, and its scope.'),
  Location: header('URL of the redirect.'),
  Allow: header('Methods that this path supports.'),
  ETag: header('Entity tag. Send it in If-None-Match to get 304 without a body if nothing has changed.'),
  'Content-Range': header('Range of the returned bytes, and the total size.'),
  'Repr-Digest': header('SHA-256 of the whole content, in the format of RFC 9530.'),
  'X-Content-SHA256': header('SHA-256 of the whole content, hexadecimal.'),
};

const headersNamed = (...names: string[]): Record<string, object> =>
  Object.fromEntries(names.map((name) => [name, { $ref: `#/components/headers/${name}` }]));

const counted = ['RateLimit-Limit', 'RateLimit-Remaining', 'RateLimit-Reset'];

/** Headers of every response, errors included. */
const headersOfAll = ['X-Request-Id', ...counted];

/** Component name of the error response of each status, and its headers beyond the common ones. */
const errors: Record<number, [name: string, ...headers: string[]]> = {
  400: ['BadRequest'],
  401: ['Unauthorized', 'WWW-Authenticate'],
  403: ['Forbidden', 'WWW-Authenticate'],
  404: ['NotFound'],
  405: ['MethodNotAllowed', 'Allow'],
  408: ['RequestTimeout'],
  412: ['PreconditionFailed'],
  413: ['ContentTooLarge'],
  415: ['UnsupportedMediaType'],
  416: ['RangeNotSatisfiable', 'Content-Range'],
  422: ['UnprocessableContent'],
  429: ['TooManyRequests', 'Retry-After', 'X-Should-Retry'],
  431: ['RequestHeaderFieldsTooLarge'],
  500: ['InternalServerError'],
  502: ['BadGateway'],
  503: ['ServiceUnavailable', 'Retry-After'],
};

/** A reference to the error response of a status; undefined if the status has none. */
function errorAnswer(status: string): Answer | undefined {
  const error = errors[Number(status)];
  return error && { $ref: `#/components/responses/${error[0]}` };
}

function errorAnswers(): Record<string, Answer> {
  const codes = Object.entries(errorCodes);
  return Object.fromEntries(
    Object.entries(errors).map(([text, [name, ...own]]) => {
      const status = Number(text);
      const mine = codes.filter(([, [usual]]) => usual === status);
      const [code, [, meaning]] = mine[0] ?? ['bad_request', [status, 'The request is malformed.']];
      const codeLines = mine.map(([each, [, what]]) => `- \`${each}\`: ${what}`);
      return [
        name,
        {
          description: codeLines.length > 0 ? `One of these codes:\n\n${codeLines.join('\n')}` : meaning,
          headers: headersNamed(...headersOfAll, ...own),
          content: {
            'application/json': {
              schema: { $ref: '#/components/schemas/Error' },
              example: errorBody(status, code, meaning, null),
            },
          },
        },
      ];
    }),
  );
}

/** Error statuses that may be returned before the route's handler runs. */
function edgeStatuses(access: Access | undefined, hasBody: boolean): number[] {
  // Routes outside /v1, for orchestrators.
  if (access === undefined) return [405];
  const asksForKey = access === 'public' ? [] : [401, 403];
  return [400, ...asksForKey, 405, 408, ...(hasBody ? [413, 415] : []), 429, 431, 500, 503];
}

type Told = Operation & { 'x-graft-access'?: Access };

/**
 * Adds what all operations share, so that routes need not repeat it: common error responses, headers, examples of request and response,
 * and a Python sample. Called once, when the document is first read.
 */
export function completeDocument(document: OpenApiDocument): OpenApiDocument {
  const { components, paths } = document;
  components.headers = headers;
  components.responses = errorAnswers();
  const examples = createExamples(document);
  for (const [path, operations] of Object.entries(paths)) {
    for (const [method, operation] of Object.entries(operations)) {
      for (const parameter of operation.parameters ?? []) {
        if (parameter.schema?.type === 'object')
          Object.assign(parameter, { style: 'deepObject', explode: true });
        // Validation fills in the default.
        if (parameter.schema?.default !== undefined) parameter.required = false;
      }
      const sent = operation.requestBody?.content['application/json'];
      if (sent?.schema) sent.example ??= examples.requestExample(sent.schema);
      completeAnswers(operation, path, method);
      for (const { content } of Object.values(operation.responses)) {
        const answered = content?.['application/json'];
        if (answered?.schema) answered.example ??= examples.responseExample(answered.schema);
      }
      const sample = pythonSample(`${method.toUpperCase()} ${path}`, operation);
      operation['x-codeSamples'] = [{ lang: 'python', ...sample }];
      // The page at /docs does not show x-codeSamples.
      const paragraphs = operation.description ? [operation.description] : [];
      operation.description = [...paragraphs, `\`\`\`python\n${sample.source}\`\`\``].join('\n\n');
    }
  }
  return document;
}

function completeAnswers(operation: Told, path: string, method: string): void {
  const own = operation.responses;
  const edge = edgeStatuses(operation['x-graft-access'], operation.requestBody !== undefined);
  const all: Record<string, Answer> = Object.fromEntries(
    edge.map((status) => [status, errorAnswer(String(status))!]),
  );
  const isApi = path.startsWith('/v1/');
  for (const [status, answer] of Object.entries(own)) {
    const isError = answer.content?.['application/json']?.schema?.$ref === '#/components/schemas/Error';
    const shared = isError ? errorAnswer(status) : undefined;
    if (shared) {
      all[status] = shared;
      continue;
    }
    const isPart = status === '206';
    const isDownload = '206' in own && Number(status) < 300;
    const names = [
      ...(isApi ? headersOfAll : ['X-Request-Id']),
      ...(method === 'get' && ['200', '206', '304'].includes(status) ? ['ETag'] : []),
      ...(isDownload ? ['Repr-Digest', 'X-Content-SHA256'] : []),
      ...(isPart ? ['Content-Range'] : []),
      ...(status === '302' ? ['Location'] : []),
      ...(status === '503' ? ['Retry-After'] : []),
    ];
    all[status] = {
      ...answer,
      description: described(answer),
      headers: { ...answer.headers, ...headersNamed(...names) },
    };
  }
  operation.responses = all;
}

/** The description that the plugin writes if a schema has none. */
const nothingSaid = 'Default Response';

function described({ description = nothingSaid }: Answer): string {
  return description === nothingSaid ? 'Successful response.' : description;
}

/** Placeholder for an unknown value; no example in the document contains it. */
export const unknownValue = '…';

/** Builds examples of a document's schemas from the values of their fields. */
function createExamples({ components }: Pick<OpenApiDocument, 'components'>) {
  /** An example request: only required fields, or the whole example from the table. */
  const requestExample = (schema: Schema): unknown =>
    exampleOf(schema, '', '', (all, required) => {
      const must = all.filter((name) => required.includes(name));
      return must.length > 0 ? must : all.slice(0, 1);
    });
  /** An example response: all fields. */
  const responseExample = (schema: Schema): unknown => exampleOf(schema, '', '', (all) => all);

  type Choose = (all: string[], required: string[]) => string[];

  function exampleOf(schema: Schema, owner: string, field: string, choose: Choose): unknown {
    const name = schema.$ref && nameOf(schema.$ref);
    if (name && name in wholeExamples) return wholeExamples[name];
    if ('const' in schema) return schema.const;
    if (schema.examples) return schema.examples[0];
    const given = known(owner, field);
    if (given !== undefined) return given;
    if (name) return exampleOf(components.schemas[name]!, name, '', choose);
    if (schema.enum) return schema.enum[0];
    if (schema.default !== undefined) return schema.default;
    if (schema.anyOf) {
      // A nullable field is only shown with a known value.
      if (schema.anyOf.some(({ type }) => type === 'null') && field !== '') return null;
      return exampleOf(schema.anyOf[0]!, owner, field, choose);
    }
    switch (schema.type) {
      case 'object': {
        const { properties = {}, required = [] } = schema;
        const names = choose(Object.keys(properties), required);
        const whole = Object.fromEntries(
          names.map((name) => [name, exampleOf(properties[name]!, owner, name, choose)]),
        );
        return 'first_id' in whole ? withIds(whole as unknown as Page) : whole;
      }
      case 'array':
        return schema.items ? [exampleOf(schema.items, owner, `${field}[]`, choose)] : [];
      case 'integer':
      case 'number':
        return schema.minimum ?? 1;
      case 'boolean':
        return false;
      case 'null':
        return null;
      default:
        return unknownValue;
    }
  }

  return { requestExample, responseExample };
}

interface Page {
  data: { id: string }[];
}

/** Adds the ids of the page's first and last object. */
function withIds(page: Page): object {
  return { ...page, first_id: page.data[0]?.id, last_id: page.data.at(-1)?.id };
}

/** The value of a field of this schema, or of this field in any schema; undefined: unknown. */
function known(owner: string, field: string): unknown {
  const own = exampleValues[`${owner}.${field}`];
  return own === undefined ? exampleValues[field] : own;
}

const sampling = { model, max_tokens: 64, temperature: 0.7 };

/** Examples of whole requests whose required fields alone would not show their purpose. */
const wholeExamples: Record<string, unknown> = {
  // Disabled options are omitted.
  ResolvedTraining: resolveTraining({ peft: parsePeftConfig(defaultPeft), exampleCount: 240 }),
  CreateFineTuningJob: {
    model: base,
    training_file: fileId,
    suffix: 'bikes',
    peft: defaultPeft,
    training: { n_epochs: 3 },
  },
  EstimateFineTuningJob: { model: base, training_file: fileId, peft: defaultPeft, training: { n_epochs: 3 } },
  CloneFineTuningJob: { peft: { ...defaultPeft, r: 32 }, seed: null },
  CreateChatCompletion: {
    ...sampling,
    messages: [{ role: 'user', content: 'Why does my rear brake squeal?' }],
  },
  CreateCompletion: { ...sampling, prompt: 'A rear brake squeals when' },
  AddBaseModel: { id: base, hub: 'HuggingFaceTB/SmolLM2-135M-Instruct', revision: 'main' },
  MoveAdapterTag: { tag: 'production', version: 2, expected_version: 1 },
  CreateApiKey: { name: 'nightly training', role: 'member', scopes: ['jobs:write', 'files:write'] },
  CreateInvitation: { email: 'ada@acme.example', role: 'member' },
  CreateWebhookEndpoint: { url: 'https://hooks.acme.example/graft', events: ['fine_tuning.job.succeeded'] },
  CreateUpload: {
    filename: 'train.jsonl',
    purpose: 'fine-tune',
    bytes: 8_589_934_592,
    mime_type: 'text/jsonl',
  },
  PromoteCheckpoint: { name: 'bikes', note: 'The best by validation loss.' },
  SetAdapterNote: { note: 'For the shop in Lyon.' },
  SetUsagePrice: { kind: 'trained_tokens', model: '*', price: 0.5 },
  CreateDeployTarget: {
    name: 'shop in Lyon',
    runtime: 'vllm',
    url: 'https://vllm.acme.example',
    adapter_id: 'adpt-2f6b4d3851e7c09a',
    tag: 'production',
    model_name: 'support',
    api_key: 'a-key-of-vllm',
    folder: '/adapters',
  },
  UpdateDeployTarget: { keep_seconds: 60 },
  SetIntegration: { url: 'https://mlflow.acme.example', username: 'graft', secret: 'a-password' },
  UpdateTeamQuota: { running_jobs: 4, tokens_per_month: 10_000_000 },
  UpdatePerson: { disabled: true },
};
