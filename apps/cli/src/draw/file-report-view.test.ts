import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { FileReport, ReportResult } from '@graft/client';
import { createExampleReporter } from '@graft/peft-core/examples';
import { writeTinyModel } from '@graft/peft-core/testing';
import { loadTokenizer } from '@graft/peft-core/text';
import { temporaryFolder } from '../testing/run-graft.ts';
import { fileReportView } from './file-report-view.ts';
import { paintFor } from './paint.ts';

/** Like Qwen 3's: reasoning only in the last turn. */
const template = `{% for m in messages %}{{ m.role ~ ': ' }}{% if loop.last and m.reasoning_content %}{{ '[' ~ m.reasoning_content ~ ']' }}{% endif %}{{ m.content ~ eos_token }}{% endfor %}{% if add_generation_prompt %}{{ 'assistant: ' }}{% endif %}`;

test('a report names what a chat template splits, whose reasoning it drops, and the answers of pairs', async (t) => {
  const folder = temporaryFolder(t);
  await writeTinyModel(folder);
  const read = (name: string) => JSON.parse(readFileSync(join(folder, name), 'utf8'));
  const tokenizer = loadTokenizer({
    tokenizerJson: read('tokenizer.json'),
    tokenizerConfig: read('tokenizer_config.json'),
    chatTemplate: template,
  });
  const view = async (...lines: object[]) => {
    const reporter = createExampleReporter({ tokenizer, config: read('config.json'), maxSeqLength: 200 });
    await reporter.write(Buffer.from(lines.map((line) => JSON.stringify(line)).join('\n')));
    const report = (await reporter.end()) as ReportResult;
    return fileReportView({ model: 'tiny', report } as FileReport, paintFor({}));
  };
  const turn = (content: string) => [
    { role: 'user', content: 'Why?' },
    { role: 'assistant', content, reasoning_content: `So ${content}` },
  ];
  const text = await view({ messages: ['a', 'b', 'c'].flatMap(turn) });
  assert.match(
    text,
    /^ *split +1 conversation is 3 examples, one for each trained message: the chat template/m,
  );
  assert.match(text, /^ {2}the chat template drops the reasoning of messages\[1\] and messages\[3\]$/m);
  assert.doesNotMatch(await view({ messages: turn('a') }), /split|drops/);

  const pairs = await view({ prompt: 'Why?', chosen: ' abc', rejected: ' a' });
  assert.match(
    pairs,
    /^ *pairs +1; answers of 5\.0 tokens chosen and 3\.0 rejected on average, the chosen one longer in 1$/m,
  );
  assert.match(pairs, /^ {2}prompt: Why\?\n {2}chosen: \[ abc<\/s>\]\n {2}rejected: \[ a<\/s>\]$/m);
  const judged = await view({ prompt: 'Why?', completion: ' a', label: true });
  assert.match(judged, /^ *judged +1 desirable, 0 undesirable$/m);
});
