// Creating a job in the browser: with the form, as text, and from existing files, jobs and adapters.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setQuota } from '@graft/service/teams';
import { chatLine } from '../../apps/api/src/testing/open-api-bench.ts';
import { publishAdapter } from '../../apps/api/src/testing/publish-adapter.ts';
import { type BrowserBench, openBrowserBench, type Visit } from './browser-bench.ts';
import { unfold } from './visits.ts';

let bench: BrowserBench;
let file: string;
before(async () => {
  bench = await openBrowserBench();
  file = await bench.acme.upload(`${chatLine}\n`.repeat(20));
  // Starts the thread that reads files.
  await bench.acme.send('POST', '/v1/fine_tuning/checks', { model: 'tiny', training_file: file });
});
after(async () => await bench?.close());

const start = ({ page }: Visit) => page.getByRole('button', { name: /^Start/ });
const urlDraft = ({ page }: Visit) => JSON.parse(new URL(page.url()).searchParams.get('ask') ?? 'null');
const settled = async (visit: Visit) => {
  await visit.page.getByRole('heading', { name: 'Estimate' }).waitFor();
  await visit.page.locator('.estimate-panel[aria-busy=false]').waitFor();
};
const jobs = async () => (await bench.acme.send('GET', '/v1/fine_tuning/jobs')).json.data;
/** The created job, which the page opens. */
const createdJob = async (visit: Visit) => {
  await visit.page.waitForURL(/\/jobs\/ftjob-/);
  return (await bench.acme.send('GET', `/v1/fine_tuning/jobs/${visit.page.url().split('/').at(-1)}`)).json;
};

