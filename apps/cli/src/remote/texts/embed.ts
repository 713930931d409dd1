import type { GraftClient } from '@graft/client';
import type { Command } from 'commander';
import type { Answer } from '../../answer.ts';
import { count } from '../../draw/quantities.ts';
import { table } from '../../draw/table.ts';
import { UsageError } from '../../errors.ts';
import { given, wholeNumber } from '../../options/arguments.ts';
import { saveStream } from '../../save-stream.ts';
import type { RemoteOptions } from '../connect.ts';
import { serviceVerb } from '../service-verb.ts';
import { readTexts } from './read-texts.ts';

interface Options extends RemoteOptions {
  model: string;
  input?: string;
  output?: string;
  dimensions?: number;
  promptName?: string;
}

export function addEmbedVerb(program: Command): void {
  serviceVerb(
    program,
    'embed',
    'compute embeddings of texts with a service, and compare them',
    '--model ft:… "The brake squeals." "My brakes are noisy."',
    '--model ft:… --input texts.jsonl --output vectors.jsonl',
  )
    .argument('[texts...]', 'texts; more than one are compared')
    .requiredOption('--model <id>', 'sentence model, or an adapter for FEATURE_EXTRACTION (ft:…)')
    .option('--input <file>', 'JSONL with {"text"} per line; - is stdin')
    .option('--output <file>', 'JSONL with "text" and "embedding"; - is stdout')
    .option('--dimensions <n>', 'keep only the first n numbers of each vector', wholeNumber(1))
    .option('--prompt-name <name>', "the model's prompt before each text, such as query; '' is none")
    .run(embed);
}

async function embed(client: GraftClient, texts: string[], options: Options): Promise<Answer> {
  const { model, input, output, dimensions, promptName: prompt_name } = options;
  if (input !== undefined && output === undefined)
    throw new UsageError('--input needs --output, a file or - for stdout.');
  let tokens = 0;
  async function* embedded() {
    for await (const group of readTexts(texts, input)) {
      if (group.some(Array.isArray))
        throw new UsageError('Embeddings are of texts: give "text" in each line.');
      const own = group as string[];
      const { data, usage } = await client.embeddings.create({
        model,
        input: own,
        ...given({ dimensions, prompt_name }),
      });
      tokens += usage.prompt_tokens;
      for (const { index, embedding } of data) yield { text: own[index]!, embedding };
    }
  }
  if (output !== undefined) {
    let lines = 0;
    async function* written() {
      for await (const each of embedded()) {
        lines++;
        yield Buffer.from(`${JSON.stringify(each)}\n`);
      }
    }
    await saveStream(written(), output);
    const note = `Embedded ${count(lines)} texts, ${count(tokens)} tokens: ${output}`;
    return output === '-'
      ? { value: null, text: '', note }
      : { value: { output, texts: lines, tokens }, text: note };
  }
  const all: { text: string; embedding: number[] }[] = [];
  for await (const each of embedded()) all.push(each);
  const value = { object: 'list', data: all, usage: { prompt_tokens: tokens } };
  return { value, text: (paint) => similarityTable(all, paint) };
}

/** The cosine of each pair of texts. */
function similarityTable(
  all: readonly { text: string; embedding: number[] }[],
  paint: Parameters<typeof table>[2],
): string {
  if (all.length === 1) {
    const { embedding } = all[0]!;
    const first = embedding.slice(0, 8).map((x) => x.toFixed(4));
    return `${count(embedding.length)} numbers: ${first.join(' ')}${embedding.length > 8 ? ' …' : ''}`;
  }
  const rows = all.map(({ text, embedding }) => [
    text.length > 40 ? `${text.slice(0, 39)}…` : text,
    ...all.map((other) => cosine(embedding, other.embedding).toFixed(3)),
  ]);
  return table(['TEXT', ...all.map((_, i) => `${i + 1}`)], rows, paint, '');
}

function cosine(a: readonly number[], b: readonly number[]): number {
  const product = (x: readonly number[], y: readonly number[]) =>
    x.reduce((sum, each, i) => sum + each * y[i]!, 0);
  return product(a, b) / Math.sqrt(product(a, a) * product(b, b));
}
