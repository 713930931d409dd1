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

test('a report names what a chat template splits, and whose reasoning it drops', async (t) => {
  const folder = temporaryFolder(t);
  await writeTinyModel(folder);
  const read = (name: string) => JSON.parse(readFileSync(join(folder, name), 'utf8'));
  const tokenizer = loadTokenizer({
    tokenizerJson: read('tokenizer.json'),
    tokenizerConfig: read('tokenizer_config.json'),
    chatTemplate: template,
  });
  const view = async (messages: object[]) => {
    const reporter = createExampleReporter({ tokenizer, config: read('config.json'), maxSeqLength: 200 });
    await reporter.write(Buffer.from(JSON.stringify({ messages })));
    const report = (await reporter.end()) as ReportResult;
    return fileReportView({ model: 'tiny', report } as FileReport, paintFor({}));
  };
  const turn = (content: string) => [
    { role: 'user', content: 'Why?' },
    { role: 'assistant', content, reasoning_content: `So ${content}` },
  ];
  const text = await view(['a', 'b', 'c'].flatMap(turn));
  assert.match(
    text,
    /^ *split +1 conversation is 3 examples, one for each trained message: the chat template/m,
  );
  assert.match(text, /^ {2}the chat template drops the reasoning of messages\[1\] and messages\[3\]$/m);
  assert.doesNotMatch(await view(turn('a')), /split|drops/);
});
