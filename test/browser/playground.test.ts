/** The playground with a scripted worker; a real one is tested with the whole service. */
import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { createApiKey } from '@graft/service/keys';
import { publishAdapter } from '../../apps/api/src/testing/publish-adapter.ts';
import {
  done,
  type ScriptedWorker,
  says,
  startScriptedWorker,
  token,
} from '../../apps/api/src/testing/scripted-worker.ts';
import { storeAdapter } from '../../apps/api/src/testing/store-adapter.ts';
import { type BrowserBench, openBrowserBench, type Visit } from './browser-bench.ts';

let bench: BrowserBench;
let poet: string;
let worker: ScriptedWorker;
before(async () => {
  bench = await openBrowserBench();
  poet = (await storeAdapter(bench, bench.acme, 'poet')).modelName;
});
after(async () => await bench?.close());
beforeEach(async () => {
  worker = await startScriptedWorker(bench.services, 'worker-chats', says());
  // The scripted worker sends no heartbeats, and a long test must not declare it dead.
  await bench.services.sql.query("UPDATE workers SET heartbeat_at = now() + interval '1 hour'");
});
afterEach(async () => await worker.close());

const isPoet = (body: { adapter: unknown }) => body.adapter !== null;

const twoVoices: ScriptedWorker['answer'] = (body, response, request) =>
  says(...(isPoet(body) ? [token('Roses '), token('are red')] : [token('It is '), token('red')]), done())(
    body,
    response,
    request,
  );

/** Answers that stay open, for the test to continue. */
function heldAnswers(): { open: ServerResponse[]; answer: ScriptedWorker['answer'] } {
  const open: ServerResponse[] = [];
  return {
    open,
    answer: (_body, response) => {
      response.writeHead(200, { 'content-type': 'application/x-ndjson' });
      response.write(`${JSON.stringify(token('Once '))}\n`);
      open.push(response);
    },
  };
}

const addressOf = (b = poet) => `/playground?${new URLSearchParams({ a: 'tiny', ...(b && { b }) })}`;
const side = ({ page }: Visit, name: 'A' | 'B') => page.getByRole('article', { name: `Answer of ${name}` });

async function send({ page }: Visit, text: string) {
  await page.getByLabel('Message').fill(text);
  await page.keyboard.press('Enter');
}

test('base model and adapter answer side by side with one seed, over several turns', async () => {
  worker.answer = twoVoices;
  const visit = await bench.visit(bench.acme, addressOf());
  const { page } = visit;
  await page.getByText('System prompt').first().click();
  await page.getByRole('textbox', { name: 'System prompt' }).fill('Be brief.');
  await page.getByText('Sampling').click();
  await page.getByLabel('Temperature').fill('3');
  await page.getByText('A number, 0 to 2.').waitFor();
  await send(visit, 'What is a rose?');
  await page.getByText('Fix the sampling options first.').waitFor();
  await page.getByLabel('Temperature').fill('0.5');
  await page.getByLabel('Seed', { exact: true }).fill('7');
  await page.getByLabel('Stop sequences').fill('END\nFIN');
  await visit.checkAccess();
  await send(visit, 'What is a rose?');
  await side(visit, 'A').getByText('It is red').waitFor();
  await side(visit, 'B').getByText('Roses are red').waitFor();
  await side(visit, 'B').getByText('2 tokens').waitFor();
  assert.equal(worker.requests.length, 2);
  for (const request of worker.requests) {
    const { messages, temperature, seed, stop, max_tokens } = request;
    assert.deepEqual(messages, [
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: 'What is a rose?' },
    ]);
    assert.deepEqual(
      { temperature, seed, stop, max_tokens },
      { temperature: 0.5, seed: 7, stop: ['END', 'FIN'], max_tokens: 256 },
    );
  }
  await send(visit, 'And a violet?');
  await page.getByText('And a violet?').waitFor();
  await side(visit, 'B').nth(1).getByText('Roses are red').waitFor();
  // Each side's request contains its own previous answers.
  const previous = worker.requests.slice(2).map((request) => [isPoet(request), request.messages[2].content]);
  assert.deepEqual(previous.sort(), [
    [false, 'It is red'],
    [true, 'Roses are red'],
  ]);
  await visit.checkAccess();

  // Prompts are not in the URL; all other state is.
  const address = page.url();
  assert.match(address, /temperature=0\.5/);
  assert.doesNotMatch(decodeURIComponent(address), /rose|brief/i);
  await page.reload();
  await side(visit, 'B').nth(1).getByText('Roses are red').waitFor();
  assert.equal(await page.getByRole('textbox', { name: 'System prompt' }).inputValue(), 'Be brief.');
  await page.getByRole('button', { name: 'Swap models' }).click();
  await page.waitForURL(/b=tiny/);
  await visit.leave();
});

