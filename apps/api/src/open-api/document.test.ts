/** The API's document: complete for every operation, with examples that match its schemas; and the client's types have its schemas. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { teamWideScopes } from '@graft/wire/lists';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { compiledFile, ensureCompiled } from '../../../../scripts/compile/compile.mjs';
import { type ApiBench, answerOf, openApiBench } from '../testing/open-api-bench.ts';
import { unknownValue } from './complete-document.ts';
import { type Answer, nameOf, type OpenApiDocument, type Operation } from './document.ts';
import { openAiCalls } from './python-samples.ts';

let bench: ApiBench;
let api: OpenApiDocument;
let operations: [name: string, operation: Operation & { 'x-graft-access'?: unknown }][];
before(async () => {
  bench = await openApiBench();
  api = (await answerOf(await fetch(`${bench.url}/docs/json`))).json;
  operations = Object.entries(api.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]): [string, Operation] => [
      `${method.toUpperCase()} ${path}`,
      operation,
    ]),
  );
});
after(async () => await bench?.close());

/** Resolves a reference to a shared response. */
function resolved(answer: Answer): Answer {
  return answer.$ref ? api.components.responses![nameOf(answer.$ref)]! : answer;
}

function headersOf(operation: Operation, status: string): string[] {
  const answer = operation.responses[status];
  assert.ok(answer, status);
  return Object.keys(resolved(answer).headers ?? {});
}

describe('every operation', () => {
  test('has a summary', () => {
    assert.ok(operations.length > 120);
    for (const [name, { summary }] of operations) assert.ok(summary, name);
  });

  test('has its error answers, and the headers that they carry', () => {
    for (const [name, operation] of operations) {
      const access = operation['x-graft-access'];
      assert.ok(headersOf(operation, '405').includes('Allow'), name);
      if (access === undefined) continue;
      for (const status of ['400', '408', '500'])
        assert.ok(headersOf(operation, status).includes('X-Request-Id'), name);
      for (const status of ['429', '503'])
        assert.ok(headersOf(operation, status).includes('Retry-After'), name);
      for (const status of access === 'public' ? [] : ['401', '403'])
        assert.ok(headersOf(operation, status).includes('WWW-Authenticate'), name);
      const hasId = operation.parameters?.some((parameter) => parameter.in === 'path');
      if (hasId) assert.ok('404' in operation.responses, name);
    }
    for (const [name, answer] of Object.entries(api.components.responses!)) {
      const { example } = answer.content!['application/json']!;
      assert.deepEqual(
        Object.keys((example as { error: object }).error),
        ['message', 'type', 'param', 'code'],
        name,
      );
      for (const header of Object.keys(answer.headers!)) assert.ok(header in api.components.headers!, header);
    }
  });

  test('has examples of what is sent and answered, which its schemas accept', () => {
    const ajv = new Ajv2020({ strict: false });
    ajv.addSchema({ $id: 'document', ...api } as object);
    const faults: string[] = [];
    for (const [name, operation] of operations) {
      const places = [operation.requestBody, ...Object.values(operation.responses)];
      for (const media of places.map((place) => place?.content?.['application/json'])) {
        if (!media) continue;
        const text = JSON.stringify(media.example);
        if (text === undefined || text.includes(unknownValue))
          faults.push(`${name} needs a value in example-values.ts: ${text}`);
        // References start at the root of the document.
        const schema = JSON.parse(JSON.stringify(media.schema).replaceAll('"#/', '"document#/'));
        if (!ajv.validate(schema, media.example)) faults.push(`${name}: ${ajv.errorsText()} in ${text}`);
      }
      const bodies = Object.keys(operation.requestBody?.content ?? {});
      for (const type of bodies) assert.match(type, /^(application\/json|multipart\/form-data)$/, name);
    }
    assert.deepEqual(faults, []);
  });

  test('has an example in Python, which is Python', () => {
    const samples = operations.map(([name, operation]) => {
      const sample = operation['x-codeSamples']?.[0];
      assert.equal(sample?.lang, 'python', name);
      assert.ok(operation.description?.includes(sample.source), name);
      return sample.source;
    });
    const check = 'import ast, json, sys\nfor text in json.load(sys.stdin): ast.parse(text)';
    const python = spawnSync('python3', ['-c', check], { input: JSON.stringify(samples), encoding: 'utf8' });
    assert.equal(python.status, 0, python.error?.message ?? python.stderr);
    const names = new Set(operations.map(([name]) => name));
    for (const name of Object.keys(openAiCalls)) assert.ok(names.has(name), name);
  });

  test('of a scope in the list touches all models of the team', () => {
    const uses = new Map<string, Set<string>>();
    for (const [, { 'x-graft-access': access }] of operations) {
      const { scope, models } = (access ?? {}) as { scope?: string; models?: string };
      if (scope) uses.set(scope, (uses.get(scope) ?? new Set()).add(models!));
    }
    const all = [...uses]
      .filter(([, models]) => models.size === 1 && models.has('all'))
      .map(([scope]) => scope);
    assert.deepEqual(all.sort(), [...teamWideScopes].sort());
  });

  test('says what may be left out of a query string', () => {
    for (const [name, { parameters = [] }] of operations)
      for (const { name: parameter, required, schema } of parameters)
        assert.ok(!required || schema?.default === undefined, `${name} ${parameter}`);
  });
});

