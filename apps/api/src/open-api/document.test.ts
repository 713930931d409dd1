/** The API's document: complete for every operation, with examples that match its schemas; and the client's types have its schemas. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { type ApiBench, answerOf, openApiBench } from '../testing/open-api-bench.ts';
import { type Answer, nameOf, type OpenApiDocument, type Operation } from './document.ts';
import { unknownValue } from './examples.ts';
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

  test('says what may be left out of a query string', () => {
    for (const [name, { parameters = [] }] of operations)
      for (const { name: parameter, required, schema } of parameters)
        assert.ok(!required || schema?.default === undefined, `${name} ${parameter}`);
  });
});

test("the client's types have every named schema", async () => {
  const file = path.join(import.meta.dirname, '../../../../packages/wire/src/types.ts');
  const declared = (await readFile(file, 'utf8')).matchAll(/^export (?:interface|type) (\w+)/gm);
  const names = [...declared].map(([, name]) => name).filter((name) => name !== 'Queries');
  assert.deepEqual(names.sort(), Object.keys(api.components.schemas).sort());
});
