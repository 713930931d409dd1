/** Tools in the playground, with a scripted worker: calls, their results, and what later requests send back. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import {
  done,
  type ScriptedWorker,
  says,
  startScriptedWorker,
  token,
} from '../../apps/api/src/testing/scripted-worker.ts';
import { type BrowserBench, openBrowserBench, type Visit } from './browser-bench.ts';

let bench: BrowserBench;
let worker: ScriptedWorker;
before(async () => {
  bench = await openBrowserBench();
  worker = await startScriptedWorker(bench.services, 'worker-tools', says());
  // The scripted worker sends no heartbeats, and a long test must not declare it dead.
  await bench.services.sql.query("UPDATE workers SET heartbeat_at = now() + interval '1 hour'");
});
after(async () => {
  await worker?.close();
  await bench?.close();
});

const answers = ({ page }: Visit) => page.getByRole('article', { name: 'Answer of A' });

async function send({ page }: Visit, text: string) {
  await page.getByLabel('Message').fill(text);
  await page.keyboard.press('Enter');
}

test('calls and reasoning are shown, and are sent back with the results, also after a reload', async () => {
  const call = { index: 0, id: 'call_1', name: 'get_weather', arguments: '' };
  worker.answer = (body, response, request) =>
    (body.messages.at(-1).role === 'tool'
      ? says(token('It is 21 degrees.'), done())
      : says(
          { ...token(''), reasoning: 'Look it up.' },
          { ...token(''), calls: [call] },
          { ...token(''), calls: [{ index: 0, arguments: '{"city":"Paris"}' }] },
          done('tool_calls'),
        ))(body, response, request);
  const visit = await bench.visit(bench.acme, '/playground?a=tiny');
  const { page } = visit;
  await page.getByText('Tools', { exact: true }).first().click();
  const tools = page.getByRole('textbox', { name: 'Tools as JSON' });
  await tools.fill('[1]');
  await page.getByText('Tool 1 has no function with a name.').waitFor();
  await tools.fill('[{"type":"function","function":{"name":"get_weather"}}]');
  await send(visit, 'How warm is it?');
  await answers(visit).getByText('Look it up.').waitFor();
  await answers(visit).getByText('"city": "Paris"').waitFor();
  await page.getByLabel('Result of get_weather').fill('21');
  await page.getByRole('button', { name: 'Send result' }).click();
  await answers(visit).getByText('It is 21 degrees.').waitFor();
  const { messages } = worker.requests.at(-1);
  assert.deepEqual(messages.at(-1), { role: 'tool', content: '21', tool_call_id: 'call_1' });
  assert.deepEqual(messages.at(-2).tool_calls[0].function.arguments, { city: 'Paris' });
  await visit.checkAccess();

  // Later requests send everything back, also after a reload.
  const exchange = [...messages, { role: 'assistant', content: 'It is 21 degrees.' }];
  const again = async (prompt: string, turn: number) => {
    await send(visit, prompt);
    await answers(visit).nth(turn).getByText('"city": "Paris"').waitFor();
    return worker.requests.at(-1);
  };
  const first = await again('And in Rome?', 1);
  assert.deepEqual(first.messages, [...exchange, { role: 'user', content: 'And in Rome?' }]);
  await page.reload();
  await answers(visit).nth(1).getByText('"city": "Paris"').waitFor();
  await answers(visit)
    .nth(0)
    .getByText(/^Result\s+21$/)
    .waitFor();
  const second = await again('And now?', 2);
  assert.deepEqual(second.messages, [
    ...first.messages,
    { role: 'assistant', content: null, reasoning: 'Look it up.', tool_calls: messages.at(-2).tool_calls },
    { role: 'user', content: 'And now?' },
  ]);
  assert.deepEqual(second.tools, first.tools);
  await visit.picture('playground-tools');
  await visit.leave();
});
