/**
 * Measures how fast a thread of the API validates short chats with SmolLM2's tokenizer and template, in MB of the file per second of CPU
 * time. Compares it with @huggingface/jinja and @huggingface/tokenizers, which Graft used before.
 *
 * usage: main.ts [megabytes]
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { defaultPeft, parsePeftConfig } from '@graft/peft-core/config';
import { readExamples } from '@graft/peft-core/examples';
import { openBaseModel } from '@graft/peft-core/files';
import { loadTokenizer } from '@graft/peft-core/text';
import { Template } from '@huggingface/jinja';
import { Tokenizer } from '@huggingface/tokenizers';
import { Random } from '../../packages/peft-core/src/random.ts';
import { packagedModel } from '../../scripts/methods/packaged-model.ts';
import { scratchFolder } from '../../test/golden/fixtures/scratch-folder.ts';

const root = path.join(import.meta.dirname, '..', '..');
const megabytes = Number(process.argv[2] ?? 20);
/** The libraries read only this part of the file, because they are slow. */
const librariesMegabytes = Math.min(2, megabytes);

const documents = readdirSync(path.join(root, 'docs'), { recursive: true, encoding: 'utf8' });
const words = ['README.md', ...documents.map((name) => path.join('docs', name))]
  .filter((file) => file.endsWith('.md'))
  .map((file) => readFileSync(path.join(root, file), 'utf8'))
  .join('\n')
  .split(/\s+/);

/** Questions and answers of 5 to 35 consecutive words of Graft's documentation. */
function chats(megabytes: number): string[] {
  const lines: string[] = [];
  const random = new Random(1, 'order');
  const phrase = () => {
    const start = random.integer(words.length - 40);
    return words.slice(start, start + 5 + random.integer(30)).join(' ');
  };
  for (let bytes = 0; bytes < megabytes * 1e6; bytes += Buffer.byteLength(lines.at(-1)!) + 1) {
    const messages = [
      { role: 'user', content: phrase() },
      { role: 'assistant', content: phrase() },
    ];
    lines.push(JSON.stringify({ messages }));
  }
  return lines;
}

/** MB per second of CPU time. */
async function speedOf(bytes: number, work: () => Promise<void> | void): Promise<number> {
  const start = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(start);
  return bytes / (user + system);
}

const base = await openBaseModel(await packagedModel('smollm2'));
const { tokenizerFiles, config: modelConfig } = base;
await base.close();
const folder = scratchFolder('validation');
const lines = chats(megabytes);
const trainingFile = path.join(folder, 'chats.jsonl');
const content = `${lines.join('\n')}\n`;
writeFileSync(trainingFile, content);
const bytes = Buffer.byteLength(content);

const tokenizer = loadTokenizer(tokenizerFiles);
const graft = await speedOf(bytes, async () => {
  const peft = parsePeftConfig(defaultPeft);
  await readExamples({ trainingFile, tokenizer, modelConfig, peft, maxSeqLength: 1024 });
});

const { chatTemplate, tokenizerConfig, tokenizerJson } = tokenizerFiles;
const template = new Template(chatTemplate ?? String(tokenizerConfig?.chat_template));
const plain = new Tokenizer(tokenizerJson, tokenizerConfig ?? {});
const some = lines.slice(0, Math.ceil((lines.length * librariesMegabytes) / megabytes));
const libraries = await speedOf(Buffer.byteLength(some.join('\n')), () => {
  for (const line of some) {
    const { messages } = JSON.parse(line);
    // The whole conversation, and the prompt before its answer.
    plain.encode(template.render({ messages }), { add_special_tokens: false });
    const prompt = template.render({ messages: messages.slice(0, 1), add_generation_prompt: true });
    plain.encode(prompt, { add_special_tokens: false });
  }
});

console.log(`${lines.length} chats of ${Math.round(bytes / lines.length)} bytes`);
console.log(`validation          ${graft.toFixed(1)} MB/s`);
console.log(`the libraries alone ${libraries.toFixed(1)} MB/s`);
console.log(`ratio               ${(graft / libraries).toFixed(1)}`);
