import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseJsonl, tokenizeExamples } from '@graft/peft-core/examples';
import { openBaseModel } from '@graft/peft-core/files';
import { loadTokenizer } from '@graft/peft-core/text';

/** A data set and the adapter that is trained on it. */
export type Workload = {
  name: string;
  trainingFile: string;
  batchSize: number;
  /** Fields of a PEFT config. */
  peft: Record<string, unknown>;
};

const root = join(import.meta.dirname, '..', '..');
const syntheticRows = 4;
const syntheticTokens = 256;
const demoFolder = join(root, 'examples', 'bike-shop');

/** What is trained: a little (8 ranks on two modules of a layer) or much (16 on all), by name. */
export const adapters: Record<'small' | 'large', Record<string, unknown>> = JSON.parse(
  await readFile(join(import.meta.dirname, 'testdata/adapters.json'), 'utf8'),
);

/** `folder` receives what is made; `model` gives the tokenizer. */
type Make = (options: { model: string; folder: string }) => Promise<Workload>;

/** The workloads of the comparison, by name. */
export const workloads: Record<string, Make> = {
  synthetic: async ({ model, folder }) => {
    const trainingFile = join(folder, 'synthetic.jsonl');
    await writeSynthetic(trainingFile, model);
    return { name: 'synthetic', trainingFile, batchSize: syntheticRows, peft: adapters.small };
  },
  demo: async () => ({
    ...{ name: 'demo', trainingFile: join(demoFolder, 'train.jsonl'), batchSize: 8, peft: adapters.small },
  }),
  'demo-all': async () => ({
    ...{
      name: 'demo-all',
      trainingFile: join(demoFolder, 'train.jsonl'),
      batchSize: 8,
      peft: adapters.large,
    },
  }),
  // 400 questions and answers of 4 to 400 words, no two of which begin alike.
  mixed: async () => ({
    name: 'mixed',
    trainingFile: join(import.meta.dirname, 'testdata/instructions.jsonl'),
    ...{ batchSize: 8, peft: adapters.small },
  }),
  'long-prompt': async ({ folder }) => {
    const trainingFile = join(folder, 'long-prompt.jsonl');
    await writeLongPrompt(trainingFile);
    return { name: 'long-prompt', trainingFile, batchSize: 8, peft: adapters.small };
  },
};

/** The demo's chats under a system prompt of about 400 tokens. */
async function writeLongPrompt(file: string): Promise<void> {
  const lines = (await readFile(join(demoFolder, 'train.jsonl'), 'utf8')).trim().split('\n');
  const rules = (await readFile(join(root, 'LICENSE'), 'utf8')).replaceAll(/\s+/g, ' ').slice(0, 1900);
  const content = `You are the assistant of a bicycle shop. Follow the house rules. ${rules}`;
  const chats = lines.map((line) => {
    const { messages } = JSON.parse(line) as { messages: { role: string; content: string }[] };
    const rest = messages.filter(({ role }) => role !== 'system');
    return JSON.stringify({ messages: [{ role: 'system', content }, ...rest] });
  });
  await writeFile(file, `${chats.join('\n')}\n`);
}

/** Texts of exactly 256 tokens each: words that are one token each, as many as it takes. */
async function writeSynthetic(file: string, model: string): Promise<void> {
  const base = await openBaseModel(model);
  const tokenizer = loadTokenizer(base.tokenizerFiles);
  await base.close();
  const source = await readFile(join(root, 'LICENSE'), 'utf8');
  const words = [...new Set(source.match(/[a-z]{2,}/g))].filter(
    (word) => tokenizer.encode(` ${word}`, { addSpecialTokens: false }).length === 1,
  );
  const lines: string[] = [];
  for (let row = 0; row < 16 * syntheticRows; row++) {
    const wordAt = (i: number) => words[(row * 131 + i * i * 17 + i * 29) % words.length];
    const textOf = (count: number) => ` ${Array.from({ length: count }, (_, i) => wordAt(i)).join(' ')}`;
    // The 256 include what the dataset reader adds, such as an end mark.
    const added = lengthOf(tokenizer, textOf(32)) - 32;
    lines.push(JSON.stringify({ text: textOf(syntheticTokens - added) }));
  }
  for (const line of lines) {
    const length = lengthOf(tokenizer, JSON.parse(line).text);
    if (length !== syntheticTokens) throw new Error(`a synthetic text has ${length} tokens`);
  }
  await writeFile(file, `${lines.join('\n')}\n`);
}

function lengthOf(tokenizer: Parameters<typeof tokenizeExamples>[0], text: string): number {
  const { examples } = parseJsonl(Buffer.from(JSON.stringify({ text })));
  return tokenizeExamples(tokenizer, examples, { maxSeqLength: 1024 })[0]!.tokens;
}
