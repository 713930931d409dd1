import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type ChatMessage, type FineTuningJob, GraftClient, type JobCreateParams } from '@graft/client';
import { drawLossCurve } from '../../apps/cli/src/draw/loss-curve.ts';
import { lossCurveSvg } from '../../apps/cli/src/draw/loss-curve-svg.ts';
import { ask, exactMatch, readHeldOut } from './held-out.ts';
import { type DemoOptions, defaultMethod, outputs } from './options.ts';
import { heading, percent, score, sideBySide, table } from './print.ts';
import { runGraft, startGraft } from './service.ts';

type JobBody = Omit<JobCreateParams, 'training_file'>;

/** The whole demo. Answers whether the adapter is as much better than its base as the method promises. */
export async function runDemo(root: string, options: DemoOptions): Promise<boolean> {
  const { key, task, setting } = options;
  const training = path.join(task, 'train.jsonl');
  const heldOut = await readHeldOut(path.join(task, 'heldout.jsonl'));
  const job = await readJob(options);
  const adapter = path.join(options.output, outputs.adapter);
  const curve = path.join(options.output, outputs.curve);
  for (const old of [adapter, curve]) await rm(old, { recursive: true, force: true });
  await mkdir(options.output, { recursive: true });
  const shown = (file: string) => (file.startsWith(`${root}${path.sep}`) ? path.relative(root, file) : file);

  heading('1. Start Graft (API, worker, private Postgres)');
  const graft = await startGraft({ root, dataDir: options.dataDir, key, port: options.port });
  try {
    const client = new GraftClient({ baseUrl: graft.baseUrl, apiKey: key });
    const graftCommand = async (...args: string[]) => {
      const code = await runGraft(root, graft, key, args);
      if (code !== 0) throw new Error(`graft ${args.slice(0, 2).join(' ')} ended with exit code ${code}`);
    };
    console.log(`   listening on ${graft.baseUrl}`);
    console.log(
      `   API key: ${options.keyIsNew ? `${key} (new for this run)` : 'that of GRAFT_BOOTSTRAP_KEY'}`,
    );

    heading(`2. Ask ${job.model} before training: ${heldOut.length} held-out questions`);
    const before = await ask(client, job.model, heldOut);
    const rightBefore = exactMatch(heldOut, before);
    console.log(`   ${rightBefore} of ${heldOut.length} right`);

    heading('3. Upload the data, create the job, watch it');
    const file = await client.files.upload({ file: training });
    console.log(`   ${file.id}  ${shown(training)}, ${file.bytes} bytes`);
    const created = await client.fineTuning.jobs.create({ ...job, training_file: file.id });
    console.log(`   ${created.id}  ${created.peft.peft_type} on ${created.model}`);
    // The exit code is derived from the job's status, which is read next.
    await runGraft(root, graft, key, ['jobs', 'watch', created.id]);
    const finished = await client.fineTuning.jobs.retrieve(created.id);
    const model = modelOf(finished);

    heading('4. Download the adapter');
    await graftCommand('adapters', 'download', model, '--output', adapter);
    const version = await client.adapters.retrieveVersionOf(model);
    if (!version) throw new Error(`${model} has no adapter version`);

    heading('5. Ask the same questions of the adapter');
    const after = await ask(client, model, heldOut);
    const rightAfter = exactMatch(heldOut, after);

    const metrics = await client.fineTuning.jobs.metrics(created.id);
    const points = (kind: 'train' | 'evaluation') =>
      metrics.filter((metric) => metric.kind === kind).map(({ step, loss }) => ({ step, loss }));
    const title = `${path.basename(task)}: training loss`;
    const drawn = lossCurveSvg({ training: points('train'), evaluation: points('evaluation'), title });
    await writeFile(curve, drawn);
    heading('Loss');
    console.log(drawLossCurve(points('train'), { width: 72, height: 12 }));

    heading('Three of the held-out questions');
    for (const i of [0, Math.floor(heldOut.length / 2), heldOut.length - 1]) {
      const { question, answer } = heldOut[i]!;
      console.log(sideBySide(question, answer, before[i]!, after[i]!));
    }

    heading('Result');
    const speed = metrics.findLast((metric) => metric.tokens_per_second !== null)?.tokens_per_second ?? 0;
    console.log(
      table([
        ['held-out accuracy before', score(rightBefore, heldOut.length)],
        ['held-out accuracy after', score(rightAfter, heldOut.length)],
        ['training speed', `${Math.round(speed)} tokens/s, ${finished.trained_tokens} tokens in all`],
        ['peak memory of training', memory(version.metrics?.peak_memory_bytes)],
        ['model to call', model],
        ['adapter files', shown(adapter)],
        ['loss curve', shown(curve)],
      ]),
    );
    heading('The same with curl');
    const lines = curlLines({
      baseUrl: graft.baseUrl,
      file: shown(training),
      job: { ...job },
      jobId: created.id,
      adapterId: version.adapter_id,
      version: version.version,
      model,
      messages: heldOut[0]!.messages,
    });
    console.log(`\n${lines.join('\n')}`);

    const gained = percent(rightAfter, heldOut.length) - percent(rightBefore, heldOut.length);
    const better = gained >= setting.margin;
    if (!better) {
      console.error(
        `\nThis demo failed: the adapter is ${gained} points better than the base model, which is less than ${setting.margin}.`,
      );
    } else {
      heading('Next');
      console.log(table(nextSteps(root, options, model)));
    }
    if (options.keep) await untilInterrupted(graft.baseUrl, options);
    return better;
  } finally {
    await graft.stop();
  }
}

