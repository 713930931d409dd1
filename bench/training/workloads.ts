import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseJsonl, tokenizeExamples } from '@graft/peft-core/examples';
import { openBaseModel } from '@graft/peft-core/files';
import { loadTokenizer } from '@graft/peft-core/text';

export type WorkloadName = 'synthetic' | 'demo';

export type Workload = {
  name: WorkloadName;
  describe: string;
  trainingFile: string;
  batchSize: number;
};

const root = join(import.meta.dirname, '..', '..');
const syntheticRows = 4;
const syntheticTokens = 256;

/** The data sets of the comparison; `folder` receives what is made for it, `model` gives the tokenizer. */
export async function makeWorkload(
  name: WorkloadName,
  options: { model: string; folder: string; demoFile: string; demoBatchSize: number },
): Promise<Workload> {
  if (name === 'demo') {
    return {
      name,
      describe: `the demo's data, ${options.demoBatchSize} examples a batch`,
      trainingFile: join(root, options.demoFile),
      batchSize: options.demoBatchSize,
    };
  }
  const trainingFile = join(options.folder, 'synthetic.jsonl');
  await writeSynthetic(trainingFile, options.model);
  return {
    name,
    describe: `${syntheticRows} × ${syntheticTokens} tokens, all labelled`,
    trainingFile,
    batchSize: syntheticRows,
  };
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
