/**
 * Effect of fine-tuning on function calls: SmolLM2-135M learns the Berkeley Function-Calling Leaderboard's questions through the
 * whole service. A fifth of the questions is held out; a question is right if every call is, name and arguments. Asked through
 * /v1/chat/completions with `tools`, by OpenAI's client. Prints the table of docs/chats.md; some 20 minutes with bf16 instructions.
 *
 * npm run bench:tool-calls -- [--seed 42] [--kinds simple_python,live_simple] [--longest 2000] [--training '{"n_epochs":2}'] [--limit 50]
 *   --longest  maximum length of a question's tools as JSON, in characters
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { GraftClient } from '@graft/client';
import OpenAI from 'openai';
import { commandLine, listOf } from '../../scripts/command-line.ts';
import { newKey } from '../../scripts/demo/options.ts';
import { runGraft, startGraft } from '../../scripts/demo/service.ts';
import { inLanes } from '../../scripts/measuring/processes.ts';
import { plainTable } from '../../scripts/methods/markdown-table.ts';
import { type Call, callOf, matchesCalls } from '../../scripts/sweep/tool-calls/match-calls.ts';
import { toolTemplate } from '../../scripts/sweep/tool-calls/pairs.ts';
import { isHeldOut, kinds, type Question, readQuestions } from '../../scripts/sweep/tool-calls/questions.ts';
import { scratchFolder } from '../../test/golden/fixtures/scratch-folder.ts';

const root = join(import.meta.dirname, '../..');
const { seed, longest, limit, ...options } = commandLine(
  {
    kinds: { type: 'string', default: 'simple_python,multiple,live_simple' },
    training: { type: 'string', default: '{}' },
  },
  { seed: 42, longest: 2000, limit: 1_000_000 },
  { seed: 0 },
);
const model = 'smollm2-135m-instruct';
/** Concurrent questions. */
const atOnce = 8;
const maxTokens = 256;

const all = await readQuestions(listOf('kinds', options.kinds, kinds));
const questions = all.filter(({ tools }) => JSON.stringify(tools).length <= longest).slice(0, limit);
const heldOut = questions.filter((question) => isHeldOut(question, seed));
const lines = questions.filter((question) => !isHeldOut(question, seed)).map(lineOf);

const folder = scratchFolder('tool-calls');
const key = newKey();
const graft = await startGraft({ root, dataDir: join(folder, 'data'), key, port: null });
try {
  const client = new GraftClient({ baseUrl: graft.baseUrl, apiKey: key });
  const openai = new OpenAI({ baseURL: graft.baseUrl, apiKey: key });
  // The base model's own template has no tools: an adapter that changes nothing answers with the template of the training.
  const unchanged = await trainAdapter(client, { max_steps: 1, learning_rate: 1e-8 });
  const before = await measure(openai, unchanged, 'auto');
  const forced = await measure(openai, unchanged, 'required');
  const adapter = await trainAdapter(client, JSON.parse(options.training));
  const after = await measure(openai, adapter, 'auto');
  console.log(`${lines.length} questions to train on, ${heldOut.length} held out, seed ${seed}`);
  const share = (right: number) =>
    `${right} of ${heldOut.length} (${Math.round((100 * right) / heldOut.length)} %)`;
  const rows = [
    ['base model', share(before)],
    ['base model, `tool_choice: "required"`', share(forced)],
    ['adapter', share(after)],
  ];
  console.log(plainTable(['', 'right'], rows));
} finally {
  await graft.stop();
}

/** A line of training data: the question, and its calls as the answer. */
function lineOf({ messages, tools, calls }: Question): string {
  const toolCalls = calls
    .map(callOf)
    .map(({ name, arguments: given }, i) => ({
      id: `call_${i}`,
      type: 'function',
      function: { name, arguments: JSON.stringify(given) },
    }));
  return JSON.stringify({ tools, messages: [...messages, { role: 'assistant', tool_calls: toolCalls }] });
}

async function trainAdapter(client: GraftClient, more: object): Promise<string> {
  const file = join(folder, 'calls.jsonl');
  await writeFile(file, `${lines.join('\n')}\n`);
  const uploaded = await client.files.upload({ file });
  const training = { chat_template: toolTemplate(), seed, ...more };
  const job = await client.fineTuning.jobs.create({ model, training_file: uploaded.id, training });
  // The exit code is derived from the job's status, which is read next.
  await runGraft(root, graft, key, ['jobs', 'watch', job.id]);
  const done = await client.fineTuning.jobs.retrieve(job.id);
  if (!done.fine_tuned_model) throw new Error(`the job is ${done.status}: ${done.error?.message}`);
  return done.fine_tuned_model;
}

async function measure(openai: OpenAI, model: string, tool_choice: 'auto' | 'required'): Promise<number> {
  let right = 0;
  await inLanes(
    atOnce,
    (next) => next >= heldOut.length,
    async (i) => {
      const { messages, tools, calls } = heldOut[i]!;
      const asked = { model, messages, tools, tool_choice, max_tokens: maxTokens, temperature: 0 };
      const answer = await openai.chat.completions.create(asked);
      const made = (answer.choices[0]!.message.tool_calls ?? []).flatMap((call) =>
        call.type === 'function' ? [callFrom(call.function)] : [],
      );
      if (matchesCalls(made, calls)) right++;
    },
  );
  console.error(`${model}, tool_choice ${tool_choice}: ${right} of ${heldOut.length} right`);
  return right;
}

/** A call whose arguments are cut off or no JSON has none. */
function callFrom({ name, arguments: text }: { name: string; arguments: string }): Call {
  try {
    return { name, arguments: JSON.parse(text) };
  } catch {
    return { name, arguments: {} };
  }
}
