import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openApiBench } from '../testing/open-api-bench.ts';

test('/llms.txt needs no key, names every documented route and links what is there', async () => {
  const bench = await openApiBench();
  try {
    const answer = await fetch(`${bench.url}/llms.txt`);
    assert.equal(answer.status, 200);
    assert.equal(answer.headers.get('content-type'), 'text/plain; charset=utf-8');
    const text = await answer.text();
    assert.match(text, /^# Graft\n\n> /);
    const { paths } = (await (await fetch(`${bench.url}/docs/json`)).json()) as {
      paths: Record<string, Record<string, { summary: string }>>;
    };
    const operations = Object.entries(paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(
        ([method, { summary }]) => `\`${method.toUpperCase()} ${path}\`: ${summary}`,
      ),
    );
    assert.ok(operations.length > 20);
    for (const operation of operations) assert.ok(text.includes(operation), operation);
    assert.ok(!text.includes('no summary') && !('/llms.txt' in paths));
    for (const [, link] of text.matchAll(/\]\((\/[^)]*)\)/g)) {
      assert.equal((await fetch(bench.url + link)).status, 200, link);
    }
  } finally {
    await bench.close();
  }
});