test('a model trained with a system prompt gets it from the first chat on', async () => {
  worker.answer = twoVoices;
  const line = (system: string) =>
    JSON.stringify({
      messages: [
        { role: 'system', content: system },
        { role: 'user', content: 'a' },
        { role: 'assistant', content: 'b' },
      ],
    });
  const { version } = await publishAdapter(bench, bench.acme, 'sorter', 'CAUSAL_LM', line('Sort it.'));
  const visit = await bench.visit(bench.acme, addressOf(version.modelName));
  const { page } = visit;
  // Immediately, before the page has loaded it.
  await send(visit, 'A brake squeals.');
  // Either model may answer first.
  const answered = async (turn: number) => {
    await side(visit, 'A').nth(turn).getByText('It is red').waitFor();
    await side(visit, 'B').nth(turn).getByText('Roses are red').waitFor();
  };
  await answered(0);
  const systemOf = (request: { messages: { role: string; content: string }[] }) =>
    request.messages.filter(({ role }) => role === 'system').map(({ content }) => content);
  assert.deepEqual(worker.requests.map(systemOf), [['Sort it.'], ['Sort it.']]);
  const field = page.getByRole('textbox', { name: 'System prompt' });
  assert.equal(await field.inputValue(), 'Sort it.');
  await page.getByText(`${version.modelName} was trained with this system prompt.`).waitFor();
  await visit.checkAccess();
  await field.fill('Be brief.');
  await page.getByText('was trained with another system prompt.').waitFor();
  await send(visit, 'Again');
  await answered(1);
  assert.deepEqual(worker.requests.slice(2).map(systemOf), [['Be brief.'], ['Be brief.']]);
  await page.getByRole('button', { name: 'Use training prompt' }).click();
  assert.equal(await field.inputValue(), 'Sort it.');
  // An empty prompt is kept empty.
  await field.fill('');
  await send(visit, 'Once more');
  await answered(2);
  assert.deepEqual(worker.requests.slice(4).map(systemOf), [[], []]);
  await visit.leave();
});

test('history: chats are opened, deleted, and removed on sign-out', async () => {
  worker.answer = twoVoices;
  const visit = await bench.visit(bench.acme, addressOf(''));
  const { page } = visit;
  await send(visit, `First ${'word '.repeat(60)}`);
  await side(visit, 'A').getByText('It is red').waitFor();
  assert.equal(await side(visit, 'B').count(), 0);
  await page.getByRole('button', { name: 'New chat' }).click();
  await side(visit, 'A').waitFor({ state: 'detached' });
  await send(visit, 'Second');
  await side(visit, 'A').getByText('It is red').waitFor();
  await page.getByRole('button', { name: 'History' }).click();
  const chats = page.getByRole('list', { name: 'Chats' });
  await chats.waitFor();
  assert.equal(await chats.getByRole('listitem').count(), 2);
  await visit.checkAccess();
  await visit.picture('playground-history');
  await chats.getByRole('button', { name: 'Delete chat' }).first().click();
  await chats.getByRole('button', { name: /First/ }).click();
  await page.getByText(/^First word/).waitFor();
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByLabel('API key').waitFor();
  assert.equal(await page.evaluate(() => localStorage.length), 0);
  await visit.leave();
});

