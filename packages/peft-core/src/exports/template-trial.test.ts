import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { GraftError } from '../errors.ts';
import { byteTokenizer } from '../testing/tiny-model.ts';
import { tryTemplate } from './template-trial.ts';

const files = { tokenizerJson: byteTokenizer(), tokenizerConfig: {}, chatTemplate: null };

test("an adapter's template that takes too long to render ends its own export, and one that is quick does not", async () => {
  // Within the budget of steps of one rendering, which is more than this limit.
  const slow =
    '{% for i in range(190) %}{% for k in range(1000) %}{% endfor %}{% endfor %}{{ messages[0].content }}';
  await assert.rejects(tryTemplate(files, slow, { milliseconds: 1 }), (error) => {
    const { code, fault, message } = error as GraftError;
    assert.deepEqual([code, fault], ['adapter_template_failed', 'user']);
    assert.match(
      message,
      /more than 0\.001 s of processor time for a short conversation; export another version/,
    );
    return true;
  });
  await tryTemplate(files, '{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}', {
    milliseconds: 600_000,
  });
});
