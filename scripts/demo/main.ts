import { randomBytes } from 'node:crypto';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { GraftClient } from '@graft/client';
import { drawLossCurve, lossCurveSvg } from '../../apps/cli/src/draw/loss-curve.ts';
import { methodSettings } from '../methods/settings.ts';
import { exactMatch, type HeldOutExample, readHeldOut } from './held-out.ts';
import { bar, heading, sideBySide, table } from './print.ts';
import { runGraft, startGraft } from './service.ts';

/**
 * `npm run demo`: starts Graft, uploads a data file, trains a LoRA adapter on SmolLM2-135M-Instruct, and calls the base model and
 * the adapter on examples that neither was trained on. Everything goes through the HTTP API, as a user's own program would.
 */

const root = path.resolve(import.meta.dirname, '../..');
const { values: options } = parseArgs({
  options: {
    task: { type: 'string', default: 'bike-shop' },
    method: { type: 'string', default: 'lora' },
    output: { type: 'string', default: 'demo-output' },
    keep: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});
if (options.help) {
  console.log(
    'npm run demo -- [--method METHOD] [--output DIR] [--task FOLDER in examples/] [--keep: leave Graft running]\n' +
      `METHOD: ${Object.keys(methodSettings).join(', ')}`,
  );
  process.exit(0);
}

const setting = Object.hasOwn(methodSettings, options.method) ? methodSettings[options.method] : undefined;
if (!setting) {
  console.error(
    `--method ${options.method} is not one of the demo's: ${Object.keys(methodSettings).join(', ')}`,
  );
  process.exit(2);
}
const task = path.join(root, 'examples', options.task);
const output = path.resolve(root, options.output);
const job = JSON.parse(await readFile(path.join(task, 'job.json'), 'utf8')) as Record<string, unknown> & {
  model: string;
};
// The task's own job.json stands as it is for LoRA; another method brings what it needs.
if (options.method !== 'lora') {
  job.peft = setting.peft;
  job.method = {
    type: 'supervised',
    supervised: { hyperparameters: { n_epochs: setting.epochs, batch_size: 8 } },
  };
  job.training = { ...(job.training as object), ...setting.training };
}
const heldOut = await readHeldOut(path.join(task, 'heldout.jsonl'));
const training = path.join(task, 'train.jsonl');
await rm(output, { recursive: true, force: true });
await mkdir(output, { recursive: true });

heading('1. Start Graft (API, worker, private Postgres)');
const key = `graft_demo${randomBytes(6).toString('hex')}_${randomBytes(24).toString('base64url').replaceAll(/[-_]/g, 'x')}`;
const graft = await startGraft({ root, dataDir: path.join(root, 'data/demo'), key });
const client = new GraftClient({ baseUrl: graft.baseUrl, apiKey: key });
let failed = false;
try {
  console.log(`   listening on ${graft.baseUrl}\n   API key (new for this run): ${key}`);

  heading(`2. Ask ${job.model} before training: ${heldOut.length} held-out questions`);
  const before = await answers(job.model);
  console.log(`   ${exactMatch(heldOut, before)} of ${heldOut.length} right`);

  heading('3. Upload the data, create the job, watch it');
  const file = await client.files.upload({ file: training });
  console.log(`   ${file.id}  ${path.relative(root, training)}, ${file.bytes} bytes`);
  const created = await client.fineTuning.jobs.create({ ...job, training_file: file.id });
  console.log(`   ${created.id}  ${created.peft.peft_type} on ${created.model}`);
  const watched = await runGraft(root, graft, key, ['jobs', 'watch', created.id]);
  const finished = await client.fineTuning.jobs.retrieve(created.id);
  if (watched !== 0 || finished.status !== 'succeeded' || !finished.fine_tuned_model) {
    throw new Error(`the job ended as ${finished.status}: ${finished.error?.message ?? 'no reason given'}`);
  }

  heading('4. Download the adapter');
  const adapterDir = path.join(output, 'adapter');
  await runGraft(root, graft, key, [
    'adapters',
    'download',
    finished.fine_tuned_model,
    '--output',
    adapterDir,
  ]);

  heading('5. Ask the same questions of the adapter');
  const after = await answers(finished.fine_tuned_model);

  const metrics = await client.fineTuning.jobs.metrics(created.id);
  const points = (kind: 'train' | 'evaluation') =>
    metrics.filter((m) => m.kind === kind).map(({ step, loss }) => ({ step, loss }));
  const svg = path.join(output, 'loss.svg');
  await writeFile(
    svg,
    lossCurveSvg({
      training: points('train'),
      evaluation: points('evaluation'),
      title: `${options.task}: training loss`,
    }),
  );
  heading('Loss');
  console.log(drawLossCurve(points('train'), { width: 72, height: 12 }));

  heading('Three of the held-out questions');
  for (const i of [0, Math.floor(heldOut.length / 2), heldOut.length - 1]) {
    sideBySide(heldOut[i]!.question, heldOut[i]!.answer, before[i]!, after[i]!);
  }

  const version = (await client.adapters.retrieveVersionOf(finished.fine_tuned_model)) ?? null;
  const [right, wrong] = [exactMatch(heldOut, after), exactMatch(heldOut, before)];
  const percent = (n: number) => Math.round((100 * n) / heldOut.length);
  const speeds = metrics
    .filter((m) => m.kind === 'train' && m.tokens_per_second !== null)
    .map((m) => m.tokens_per_second!);
  heading('Result');
  table([
    [
      'held-out accuracy before',
      `${bar(wrong / heldOut.length)} ${percent(wrong)} %  (${wrong} of ${heldOut.length})`,
    ],
    [
      'held-out accuracy after',
      `${bar(right / heldOut.length)} ${percent(right)} %  (${right} of ${heldOut.length})`,
    ],
    [
      'training speed',
      `${Math.round(speeds.at(-1) ?? 0)} tokens/s, ${finished.trained_tokens} tokens in all`,
    ],
    ['peak memory of training', peakMemory(version?.metrics)],
    ['model to call', finished.fine_tuned_model],
    ['adapter files', path.relative(root, adapterDir)],
    ['loss curve', path.relative(root, svg)],
  ]);
  printCurl(
    graft.baseUrl,
    finished.fine_tuned_model,
    created.id,
    path.relative(root, training),
    job,
    heldOut[0]!,
  );
  if (percent(right) - percent(wrong) < setting.margin) {
    failed = true;
    console.error(
      `\nThe adapter is less than ${setting.margin} points better than the base model: this demo failed.`,
    );
  }
  if (options.keep) {
    console.log(
      `\nGraft stays up: export GRAFT_BASE_URL=${graft.baseUrl} GRAFT_API_KEY=${key}\nCtrl-C ends it.`,
    );
    await new Promise((resolve) => process.once('SIGINT', resolve));
  }
} finally {
  await graft.stop();
}
process.exit(failed ? 1 : 0);

/** The model's answers to every held-out question, greedy. */
async function answers(model: string): Promise<string[]> {
  const texts: string[] = [];
  for (const [i, { messages }] of heldOut.entries()) {
    const reply = await client.chat.completions.create({ model, messages, max_tokens: 24, temperature: 0 });
    texts.push(reply.choices[0]!.message.content.trim());
    if (process.stdout.isTTY)
      process.stdout.write(`\r   ${bar((i + 1) / heldOut.length)} ${i + 1}/${heldOut.length} `);
  }
  if (process.stdout.isTTY) process.stdout.write('\n');
  return texts;
}

function peakMemory(metrics: Record<string, unknown> | null | undefined): string {
  const bytes = Number(metrics?.peak_memory_bytes);
  return Number.isFinite(bytes) ? `${(bytes / 2 ** 30).toFixed(2)} GiB` : 'not reported';
}

function printCurl(
  baseUrl: string,
  model: string,
  jobId: string,
  file: string,
  body: Record<string, unknown>,
  example: HeldOutExample,
): void {
  const request = JSON.stringify({ ...body, training_file: 'file-…' });
  const chat = JSON.stringify({ model, temperature: 0, messages: example.messages });
  const auth = '-H "Authorization: Bearer $GRAFT_API_KEY"';
  const json = '-H "Content-Type: application/json"';
  heading('The same with curl');
  console.log(`
curl ${baseUrl}/files ${auth} -F purpose=fine-tune -F file=@${file}
curl ${baseUrl}/fine_tuning/jobs ${auth} ${json} -d '${request}'
curl -N "${baseUrl}/fine_tuning/jobs/${jobId}/events?stream=true" ${auth}
curl ${baseUrl}/adapters ${auth}      # then /adapters/{id}/versions/1/download -o adapter.tar
curl ${baseUrl}/chat/completions ${auth} ${json} -d '${chat.replaceAll("'", "'\\''")}'`);
}