test('prompts are removed when the session ends: by sign-out in another tab, during an answer, and by expiry', async () => {
  const { key } = await createApiKey(bench.services, bench.acme.teamId, { name: 'chats', role: 'member' });
  const open = async () => {
    const visit = await bench.visit(bench.withKey(bench.acme, key), addressOf(''));
    await send(visit, 'A secret prompt');
    return visit;
  };
  const isGone = async ({ page }: Visit) => {
    await page.getByLabel('API key').waitFor();
    assert.equal(await page.evaluate(() => localStorage.length), 0);
    assert.equal(await page.getByText('A secret prompt').count(), 0);
  };
  // An answer that does not end, so that it is still being generated on sign-out.
  worker.answer = heldAnswers().answer;
  let visit = await open();
  await side(visit, 'A').getByText('Once').waitFor();
  const other = await visit.page.context().newPage();
  await other.goto('/jobs');
  await other.getByRole('button', { name: 'Sign out' }).click();
  await isGone(visit);
  await other.close();
  await visit.leave();

  // The session ends on the server, and the next request is rejected.
  worker.answer = twoVoices;
  visit = await open();
  await side(visit, 'A').getByText('It is red').waitFor();
  assert.match(await visit.page.evaluate(() => JSON.stringify(localStorage)), /A secret prompt/);
  visit.expect(/status of 401/);
  await bench.services.sql.query('UPDATE sessions SET ended_at = now() WHERE ended_at IS NULL');
  await send(visit, 'A secret prompt');
  await isGone(visit);
  // Another user signs in: the previous user's prompts and those stored by an earlier version are gone.
  await visit.page.evaluate(() =>
    localStorage.setItem('graft.chats.team.person', '[{"prompt":"A secret prompt"}]'),
  );
  await visit.page.getByLabel('API key').fill(bench.acme.key);
  await visit.page.keyboard.press('Enter');
  await visit.page.getByRole('button', { name: 'History' }).waitFor();
  assert.doesNotMatch(await visit.page.evaluate(() => JSON.stringify(localStorage)), /secret/);
  await visit.leave();
});

test('answers are streamed, and Stop closes the connection', async () => {
  const { open, answer } = heldAnswers();
  worker.answer = answer;
  const visit = await bench.visit(bench.acme, addressOf());
  const { page } = visit;
  await send(visit, 'Write a tale');
  await side(visit, 'A').getByText('Once').waitFor();
  await side(visit, 'B').getByText('Once').waitFor();
  open[0]!.write(`${JSON.stringify(token('upon'))}\n`);
  await page.getByText('Once upon').waitFor();
  const hungUp = Promise.all(open.map((response) => new Promise((gone) => response.once('close', gone))));
  await page.getByRole('button', { name: 'Stop' }).click();
  await hungUp;
  await side(visit, 'A').getByText('Stopped').waitFor();
  await side(visit, 'B').getByText('Stopped').waitFor();
  // The partial answer stays, and can be regenerated.
  await page.getByText('Once upon').waitFor();
  worker.answer = twoVoices;
  await side(visit, 'B').getByRole('button', { name: 'Regenerate' }).click();
  await side(visit, 'B').getByText('Roses are red').waitFor();
  await visit.leave();
});

test('token probabilities, by pointer and by keyboard', async () => {
  const likely = (text: string, logprob: number) => ({
    ...token(text),
    likely: {
      token: text,
      logprob,
      top: [
        { token: ' brake', logprob: -0.2 },
        { token: text, logprob },
      ],
    },
  });
  worker.answer = says(likely('The', -0.01), likely(' rotor', -2), likely(' <b>', -8), done());
  const visit = await bench.visit(bench.acme, addressOf(''));
  const { page } = visit;
  await page.getByLabel('Show token probabilities').check();
  for (const kind of ['Chat', 'Completion']) {
    await page.getByText(kind, { exact: true }).click();
    if (kind === 'Chat') await send(visit, 'What squeals?');
    else {
      await page.getByRole('button', { name: 'New chat' }).click();
      await page.getByLabel('Text to complete').fill('What squeals?');
      await page.getByRole('button', { name: 'Send' }).click();
    }
    const text = page.getByRole('group', { name: 'Answer of A' });
    await text.getByText('rotor').hover();
    const probabilities = side(visit, 'A').getByRole('definition');
    await probabilities.getByText('13.5%').waitFor();
    await probabilities.getByText('81.9%').waitFor();
    await text.focus();
    await page.keyboard.press('ArrowRight');
    await probabilities.getByText('0%', { exact: true }).waitFor();
    assert.equal(await text.textContent(), 'The rotor <b>');
    await visit.checkAccess();
  }
  assert.deepEqual(
    worker.requests.map(({ logprobs, prompt }) => [logprobs, prompt]),
    [
      [5, undefined],
      [5, 'What squeals?'],
    ],
  );
  await visit.leave();
});

