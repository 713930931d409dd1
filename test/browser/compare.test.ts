/** Comparison of several jobs: curves, differences, final metrics and exports. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { type BrowserBench, openBrowserBench, type Visit } from './browser-bench.ts';
import { seedJobs } from './seed/jobs.ts';

let bench: BrowserBench;
let ids: string[];
before(async () => {
  bench = await openBrowserBench();
  ids = await seedJobs(bench, [
    { status: 'succeeded', suffix: 'first', steps: 300 },
    { status: 'failed', suffix: 'second', steps: 120, peft: { r: 64 } },
    { status: 'succeeded', suffix: '=second', steps: 80 },
  ]);
});
after(async () => await bench?.close());

async function download({ page }: Visit, button: string): Promise<Buffer> {
  const downloading = page.waitForEvent('download');
  await page.getByRole('button', { name: button, exact: true }).click();
  return await readFile(await (await downloading).path());
}

test('jobs selected in the list are compared, with their differences', async () => {
  const visit = await bench.visit(bench.acme, '/jobs');
  const { page } = visit;
  await page.getByLabel('Compare first').check();
  await page.getByLabel('Compare second', { exact: true }).check();
  await page.getByRole('link', { name: 'Compare 2' }).click();
  await page.getByRole('img', { name: /^Training loss: first from .*; second from / }).waitFor();
  await page.getByRole('img', { name: /^Evaluation loss: first from / }).waitFor();
  const rank = page.getByRole('row').filter({ has: page.getByRole('rowheader', { name: 'r', exact: true }) });
  await rank.waitFor();
  assert.deepEqual(await rank.locator('td').allInnerTexts(), ['16', '64']);
  await visit.checkAccess();
  await visit.picture('compare');

  await page.getByLabel('Add job').selectOption(ids[2]!);
  await page.waitForURL(new RegExp(ids[2]!));
  await page
    .getByRole('img', { name: /=second from/ })
    .first()
    .waitFor();
  await page.getByRole('button', { name: 'Remove first' }).click();
  await page.reload();
  await page.getByRole('img', { name: /^Training loss: second from .*; =second from / }).waitFor();
  assert.equal(await page.getByRole('link', { name: 'first', exact: true }).count(), 0);
  await visit.leave();
});

test('files are compared by their bytes, and shown by their names', async () => {
  const { acme } = bench;
  const line = (answer: string) => `{"prompt": "a", "completion": "${answer}"}\n`;
  const job = async (content: string, name: string) => {
    const training_file = await acme.upload(content, name);
    return (
      await acme.send('POST', '/v1/fine_tuning/jobs', { model: 'tiny', training_file, suffix: 'of-files' })
    ).json.id as string;
  };
  const [one, copy, other] = [
    await job(line('b'), 'one.jsonl'),
    await job(line('b'), 'copy.jsonl'),
    await job(line('c'), 'other.jsonl'),
  ];
  const visit = await bench.visit(acme, `/compare?jobs=${one},${copy}`);
  const { page } = visit;
  await page.getByText('None: the jobs have the same').waitFor();
  await page.goto(`/compare?jobs=${one},${other}`);
  const row = page.getByRole('row').filter({ has: page.getByRole('rowheader', { name: 'training_file' }) });
  await row.getByText('one.jsonl').waitFor();
  assert.deepEqual(await row.locator('td').allInnerTexts(), ['one.jsonl', 'other.jsonl']);
  await visit.checkAccess();
  await visit.leave();
});

test('curves are exported as PNG, SVG and CSV', async () => {
  const visit = await bench.visit(bench.acme, `/compare?jobs=${ids.join()}`);
  await visit.page.getByRole('img', { name: /^Training loss: first from / }).waitFor();
  const png = await download(visit, 'PNG');
  assert.deepEqual([...png.subarray(1, 4)].map((byte) => String.fromCharCode(byte)).join(''), 'PNG');
  assert.deepEqual([png.readUInt32BE(16), png.readUInt32BE(20)], [1920, 960]);
  const svg = (await download(visit, 'SVG')).toString();
  assert.equal(svg.match(/<polyline/g)?.length, 3);
  assert.match(svg, />Training loss<.*[\s\S]*>first</);
  const csv = (await download(visit, 'CSV')).toString().trim().split('\n');
  assert.equal(csv[0], 'job,name,kind,step,epoch,loss,token_accuracy,learning_rate,grad_norm');
  assert.equal(csv.filter((line) => line.startsWith(`${ids[1]},second,train,`)).length, 120);
  assert.ok(
    csv.some((line) => line.includes(",'=second,")),
    'no formula for a spreadsheet',
  );
  await visit.leave();
});

test('no jobs, an unknown job and too many jobs', async () => {
  const empty = await bench.visit(bench.acme, '/compare');
  await empty.page.getByRole('heading', { name: 'Choose jobs to compare' }).waitFor();
  await empty.checkAccess();
  await empty.leave();

  const unknown = await bench.visit(bench.acme, `/compare?jobs=${ids[0]},ftjob-nobodys`);
  unknown.expect(/status of 404/);
  await unknown.page.getByText(/No such fine-tuning job/).waitFor();
  await unknown.page.getByRole('button', { name: 'Remove', exact: true }).click();
  await unknown.page.getByText(/No such fine-tuning job/).waitFor({ state: 'detached' });
  await unknown.page.getByRole('img', { name: /^Training loss: first/ }).waitFor();
  await unknown.leave();

  const many = await bench.visit(bench.acme, `/compare?jobs=${[...ids, ...Array(50).fill(ids[0])].join()}`);
  await many.page.getByRole('img', { name: /^Training loss: first/ }).waitFor();
  await many.leave();

  const other = await bench.visit(bench.other, `/compare?jobs=${ids[0]}`);
  other.expect(/status of 404/);
  await other.page.getByText(/No such fine-tuning job/).waitFor();
  await other.leave();
});

for (const [width, scheme] of [
  [390, 'dark'],
  [2560, 'light'],
] as const) {
  test(`the comparison fits at ${width} px, ${scheme}`, async () => {
    const visit = await bench.visit(bench.acme, `/compare?jobs=${ids.join()}`, { width, scheme });
    await visit.page.getByRole('img', { name: /^Training loss: first/ }).waitFor();
    await visit.checkAccess();
    await visit.picture(`compare-${width}-${scheme}`);
    await visit.leave();
  });
}