const packages = path.join(import.meta.dirname, '../../../../packages');
const wireTypes = path.join(packages, 'wire/src/types.ts');

/** For browsers, agents and load balancers; who they are at a provider, people see on the pages. */
const notInTheClient = [
  'GET /healthz',
  'GET /readyz',
  'POST /v1/mcp',
  'GET /v1/sign-in',
  'GET /v1/sign-in/callback',
  'GET /v1/me/identities',
  'DELETE /v1/me/identities/{identity_id}',
  'GET /v1/invitations/accept',
];

describe('the client', () => {
  test('has the type of every named schema', async () => {
    const declared = (await readFile(wireTypes, 'utf8')).matchAll(/^export (?:interface|type) (\w+)/gm);
    const names = [...declared].map(([, name]) => name).filter((name) => name !== 'Queries');
    assert.deepEqual(names.sort(), Object.keys(api.components.schemas).sort());
  });

  test('knows the query parameters of every operation', async () => {
    const text = (await readFile(wireTypes, 'utf8')).replace(/\s+/g, ' ');
    const modules = new Map(
      Array.from(text.matchAll(/import type \* as (\w+) from '\.\/(.*?)'/g), ([, alias, file]) => [
        alias,
        file,
      ]),
    );
    const typed: Record<string, string[]> = {};
    const root = path.dirname(packages);
    const compiled = await ensureCompiled(root);
    for (const [, name, alias, schema] of text.matchAll(/'(\w+ \/v1[^']*)': Asked<\s?typeof (\w+)\.(\w+)/g)) {
      const module = await import(
        compiledFile(compiled, root, path.join('packages/wire/src', modules.get(alias!)!))
      );
      typed[name!] = Object.keys(module[schema!].properties).sort();
    }
    const asked = operations.flatMap(([name, { parameters = [] }]) => {
      const query = parameters
        .filter((parameter) => parameter.in === 'query')
        .map((parameter) => parameter.name);
      return query.length === 0 ? [] : [[name, query.sort()] as const];
    });
    assert.deepEqual(typed, Object.fromEntries(asked));
  });

  test('calls operations by their names, with the types of their bodies and answers', async () => {
    const folder = path.join(packages, 'client/src');
    const files = (await readdir(folder, { recursive: true })).filter((file) =>
      /(?<!\.test)\.ts$/.test(file),
    );
    const texts = await Promise.all(files.map((file) => readFile(path.join(folder, file), 'utf8')));
    const text = texts.join(' ').replace(/\s+/g, ' ');
    const called = new Set(
      Array.from(text.matchAll(/'((?:GET|POST|DELETE) \/v1[^']*)'/g), ([, name]) => name!),
    );
    const known = new Map(operations);
    const uncalled = [...known.keys()].filter((name) => !called.has(name));
    assert.deepEqual(uncalled, notInTheClient);
    assert.deepEqual(
      [...called].filter((name) => !known.has(name)),
      [],
    );

    const faults: string[] = [];
    let compared = 0;
    const calls = /this\.(\w+)\( ?'([^']*)', (json|dataOf)<Wire\.(\w+)[^>]*>(?:, (.*?))?,? ?\)[;,( ]/g;
    for (const [, kind, name, reader, answer, encoder] of text.matchAll(calls)) {
      const { responses, requestBody } = known.get(name!)!;
      const schema = responses['200']?.content?.['application/json']?.schema;
      const isList = schema?.$ref === undefined && (kind === 'pages' || reader === 'dataOf');
      const answered = (isList ? schema?.properties?.data?.items : schema)?.$ref;
      if (answered === undefined || nameOf(answered) !== answer) faults.push(`${name} answers ${answered}`);
      const taken = requestBody?.content?.['application/json']?.schema?.$ref;
      const body = /<(?:Partial<)?Wire\.(\w+)|: Wire\.(\w+) =>/.exec(encoder ?? '');
      if (body && nameOf(taken ?? '') !== (body[1] ?? body[2])) faults.push(`${name} takes ${taken}`);
      if ((taken === undefined) === (name!.startsWith('POST') && Boolean(encoder)))
        faults.push(`${name} takes ${taken ?? 'no body'}`);
      compared++;
    }
    assert.deepEqual(faults, []);
    assert.equal(compared, text.match(/this\.(call|once|keyed|ask|pages)\( ?'/g)!.length);
  });
});