test('a request is copied as a curl command that a shell can run', async () => {
  worker.answer = twoVoices;
  const visit = await bench.visit(bench.acme, addressOf());
  const { page } = visit;
  await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
  await send(visit, "It's $HOME `id`");
  await side(visit, 'B').getByText('Roses are red').waitFor();
  await side(visit, 'B').getByRole('button', { name: 'Copy as curl' }).click();
  await page.getByText('Copied.').waitFor();
  const command = await page.evaluate(() => navigator.clipboard.readText());
  assert.match(command, /^curl http/);
  const { execFile } = await import('node:child_process');
  const answer = await new Promise<string>((resolve, reject) => {
    const env = { ...process.env, GRAFT_API_KEY: bench.acme.key };
    execFile('bash', ['-c', `${command} -s`], { env }, (error, out) =>
      error ? reject(error) : resolve(out),
    );
  });
  assert.equal(JSON.parse(answer).choices[0].message.content, 'Roses are red');
  assert.deepEqual(worker.requests.at(-1).messages.at(-1), { role: 'user', content: "It's $HOME `id`" });
  await visit.leave();
});

test('errors replace the answer: a missing model, a broken connection to the worker', async () => {
  worker.answer = (body, response, request) =>
    isPoet(body) ? void response.writeHead(200).end() : twoVoices(body, response, request);
  const visit = await bench.visit(bench.acme, addressOf());
  const { page } = visit;
  visit.expect(/status of (404|502)/);
  await send(visit, 'Hi');
  await side(visit, 'A').getByText('It is red').waitFor();
  await side(visit, 'B')
    .getByRole('alert')
    .getByText(/^Request/)
    .waitFor();
  await visit.checkAccess();
  worker.answer = twoVoices;
  await side(visit, 'B').getByRole('button', { name: 'Try again' }).click();
  await side(visit, 'B').getByText('Roses are red').waitFor();
  await page.getByLabel('Model A', { exact: true }).fill('ft:none');
  await send(visit, 'Hi again');
  await page.getByText("The model 'ft:none' does not exist.").waitFor();
  await visit.leave();
});

test('a viewer sees how to get access', async () => {
  const visit = await bench.visit(await bench.caller(bench.acme, 'viewer'), addressOf());
  await visit.page.getByRole('heading', { name: 'You cannot call models' }).waitFor();
  await visit.checkAccess();
  await visit.leave();
});

for (const width of [390, 1280, 2560])
  for (const scheme of ['light', 'dark'] as const)
    test(`the page fits at ${width} px, ${scheme}`, async () => {
      worker.answer = says(
        ...Array.from({ length: 60 }, (_, i) =>
          token(`${'word '.repeat(i % 9)}${'x'.repeat(i === 30 ? 300 : 0)}`),
        ),
        done(),
      );
      const visit = await bench.visit(bench.acme, addressOf(), { width, scheme });
      await visit.page.getByLabel('Model A', { exact: true }).waitFor();
      await visit.picture(`playground-empty-${width}-${scheme}`);
      await send(visit, `What is ${'very '.repeat(40)}${'long'.repeat(60)}?`);
      await side(visit, 'B').getByText('2 tokens').waitFor();
      await visit.checkAccess();
      await visit.picture(`playground-${width}-${scheme}`);
      await visit.leave();
    });
