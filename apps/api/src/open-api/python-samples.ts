import { defaultPeft } from '@graft/peft-core/config';
import type { Operation } from './document.ts';
import { exampleValues } from './example-values.ts';

const job = '"ftjob-8d2b6f10c3a94e57"';
const file = '"file-4c1f0a9be27d4e35"';
const upload = '"upload_4e354c1f0a9be27d"';
const training = 'open("train.jsonl", "rb")';

/** Calls of OpenAI's Python client, for the endpoints that it supports. Graft returns the same objects. */
export const openAiCalls: Record<string, string> = {
  'POST /v1/files': `client.files.create(file=${training}, purpose="fine-tune")`,
  'GET /v1/files': 'client.files.list(limit=20)',
  'GET /v1/files/{file_id}': `client.files.retrieve(${file})`,
  'DELETE /v1/files/{file_id}': `client.files.delete(${file})`,
  'GET /v1/files/{file_id}/content': `client.files.content(${file}).text`,
  'POST /v1/uploads':
    'client.uploads.create(filename="train.jsonl", purpose="fine-tune", bytes=48211, mime_type="text/jsonl")',
  'POST /v1/uploads/{upload_id}/parts': `client.uploads.parts.create(${upload}, data=${training})`,
  'POST /v1/uploads/{upload_id}/complete': `client.uploads.complete(${upload}, part_ids=["part_354c1f0a9be27d4e"])`,
  'POST /v1/uploads/{upload_id}/cancel': `client.uploads.cancel(${upload})`,
  'POST /v1/fine_tuning/jobs': `client.fine_tuning.jobs.create(
    model="smollm2-135m-instruct",
    training_file=${file},
    suffix="bikes",
    # What OpenAI's API does not have goes into the body as it is.
    extra_body=${python({ peft: defaultPeft, training: { n_epochs: 3 } })},
)`,
  'GET /v1/fine_tuning/jobs': 'client.fine_tuning.jobs.list(limit=20)',
  'GET /v1/fine_tuning/jobs/{fine_tuning_job_id}': `client.fine_tuning.jobs.retrieve(${job})`,
  'POST /v1/fine_tuning/jobs/{fine_tuning_job_id}/cancel': `client.fine_tuning.jobs.cancel(${job})`,
  'POST /v1/fine_tuning/jobs/{fine_tuning_job_id}/pause': `client.fine_tuning.jobs.pause(${job})`,
  'POST /v1/fine_tuning/jobs/{fine_tuning_job_id}/resume': `client.fine_tuning.jobs.resume(${job})`,
  'GET /v1/fine_tuning/jobs/{fine_tuning_job_id}/events': `client.fine_tuning.jobs.list_events(${job})`,
  'GET /v1/fine_tuning/jobs/{fine_tuning_job_id}/checkpoints': `client.fine_tuning.jobs.checkpoints.list(${job})`,
  'GET /v1/models': 'client.models.list()',
  'GET /v1/models/{model}': 'client.models.retrieve("smollm2-135m-instruct")',
  'DELETE /v1/models/{model}': 'client.models.delete("ft:smollm2-135m-instruct:acme:bikes:8d2b6f10")',
  'POST /v1/chat/completions': `client.chat.completions.create(
    model="ft:smollm2-135m-instruct:acme:bikes:8d2b6f10",
    messages=[{"role": "user", "content": "Why does my rear brake squeal?"}],
    max_tokens=64,
)`,
  'POST /v1/completions': `client.completions.create(
    model="ft:smollm2-135m-instruct:acme:bikes:8d2b6f10",
    prompt="A rear brake squeals when",
    max_tokens=64,
)`,
  'POST /v1/embeddings': `client.embeddings.create(
    model="all-minilm-l6-v2",
    input=["My rear brake squeals.", "The brakes are noisy."],
)`,
};

const server = 'http://127.0.0.1:8000';