test('from a file: a short form shows the chosen values, and one click starts the job', async () => {
  const visit = await bench.visit(bench.acme, `/jobs/new?start=tiny&file=${file}`);
  const { page } = visit;
  await settled(visit);
  await page
    .getByText(/^LoRA with rank \d+, \d+ epochs \(for few examples.*learning rate 0\.\d+ \(.*\)\.$/)
    .waitFor();
  const height = await page.evaluate(() => document.documentElement.scrollHeight);
  assert.ok(height < 1_300, `the form is ${height} px tall`);
  assert.equal(await page.getByRole('radio', { name: /Prefix tuning/ }).isVisible(), false);
  assert.equal(await page.getByLabel(/^Hold out 10%/).isChecked(), true);
  await visit.checkAccess();
  await visit.picture('new-job');
  await unfold(visit.page, 'Training');
  assert.equal(await page.getByLabel('n_epochs').getAttribute('placeholder'), '6');
  await page.getByText('Chosen for few examples, which are seen more often.').waitFor();
  await page.getByText('No suitable worker is running').waitFor();
  await visit.checkAccess();
  await start(visit).click();
  const job = await createdJob(visit);
  assert.deepEqual([job.training_file, job.model, job.peft.peft_type], [file, 'tiny', 'LORA']);
  assert.equal(job.training.validation_split, 0.1);
  await visit.leave();
});

test('errors are shown at their fields while typing, and no job is created', async () => {
  const before = (await jobs()).length;
  const visit = await bench.visit(bench.acme, `/jobs/new?start=tiny&file=${file}`);
  const { page } = visit;
  await settled(visit);
  await unfold(visit.page, 'Adapter method', 'Training');
  await page.getByLabel('r', { exact: true }).fill('0');
  await page.getByLabel('n_epochs').fill('99');
  await page.getByRole('heading', { name: '2 problems' }).waitFor();
  for (const label of ['r', 'n_epochs'])
    assert.equal(await page.getByLabel(label, { exact: true }).getAttribute('aria-invalid'), 'true');
  await visit.checkAccess();
  await visit.picture('new-job-faults');
  // The button stays focusable, but does nothing.
  await start(visit).click({ force: true });
  await page.getByLabel('r', { exact: true }).fill('4');
  await page.getByLabel('n_epochs').fill('');
  await settled(visit);
  await page.getByLabel('Name', { exact: true }).fill('not a name');
  await page.getByRole('heading', { name: '1 problem' }).waitFor();
  assert.equal(await page.getByLabel('Name', { exact: true }).getAttribute('aria-invalid'), 'true');
  assert.equal((await jobs()).length, before);
  await visit.leave();
});

test('methods with recommendations, their options, the model’s modules, and a reload that loses nothing', async () => {
  const visit = await bench.visit(bench.acme, `/jobs/new?start=tiny&file=${file}`);
  const { page } = visit;
  await settled(visit);
  await unfold(visit.page, 'Adapter method', 'Training');
  await page.getByText('All methods').click();
  await page.getByText('Many tenants and few examples').waitFor();
  await page.getByRole('radio', { name: /Prefix tuning/ }).check();
  await page.getByLabel('num_virtual_tokens').fill('4');
  await settled(visit);
  await page.getByRole('radio', { name: /^LoRA/ }).check();
  const targets = page.getByRole('group', { name: 'Modules for target_modules' });
  await page.getByText('Select from the model’s modules').first().click();
  assert.equal(
    await targets.getByRole('button', { name: 'all-linear' }).getAttribute('aria-pressed'),
    'true',
  );
  await targets.getByRole('button', { name: 'q_proj' }).click();
  await targets.getByRole('button', { name: 'v_proj' }).click();
  assert.equal(await page.getByLabel('target_modules', { exact: true }).inputValue(), 'q_proj, v_proj');
  await page.getByLabel('lr_scheduler_type').selectOption('linear');
  await page.waitForFunction(() => location.search.includes('lr_scheduler_type'));
  const draft = urlDraft(visit);
  assert.deepEqual(draft.peft.target_modules, ['q_proj', 'v_proj']);
  assert.equal(draft.training.lr_scheduler_type, 'linear');
  await page.reload();
  await settled(visit);
  await unfold(visit.page, 'Adapter method');
  assert.equal(await page.getByLabel('target_modules', { exact: true }).inputValue(), 'q_proj, v_proj');
  assert.deepEqual(urlDraft(visit), draft);
  await page.getByLabel('target_modules', { exact: true }).fill('q_prj');
  await page
    .getByText(/q_prj.*matches no/)
    .first()
    .waitFor();
  await visit.leave();
});

test('the preview has the examples as the job would read them, and a faulty template at its field', async () => {
  const turn = (content: string) => [
    { role: 'user', content: 'why' },
    { role: 'assistant', content },
  ];
  const lines = [[...turn('one'), ...turn('two')], turn('long '.repeat(20))];
  const chats = await bench.acme.upload(lines.map((messages) => JSON.stringify({ messages })).join('\n'));
  for (const [width, scheme] of [
    [390, 'dark'],
    [1280, 'light'],
  ] as const) {
    const visit = await bench.visit(bench.acme, `/jobs/new?start=tiny&file=${chats}`, { width, scheme });
    const shown = visit.page.getByRole('region', { name: 'Preview', exact: true });
    // Opened by the line that cannot be read.
    await shown.getByRole('article').first().waitFor();
    await visit.checkAccess();
    await shown.evaluate((element) => element.scrollIntoView());
    await visit.picture(`new-job-preview-${width}-${scheme}`, 'window');
    await visit.leave();
  }
  const visit = await bench.visit(bench.acme, `/jobs/new?start=tiny&file=${chats}`);
  const { page } = visit;
  const preview = page.getByRole('region', { name: 'Preview', exact: true });
  const first = preview.getByRole('article').first();
  const trained = async (...texts: string[]) => {
    for (const end = performance.now() + 20_000; ; await page.waitForTimeout(100)) {
      const marked = await first
        .locator('mark .token')
        .allTextContents()
        .catch(() => []);
      if (marked.join('') === texts.join('')) return;
      assert.ok(performance.now() < end, `trained on ${marked.join('')}, not ${texts.join('')}`);
    }
  };
  // Longer than the model's context, which a job refuses unless it says otherwise.
  await preview.getByText('1 line cannot be read by this job').waitFor();
  await trained('one</s>', 'two</s>');
  await unfold(visit.page, 'Training');
  await page.getByText('More training options').click();
  await page.getByLabel('overlong').selectOption('skip');
  await preview.getByText('1 skipped as too long').waitFor();
  await page.getByLabel('train_on').selectOption('last_assistant');
  await trained('two</s>');
  await visit.checkAccess();
  await preview.evaluate((element) => element.scrollIntoView());
  await visit.picture('new-job-preview', 'window');
  const template = page.getByLabel('chat_template', { exact: true });
  await template.fill('{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}');
  await preview.getByText('of the job', { exact: true }).waitFor();
  await template.fill('{% if %}');
  await page.waitForFunction(() => document.querySelectorAll('[aria-invalid=true]').length === 1, undefined, {
    timeout: 20_000,
  });
  assert.equal(await template.getAttribute('aria-invalid'), 'true');
  await visit.checkAccess();
  // The last report stays while the job has problems.
  await template.fill('');
  await trained('two</s>');
  await visit.leave();
});

test('YAML and JSON show the same request, and invalid text is reported', async () => {
  const visit = await bench.visit(bench.acme, `/jobs/new?start=tiny&file=${file}&view=yaml`);
  const { page } = visit;
  const yaml = page.getByLabel('Request (YAML)');
  await yaml.waitFor();
  assert.match(await yaml.inputValue(), new RegExp(`training_file: ${file}`));
  await yaml.fill(`model: tiny\ntraining_file: ${file}\npeft:\n  peft_type: LORA\n  r: 2\nsuffix: bikes\n`);
  await settled(visit);
  await visit.checkAccess();
  await yaml.fill('model: [');
  await page.getByText(/Flow sequence/).waitFor();
  await yaml.fill('- a');
  await page.getByText('Must be an object').waitFor();
  await yaml.fill(`model: tiny\ntraining_file: ${file}\npeft:\n  peft_type: LORA\n  r: 2\nsuffix: bikes\n`);
  await page.getByText('JSON', { exact: true }).click();
  const json = page.getByLabel('Request (JSON)');
  assert.equal(JSON.parse(await json.inputValue()).peft.r, 2);
  await json.fill((await json.inputValue()).replace('"r": 2', '"rank": 2'));
  await page.getByText('is not an option of LORA').waitFor();
  await json.fill((await json.inputValue()).replace('"rank": 2', '"r": 3'));
  await page.getByText('Form', { exact: true }).click();
  assert.equal(await page.getByLabel('r', { exact: true }).inputValue(), '3');
  assert.equal(await page.getByLabel('Name', { exact: true }).inputValue(), 'bikes');
  await settled(visit);
  await start(visit).click();
  assert.deepEqual((await createdJob(visit)).peft.r, 3);
  await visit.leave();
});

describe('starting from existing resources', () => {
  test('another job, whose automatic options are automatic again', async () => {
    const before = await bench.acme.send('POST', '/v1/fine_tuning/jobs', {
      model: 'tiny',
      training_file: file,
      training: { n_epochs: 2 },
      metadata: { run: 'a=b' },
      suffix: 'first',
      seed: 7,
    });
    await bench.untilState(before.json.id, 'queued');
    const visit = await bench.visit(bench.acme, `/jobs/new?job=${before.json.id}`);
    const { page } = visit;
    await settled(visit);
    assert.equal(await page.getByLabel('n_epochs').inputValue(), '2');
    assert.equal(await page.getByLabel('batch_size', { exact: true }).inputValue(), '');
    assert.equal(await page.getByLabel('Metadata').inputValue(), 'run=a=b');
    await unfold(visit.page, 'Job details');
    await page.getByLabel('Seed', { exact: true }).fill('8');
    await settled(visit);
    await start(visit).click();
    const job = await createdJob(visit);
    assert.deepEqual(
      [job.seed, job.training.n_epochs, job.metadata, job.training.batch_size],
      [8, 2, { run: 'a=b' }, job.training.batch_size],
    );
    await visit.leave();

    const theirs = await bench.visit(bench.other, `/jobs/new?job=${before.json.id}`);
    theirs.expect(/status of 404/);
    await theirs.page.getByRole('heading', { name: 'Not found' }).waitFor();
    await theirs.leave();
  });

  test('an adapter, whose configuration is kept', async () => {
    const { version } = await publishAdapter(bench, bench.acme, 'base');
    const visit = await bench.visit(bench.acme, `/jobs/new?start=${version.modelName}&file=${file}`);
    await settled(visit);
    await unfold(visit.page, 'Adapter method');
    await visit.page.getByText('with the adapter’s configuration').waitFor();
    await visit.checkAccess();
    await start(visit).click();
    assert.equal((await createdJob(visit)).start_from, version.modelName);
    await visit.leave();
  });

  test('a wrong model: the error is shown before a file is uploaded', async () => {
    const files = async () => (await bench.acme.send('GET', '/v1/files?limit=1000')).json.data.length;
    const before = await files();
    const visit = await bench.visit(bench.acme, '/jobs/new?start=tinny');
    const { page } = visit;
    const upload = async () =>
      await page
        .locator('input[type=file]')
        .setInputFiles({ name: 'late.jsonl', mimeType: 'text/plain', buffer: Buffer.from(chatLine) });
    await page.locator('input[type=file]').waitFor({ state: 'attached' });
    await upload();
    await page.getByText("The file was not uploaded. The model 'tinny' does not exist.").waitFor();
    await page.getByRole('heading', { name: '1 problem' }).waitFor();
    const model = page.getByLabel('Model', { exact: true });
    assert.equal(await model.getAttribute('aria-invalid'), 'true');
    assert.equal(await files(), before);
    await visit.checkAccess();
    await visit.picture('new-job-wrong-model');
    await model.selectOption('tiny');
    await page.getByText('The file was not uploaded').waitFor({ state: 'detached' });
    await upload();
    await page.getByText('Ready · 1 example').waitFor();
    assert.equal(await files(), before + 1);
    await visit.leave();
  });

  test('nothing: a file is uploaded in the form', async () => {
    const visit = await bench.visit(bench.acme, '/jobs/new?start=tiny');
    const { page } = visit;
    await page.getByText('Choose a training file').waitFor();
    await page
      .locator('input[type=file]')
      .setInputFiles({ name: 'here.jsonl', mimeType: 'text/plain', buffer: Buffer.from(chatLine) });
    await settled(visit);
    assert.match(
      (await page.getByLabel('Training file').locator('option:checked').textContent())!,
      /here\.jsonl · 1 example/,
    );
    await visit.leave();
  });
});

test('tools in the data and none in the template: the template that adds them is offered', async () => {
  const call = { id: '1', type: 'function', function: { name: 'stock', arguments: '{"part":"tyre"}' } };
  const chat = {
    tools: [{ type: 'function', function: { name: 'stock', parameters: { type: 'object' } } }],
    messages: [
      { role: 'user', content: 'tyres' },
      { role: 'assistant', tool_calls: [call] },
    ],
  };
  const tools = await bench.acme.upload(`${JSON.stringify(chat)}\n`.repeat(4));
  const visit = await bench.visit(bench.acme, `/jobs/new?start=tiny&file=${tools}`, {
    width: 390,
    scheme: 'dark',
  });
  const { page } = visit;
  const offer = page.getByRole('button', { name: 'Add tools to the chat template' });
  await offer.waitFor();
  await visit.checkAccess();
  await visit.picture('new-job-tools-390-dark', 'window');
  await offer.click();
  await offer.waitFor({ state: 'detached' });
  await page.waitForFunction(() => location.search.includes('chat_template'));
  assert.equal(urlDraft(visit).training.chat_template, 'tools');
  await visit.leave();
});

test('a sweep shows the number of trials and what is missing', async () => {
  const visit = await bench.visit(bench.acme, `/jobs/new?start=tiny&file=${file}`);
  const { page } = visit;
  await settled(visit);
  await unfold(visit.page, 'Sweep');
  await page.getByLabel(/^Hold out/).uncheck();
  await page.getByText('Try several values').click();
  await page.getByLabel('learning_rate').last().fill('1e-4, 1e-3');
  await page
    .getByText(/needs validation data/)
    .first()
    .waitFor();
  await unfold(visit.page, 'Validation data');
  await page.getByLabel('validation_split').fill('0.2');
  await page.getByText('Hold out 20%').waitFor();
  await page.getByRole('button', { name: 'Start 2 trials' }).waitFor();
  await visit.checkAccess();
  await page.getByLabel('learning_rate').last().fill('');
  await page.getByText('makes one trial').first().waitFor();
  await visit.leave();
});

test('viewers cannot create jobs, and methods outside the quota are disabled', async () => {
  const visit = await bench.visit(await bench.caller(bench.acme, 'viewer'), '/jobs/new?start=tiny');
  await visit.page.getByRole('heading', { name: 'You have read-only access' }).waitFor();
  await visit.checkAccess();
  await visit.leave();

  await setQuota(bench.services, bench.other.teamId, { methods: ['IA3'] });
  const other = await bench.visit(bench.other, '/jobs/new?start=tiny');
  await unfold(other.page, 'Adapter method');
  await other.page.getByText('Not available to your team.').first().waitFor();
  assert.equal(await other.page.getByRole('radio', { name: /^LoRA/ }).isDisabled(), true);
  assert.equal(await other.page.getByRole('radio', { name: /IA/ }).isDisabled(), false);
  await other.leave();
});

test('an error on submission is shown at its field', async () => {
  const last = await bench.acme.upload(chatLine.replace('"b"', '"c"'));
  const visit = await bench.visit(bench.acme, `/jobs/new?start=tiny&file=${last}`);
  // The preview may ask for the deleted file, too.
  visit.expect(/status of 40[04]/);
  await settled(visit);
  await bench.acme.send('DELETE', `/v1/files/${last}`);
  await start(visit).click();
  await visit.page.getByRole('heading', { name: '1 problem' }).waitFor();
  await visit.page.getByText(`No such file: ${last}`).first().waitFor();
  await visit.leave();
});

test('the form fits at every width, in both schemes', async () => {
  for (const width of [390, 1280, 2560]) {
    for (const scheme of ['light', 'dark'] as const) {
      const visit = await bench.visit(bench.acme, `/jobs/new?start=tiny&file=${file}`, { width, scheme });
      await settled(visit);
      await visit.checkAccess();
      await visit.picture(`new-job-${width}-${scheme}`);
      await visit.leave();
    }
  }
});
