import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { defaultPeft } from '@graft/peft-core/config';
import { loadServiceEnv } from '@graft/service/environment';
import { type MethodSetting, methodName, methodSettings } from '../methods/settings.ts';

export interface DemoOptions {
  /** Folder of examples/: job.json, train.jsonl, heldout.jsonl. */
  task: string;
  method: string;
  setting: MethodSetting & { margin: number };
  /** Seed of the job; null: the one in its job.json. */
  seed: number | null;
  /** Where adapter and picture go. */
  output: string;
  /** Leave Graft running at the end. */
  keep: boolean;
  /** That of `npm start`, so that it shows the adapter, unless somebody's data is there already. */
  dataDir: string;
  /** Null: any free one. */
  port: number | null;
  key: string;
  /** Made for this run: it may be shown. */
  keyIsNew: boolean;
}

const methods = Object.keys(methodSettings).join(', ');
/** The method that the task's own job.json has. */
export const defaultMethod = methodName(defaultPeft.peft_type);
export const usage = `npm run demo -- [--peft-type TYPE] [--task TASK] [--seed N] [--output FOLDER] [--keep]
  --peft-type  ${methods} (default: ${defaultMethod})
  --task       a folder of examples/ (default: bike-shop)
  --seed       of the training, instead of the task's own
  --output     where adapter and loss curve go (default: demo-output)
  --keep       leave Graft running at the end
PORT, GRAFT_DATA_DIR and GRAFT_BOOTSTRAP_KEY are honoured; by default a free port, a new key, and the
data folder of npm start, or data/demo where that holds data already.`;

/** Outputs that the demo itself writes to --output. */
export const outputs = { adapter: 'adapter', curve: 'loss.svg' };

/** Reads arguments and environment. Null for --help. Throws one error message about the options. */
export function readOptions(root: string, args: string[], env: NodeJS.ProcessEnv): DemoOptions | null {
  const { values } = parseArgs({
    args,
    options: {
      task: { type: 'string', default: 'bike-shop' },
      'peft-type': { type: 'string', default: defaultMethod },
      seed: { type: 'string' },
      output: { type: 'string', default: 'demo-output' },
      keep: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return null;
  const peftType = values['peft-type'].toLowerCase();
  const setting = Object.hasOwn(methodSettings, peftType) ? methodSettings[peftType] : undefined;
  if (!setting) throw new Error(`--peft-type ${values['peft-type']} is not one of the demo's: ${methods}`);
  const tasks = tasksOf(path.join(root, 'examples'));
  if (!tasks.includes(values.task))
    throw new Error(`--task ${values.task} is no task in examples/: ${tasks.join(', ')}`);
  if (values.seed !== undefined && !/^\d{1,9}$/.test(values.seed))
    throw new Error(`--seed ${values.seed} is not a whole number from 0 to 999999999`);
  const output = path.resolve(root, values.output);
  checkOutput(output, values.output);
  const service = loadServiceEnv(env);
  const data = path.join(root, 'data');
  return {
    task: path.join(root, 'examples', values.task),
    method: peftType,
    setting,
    seed: values.seed === undefined ? null : Number(values.seed),
    output,
    keep: values.keep,
    dataDir: env.GRAFT_DATA_DIR ? service.dataDir : existsSync(data) ? path.join(data, 'demo') : data,
    port: env.PORT ? service.port : null,
    key: service.bootstrapKey ?? newKey(),
    keyIsNew: service.bootstrapKey === undefined,
  };
}

function tasksOf(examples: string): string[] {
  const needed = ['job.json', 'train.jsonl', 'heldout.jsonl'];
  return readdirSync(examples).filter((name) =>
    needed.every((file) => existsSync(path.join(examples, name, file))),
  );
}

/** The demo replaces what an earlier one left, and nothing else. */
function checkOutput(output: string, given: string): void {
  if (!existsSync(output)) return;
  if (!statSync(output).isDirectory()) throw new Error(`--output ${given} is a file: give a folder`);
  const own = Object.values(outputs);
  const others = readdirSync(output).filter((name) => !own.includes(name));
  if (others.length > 0)
    throw new Error(`--output ${given} holds ${others[0]}, which is not the demo's: give another folder`);
}

export function newKey(): string {
  return `graft_demo${randomBytes(6).toString('hex')}_${randomBytes(20).toString('hex')}`;
}