/** Python sample for an operation such as `POST /v1/files`: with OpenAI's client if it supports the endpoint, else with httpx. */
export function pythonSample(name: string, operation: Operation): { label: string; source: string } {
  const call = openAiCalls[name];
  if (call === undefined) return { label: 'httpx', source: httpxSample(name, operation) };
  const lines = [
    'import os',
    '',
    'from openai import OpenAI',
    '',
    `client = OpenAI(base_url="${server}/v1", api_key=os.environ["GRAFT_API_KEY"])`,
    `answer = ${call}`,
    'print(answer)',
  ];
  return { label: 'openai', source: `${lines.join('\n')}\n` };
}

function httpxSample(name: string, operation: Operation): string {
  const [method = '', path = ''] = name.split(' ');
  const { parameters = [], requestBody, security } = operation;
  const asksForKey = security?.length !== 0;
  const query = parameters.filter(({ in: place, required }) => place === 'query' && required);
  const json = requestBody?.content['application/json']?.example;
  const form = requestBody?.content['multipart/form-data'];
  const lines = [
    ...(asksForKey ? ['import os', ''] : []),
    'import httpx',
    '',
    `answer = httpx.${method.toLowerCase()}(`,
    `    "${server}${path.replaceAll(/\{(\w+)\}/g, (_, field: string) => encodeURIComponent(pathValue(path, field)))}",`,
    ...(asksForKey ? [`    headers={"Authorization": f"Bearer {os.environ['GRAFT_API_KEY']}"},`] : []),
    ...(query.length > 0
      ? [
          `    params=${python(Object.fromEntries(query.map(({ name }) => [name, queryValues[name] ?? exampleValues[name]])))},`,
        ]
      : []),
    ...(json === undefined ? [] : [`    json=${python(json)},`]),
    ...(form ? formLines : []),
    ')',
    ...ending(operation),
  ];
  return `${lines.join('\n')}\n`;
}

/** The lines that use the response. */
function ending({ responses }: Operation): string[] {
  // httpx does not follow redirects by default, and raise_for_status would fail.
  if ('302' in responses) return ['print(answer.headers["location"])'];
  const isJson = Object.entries(responses).some(
    ([status, { content }]) => status < '300' && content && 'application/json' in content,
  );
  return [
    'answer.raise_for_status()',
    isJson ? 'print(answer.json())' : 'print(len(answer.content), "bytes")',
  ];
}

/** Form of POST /v1/adapters, the only upload that OpenAI's client does not support. */
const formLines = [
  '    data={"base_model": "smollm2-135m-instruct", "name": "bikes"},',
  '    files=[',
  '        ("file", open("adapter_config.json", "rb")),',
  '        ("file", open("adapter_model.safetensors", "rb")),',
  '    ],',
];

const queryValues: Record<string, unknown> = {
  a: 'ft:smollm2-135m-instruct:acme:bikes:8d2b6f10',
  b: 'ft:smollm2-135m-instruct:acme:bikes:production',
  name: 'acme',
};

const pathValues: Record<string, string> = {
  base_model_id: 'smollm2-135m-instruct',
  checkpoint_id: 'ftckpt_c3a94e578d2b6f10',
  delivery_id: 'delivery-d4e354c1f0a9be27',
  identity_id: 'ident-e4d35c1f0a9be27d',
  invitation_id: 'invite-f0a9be27d4e354c1',
  person_id: 'person-9be27d4e354c1f0a',
  price_id: 'price-c1f0a9be27d4e354',
  session_id: 'session-be27d4e354c1f0a9',
  type: 'mlflow',
  version: '1',
  worker_id: 'worker-e27d4e354c1f0a9b',
  chain_id: 'installation',
};

function pathValue(path: string, field: string): string {
  const value = pathValues[field] ?? exampleValues[field];
  if (value === undefined) throw new Error(`The example of ${path} needs a value of ${field}`);
  return String(value);
}

/** Formats a value as a Python literal. */
function python(value: unknown): string {
  if (value === null) return 'None';
  if (typeof value === 'boolean') return value ? 'True' : 'False';
  if (Array.isArray(value)) return `[${value.map(python).join(', ')}]`;
  if (typeof value === 'object')
    return `{${Object.entries(value)
      .map(([key, each]) => `${JSON.stringify(key)}: ${python(each)}`)
      .join(', ')}}`;
  return JSON.stringify(value);
}
