import type { ClassificationList, GraftClient } from '@graft/client';
import type { Command } from 'commander';
import type { Answer } from '../../answer.ts';
import { count } from '../../draw/quantities.ts';
import { table } from '../../draw/table.ts';
import { UsageError } from '../../errors.ts';
import { saveStream } from '../../save-stream.ts';
import type { RemoteOptions } from '../connect.ts';
import { serviceVerb } from '../service-verb.ts';
import { readTexts, type TextInput } from './read-texts.ts';

interface Options extends RemoteOptions {
  model: string;
  input?: string;
  output?: string;
}

type Classified = { input: TextInput; classes: string[] } & Omit<ClassificationList['data'][number], 'index'>;

export function addClassifyVerb(program: Command): void {
  serviceVerb(
    program,
    'classify',
    'classify texts or their words with a service',
    '--model ft:… "My rear brake squeals."',
    '--model ft:… --input texts.jsonl --output classes.jsonl',
  )
    .argument('[texts...]', 'texts')
    .requiredOption('--model <id>', 'an adapter for SEQ_CLS or TOKEN_CLS (ft:…), or a classifier')
    .option('--input <file>', 'JSONL with {"text"} per line, or {"tokens"} for words; - is stdin')
    .option('--output <file>', 'JSONL with the input and its classes; - is stdout')
    .run(classify);
}

async function classify(client: GraftClient, texts: string[], options: Options): Promise<Answer> {
  const { model, input, output } = options;
  if (input !== undefined && output === undefined)
    throw new UsageError('--input needs --output, a file or - for stdout.');
  let tokens = 0;
  async function* classified(): AsyncGenerator<Classified> {
    for await (const group of readTexts(texts, input)) {
      const params = { model, input: group as string[] | string[][] };
      const { data, classes, usage } = await client.classifications.create(params);
      tokens += usage.prompt_tokens;
      for (const { index, ...each } of data) yield { input: group[index]!, classes, ...each };
    }
  }
  if (output !== undefined) {
    let lines = 0;
    async function* written() {
      for await (const { input, ...each } of classified()) {
        lines++;
        const own = typeof input === 'string' ? { text: input } : { tokens: input };
        yield Buffer.from(`${JSON.stringify(Object.assign(own, each))}\n`);
      }
    }
    await saveStream(written(), output);
    const note = `Classified ${count(lines)} texts, ${count(tokens)} tokens: ${output}`;
    return output === '-'
      ? { value: null, text: '', note }
      : { value: { output, texts: lines, tokens }, text: note };
  }
  const all: Classified[] = [];
  for await (const each of classified()) all.push(each);
  const value = { object: 'list', data: all, usage: { prompt_tokens: tokens } };
  return { value, text: (paint) => table(['TEXT', 'CLASS', 'PROBABILITY'], all.flatMap(rowsOf), paint, '') };
}

/** Classes of a text with a probability of at least 1 %, at most ten; for a classifier of words its entities. */
function rowsOf({ input, classes, probs, entities }: Classified): string[][] {
  const text = typeof input === 'string' ? input : input.join(' ');
  const short = text.length > 60 ? `${text.slice(0, 59)}…` : text;
  const percent = (p: number) => `${(100 * p).toFixed(1)} %`;
  const found = entities
    ? entities.map((each) => [`${each.label}: ${each.text}`, percent(each.prob)])
    : (probs ?? [])
        .map((p, i) => ({ p, name: classes[i]! }))
        .sort((a, b) => b.p - a.p)
        .filter(({ p }, i) => i === 0 || (p >= 0.01 && i < 10))
        .map(({ p, name }) => [name, percent(p)]);
  return (found.length > 0 ? found : [['(no entity)', '']]).map((cells, i) => [
    i === 0 ? short : '',
    ...cells,
  ]);
}
