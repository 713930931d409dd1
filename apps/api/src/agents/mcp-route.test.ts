/** Tests with the official client of the Model Context Protocol, over HTTP. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Client } from '@modelcontextprotocol/client';
import { callTool as call, connectAgent } from '../testing/agent.ts';
import { type ApiBench, type Caller, chatLine, openApiBench } from '../testing/open-api-bench.ts';
import { storeAdapter } from '../testing/store-adapter.ts';
import { writeNextExport } from '../testing/write-export.ts';

let bench: ApiBench;
before(async () => {
  bench = await openApiBench();
});
after(async () => await bench.close());

const connect = async (caller: Pick<Caller, 'key'>) => await connectAgent(bench.url, caller.key);

const namesOf = async (client: Client) => (await client.listTools()).tools.map(({ name }) => name).sort();

describe('the endpoint for agents', () => {
  test('lists tools whose arguments are those of the routes', async () => {
    const client = await connect(bench.acme);
    const { tools } = await client.listTools();
    assert.ok(JSON.stringify(tools).length < 64_000, `${JSON.stringify(tools).length} characters`);
    assert.ok(!JSON.stringify(tools).includes('$ref'));
    const create = tools.find(({ name }) => name === 'create_fine_tuning_job')!;
    assert.deepEqual(create.inputSchema.required, ['model']);
    assert.ok('peft' in create.inputSchema.properties!);
    // Arguments that both tools share are described once.
    const estimate = tools.find(({ name }) => name === 'estimate_fine_tuning_job')!;
    for (const argument of ['method', 'peft', 'training', 'sweep']) {
      assert.ok(argument in create.inputSchema.properties!, argument);
      const short = { type: 'object', description: 'Same as in create_fine_tuning_job.' };
      assert.deepEqual(estimate.inputSchema.properties![argument], short);
    }
    const cancel = tools.find(({ name }) => name === 'cancel_fine_tuning_job')!;
    assert.deepEqual(Object.keys(cancel.inputSchema.properties!), ['fine_tuning_job_id']);
    assert.deepEqual(cancel.annotations, {
      title: 'Cancel a job',
      readOnlyHint: false,
      destructiveHint: true,
    });
    assert.match(client.getInstructions()!, /create_fine_tuning_job/);
    await client.close();
  });

  test('uploads data, creates a job, follows, lists and cancels it', async () => {
    const client = await connect(bench.acme);
    const models = await call(client, 'list_models');
    assert.ok(models.json, models.text);
    assert.ok(models.json.data.some(({ id }: { id: string }) => id === 'tiny'));
    const file = await call(client, 'upload_training_data', { jsonl: `${chatLine}\n${chatLine}\n` });
    assert.equal(file.json.object, 'file');
    const created = await call(client, 'create_fine_tuning_job', {
      model: 'tiny',
      training_file: file.json.id,
      peft: { peft_type: 'LORA', r: 2 },
      metadata: { made: 'by an agent' },
    });
    assert.ok(!created.isError, created.text);
    const { id } = created.json;
    await bench.untilState(id, 'queued');
    const waited = await call(client, 'wait_for_fine_tuning_job', { fine_tuning_job_id: id, seconds: 1 });
    assert.deepEqual([waited.json.id, waited.json.status], [id, 'queued']);
    const events = await call(client, 'list_fine_tuning_events', { fine_tuning_job_id: id, limit: 5 });
    assert.match(events.text, /Created fine-tuning job/);
    const listed = await call(client, 'list_fine_tuning_jobs', { limit: 1 });
    assert.equal(listed.json.data[0].id, id);
    const cancelled = await call(client, 'cancel_fine_tuning_job', { fine_tuning_job_id: id });
    assert.equal(cancelled.json.status, 'cancelled');
    const over = await call(client, 'wait_for_fine_tuning_job', { fine_tuning_job_id: id, seconds: 50 });
    assert.equal(over.json.status, 'cancelled');
    await client.close();

    // Other routes see the job too, and other teams do not.
    assert.equal((await bench.acme.send('GET', `/v1/fine_tuning/jobs/${id}`)).status, 200);
    const stranger = await connect(bench.other);
    for (const name of ['get_fine_tuning_job', 'wait_for_fine_tuning_job', 'cancel_fine_tuning_job']) {
      const refused = await call(stranger, name, { fine_tuning_job_id: id });
      assert.ok(refused.isError && refused.json.error.code === 'job_not_found', refused.text);
    }
    await stranger.close();
  });

  test('as much data as the tool describes is accepted, although JSON escapes its quotation marks', async () => {
    const client = await connect(bench.acme);
    const { tools } = await client.listTools();
    const { jsonl } = tools.find(({ name }) => name === 'upload_training_data')!.inputSchema.properties!;
    const { maxLength } = jsonl as { maxLength: number };
    const line = '{"prompt":"a","completion":"b"}\n';
    const most = line.repeat(Math.floor(maxLength / line.length));
    const file = await call(client, 'upload_training_data', { jsonl: most });
    assert.deepEqual(
      [file.isError ?? false, file.json?.bytes],
      [false, most.length],
      file.text.slice(0, 300),
    );
    await client.close();
  });

  test('a key sees and may use what its role and its scopes allow', async () => {
    const viewer = await connect(await bench.caller(bench.acme, 'viewer'));
    const seen = await namesOf(viewer);
    assert.ok(seen.includes('get_fine_tuning_job') && !seen.includes('create_fine_tuning_job'));
    const refused = await call(viewer, 'upload_training_data', { jsonl: chatLine });
    assert.deepEqual([refused.isError, refused.json.error.code], [true, 'insufficient_role']);
    await viewer.close();
    const reader = await connect(await bench.caller(bench.acme, 'member', { scopes: ['files:read'] }));
    assert.deepEqual(await namesOf(reader), ['get_file_report', 'list_files']);
    await reader.close();
    const operator = await connect(await bench.operator());
    assert.deepEqual(await namesOf(operator), []);
    assert.equal((await call(operator, 'list_files')).json.error.code, 'team_key_required');
    await operator.close();
  });

  test('creates, lists and follows exports, within its team and its scopes', async () => {
    const { adapterId, number } = await storeAdapter(bench, bench.acme, 'poet');
    const version = { adapter_id: adapterId, version: number };
    const client = await connect(bench.acme);
    const formats = await call(client, 'list_export_formats', version);
    assert.ok(
      formats.json.data.some(({ name }: { name: string }) => name === 'peft'),
      formats.text,
    );
    const created = await call(client, 'create_export', { ...version, format: 'peft', keep: true });
    assert.deepEqual([created.isError, created.json.status, created.json.keep], [false, 'queued', true]);
    const { id } = created.json;
    // The same request gives the same export.
    assert.equal((await call(client, 'create_export', { ...version, format: 'peft' })).json.id, id);
    const listed = await call(client, 'list_exports', { ...version, limit: 5 });
    assert.deepEqual(
      listed.json.data.map((each: { id: string }) => each.id),
      [id],
    );
    await writeNextExport(bench, { 'adapter_model.safetensors': 'weights' });
    const written = await call(client, 'get_export', { ...version, export_id: id });
    assert.deepEqual([written.json.status, written.json.files.length], ['succeeded', 1]);
    const options = { pad_rank: 'many' };
    const wrong = await call(client, 'create_export', { ...version, format: 'peft', options });
    assert.deepEqual([wrong.isError, wrong.json.error.param], [true, 'options.pad_rank']);
    await client.close();

    const stranger = await connect(bench.other);
    for (const [name, more] of [
      ['list_export_formats', {}],
      ['create_export', { format: 'peft' }],
      ['list_exports', {}],
      ['get_export', { export_id: id }],
    ] as const) {
      const refused = await call(stranger, name, { ...version, ...more });
      assert.deepEqual([refused.isError, refused.json.error.code], [true, 'adapter_not_found'], name);
    }
    await stranger.close();
    const scopes = ['adapters:read'] as const;
    const reader = await connect(await bench.caller(bench.acme, 'member', { scopes: [...scopes] }));
    assert.deepEqual(await namesOf(reader), [
      'get_export',
      'list_adapters',
      'list_export_formats',
      'list_exports',
    ]);
    const refused = await call(reader, 'create_export', { ...version, format: 'merged' });
    assert.deepEqual([refused.isError, refused.json.error.code], [true, 'insufficient_scope']);
    await reader.close();
    const limited = await connect(await bench.caller(bench.acme, 'member', { models: ['ft:tiny:acme:x:*'] }));
    for (const [name, more] of [
      ['get_export', { export_id: id }],
      ['create_export', { format: 'peft' }],
    ] as const)
      assert.ok((await call(limited, name, { ...version, ...more })).isError, name);
    await limited.close();
  });

  test('what is wrong is said, and nothing is done', async () => {
    const client = await connect(bench.acme);
    const missing = await call(client, 'create_fine_tuning_job', { model: 'tiny' });
    assert.ok(missing.isError && /training_file/.test(missing.text), missing.text);
    const unknown = await call(client, 'get_fine_tuning_job', { fine_tuning_job_id: '../files' });
    assert.ok(unknown.isError, unknown.text);
    const option = await call(client, 'create_fine_tuning_job', {
      model: 'tiny',
      training_file: await bench.acme.upload(chatLine),
      peft: { peft_type: 'LORA', r: -1 },
    });
    assert.deepEqual([option.isError, option.json.error.param], [true, 'peft.r']);
    assert.ok((await call(client, 'no_such_tool')).isError);
    await client.close();
    await assert.rejects(connect({ key: 'graft_wrong_key' }));
    const get = await bench.acme.send('GET', '/v1/mcp');
    assert.deepEqual([get.status, get.headers.get('allow')], [405, 'POST, OPTIONS']);
    const listen = { jsonrpc: '2.0', id: 1, method: 'subscriptions/listen', params: {} };
    for (const body of [{}, { jsonrpc: '2.0', id: 1, method: 'x' }, { jsonrpc: '2.0', method: [] }, listen]) {
      const answer = await bench.acme.send('POST', '/v1/mcp', body, {
        accept: 'application/json, text/event-stream',
      });
      assert.ok(answer.status < 500, answer.text);
    }
  });
});
