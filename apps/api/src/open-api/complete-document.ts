import type { Access } from '../access/access.ts';
import { edgeStatuses, errorAnswer, errorAnswers, headers, headersNamed, headersOfAll } from './answers.ts';
import type { Answer, OpenApiDocument, Operation } from './document.ts';
import { createExamples } from './examples.ts';
import { pythonSample } from './python-samples.ts';

type Told = Operation & { 'x-graft-access'?: Access };

/**
 * Adds what all operations share, so that routes need not repeat it: common error responses, headers, examples of request and response,
 * and a Python sample. Called once, when the document is first read.
 */
export function completeDocument(document: OpenApiDocument): OpenApiDocument {
  const { components, paths } = document;
  components.headers = headers;
  components.responses = errorAnswers();
  const examples = createExamples(document);
  for (const [path, operations] of Object.entries(paths)) {
    for (const [method, operation] of Object.entries(operations)) {
      for (const parameter of operation.parameters ?? []) {
        if (parameter.schema?.type === 'object')
          Object.assign(parameter, { style: 'deepObject', explode: true });
        // Validation fills in the default.
        if (parameter.schema?.default !== undefined) parameter.required = false;
      }
      const sent = operation.requestBody?.content['application/json'];
      if (sent?.schema) sent.example ??= examples.requestExample(sent.schema);
      completeAnswers(operation, path, method);
      for (const { content } of Object.values(operation.responses)) {
        const answered = content?.['application/json'];
        if (answered?.schema) answered.example ??= examples.responseExample(answered.schema);
      }
      const sample = pythonSample(`${method.toUpperCase()} ${path}`, operation);
      operation['x-codeSamples'] = [{ lang: 'python', ...sample }];
      // The page at /docs does not show x-codeSamples.
      const paragraphs = operation.description ? [operation.description] : [];
      operation.description = [...paragraphs, `\`\`\`python\n${sample.source}\`\`\``].join('\n\n');
    }
  }
  return document;
}

function completeAnswers(operation: Told, path: string, method: string): void {
  const own = operation.responses;
  const edge = edgeStatuses(operation['x-graft-access'], operation.requestBody !== undefined);
  const all: Record<string, Answer> = Object.fromEntries(
    edge.map((status) => [status, errorAnswer(String(status))!]),
  );
  const isApi = path.startsWith('/v1/');
  for (const [status, answer] of Object.entries(own)) {
    const isError = answer.content?.['application/json']?.schema?.$ref === '#/components/schemas/Error';
    const shared = isError ? errorAnswer(status) : undefined;
    if (shared) {
      all[status] = shared;
      continue;
    }
    const isPart = status === '206';
    const isDownload = '206' in own && Number(status) < 300;
    const names = [
      ...(isApi ? headersOfAll : ['X-Request-Id']),
      ...(method === 'get' && ['200', '206', '304'].includes(status) ? ['ETag'] : []),
      ...(isDownload ? ['Repr-Digest', 'X-Content-SHA256'] : []),
      ...(isPart ? ['Content-Range'] : []),
      ...(status === '302' ? ['Location'] : []),
      ...(status === '503' ? ['Retry-After'] : []),
    ];
    all[status] = {
      ...answer,
      description: described(answer),
      headers: { ...answer.headers, ...headersNamed(...names) },
    };
  }
  operation.responses = all;
}

/** The description that the plugin writes if a schema has none. */
const nothingSaid = 'Default Response';

function described({ description = nothingSaid }: Answer): string {
  return description === nothingSaid ? 'Successful response.' : description;
}