/** The task's job.json, unchanged for the default method; other methods add their options. */
async function readJob({ task, method, setting, seed }: DemoOptions): Promise<JobBody> {
  const given = JSON.parse(await readFile(path.join(task, 'job.json'), 'utf8')) as JobBody;
  const job = seed === null ? given : { ...given, seed };
  if (method === defaultMethod) return job;
  const hyperparameters = { n_epochs: setting.epochs, batch_size: 8 };
  return {
    ...job,
    peft: setting.peft as NonNullable<JobBody['peft']>,
    method: { type: 'supervised', supervised: { hyperparameters } },
  };
}

function modelOf(job: FineTuningJob): string {
  if (job.status === 'succeeded' && job.fine_tuned_model) return job.fine_tuned_model;
  throw new Error(`the job ended as ${job.status}: ${job.error?.message ?? 'no reason given'}`);
}

function memory(bytes: unknown): string {
  return Number.isFinite(Number(bytes)) ? `${(Number(bytes) / 2 ** 30).toFixed(2)} GiB` : 'not reported';
}

/** Commands that start this Graft again, with its adapter. */
function nextSteps(root: string, { dataDir, key, keyIsNew }: DemoOptions, model: string): [string, string][] {
  const folder = path.relative(root, dataDir);
  return [
    ['start Graft with this adapter', folder === 'data' ? 'npm start' : `GRAFT_DATA_DIR=${folder} npm start`],
    ['in another terminal', `export GRAFT_API_KEY=${keyIsNew ? key : '$GRAFT_BOOTSTRAP_KEY'}`],
    ['ask the adapter', `npx graft chat --model ${model}`],
  ];
}

async function untilInterrupted(baseUrl: string, { key, keyIsNew }: DemoOptions): Promise<void> {
  const apiKey = keyIsNew ? key : '$GRAFT_BOOTSTRAP_KEY';
  console.log(`\nGraft stays up: export GRAFT_BASE_URL=${baseUrl} GRAFT_API_KEY=${apiKey}\nCtrl-C ends it.`);
  await new Promise((resolve) => process.once('SIGINT', resolve));
}

interface Done {
  /** With /v1. */
  baseUrl: string;
  /** The data, as the shell finds it. */
  file: string;
  /** Body of the request that made the job, without the file. */
  job: Record<string, unknown>;
  jobId: string;
  adapterId: string;
  version: number;
  model: string;
  messages: ChatMessage[];
}

/** Steps of the demo as commands that can be typed: data, job, progress, adapter, answer. */
export function curlLines(done: Done): string[] {
  const { baseUrl } = done;
  const auth = '-H "Authorization: Bearer $GRAFT_API_KEY"';
  const json = '-H "Content-Type: application/json"';
  const body = (value: unknown) => `-d '${JSON.stringify(value).replaceAll("'", "'\\''")}'`;
  return [
    `curl ${baseUrl}/files ${auth} -F purpose=fine-tune -F file=@${done.file}`,
    `curl ${baseUrl}/fine_tuning/jobs ${auth} ${json} ${body({ ...done.job, training_file: 'file-…' })}`,
    `curl -N "${baseUrl}/fine_tuning/jobs/${done.jobId}/events?stream=true" ${auth}`,
    `curl ${baseUrl}/adapters/${done.adapterId}/versions/${done.version}/download ${auth} -o adapter.tar`,
    `curl ${baseUrl}/chat/completions ${auth} ${json} ${body({ model: done.model, temperature: 0, messages: done.messages })}`,
  ];
}
