import type { FastifyPluginAsync } from 'fastify';

interface Documented {
  paths?: Record<string, Record<string, { summary?: string }>>;
}

/** /llms.txt as in llmstxt.org: what a language model needs to use this API, with links to the rest. Needs no key. */
export const llmsTextRoutes: FastifyPluginAsync = async (app) => {
  // Built once from the document behind /docs, so that it contains every route.
  let text: string | null = null;
  app.get('/llms.txt', { schema: { hide: true } }, async (_request, reply) => {
    text ??= llmsText(app.swagger() as Documented);
    return await reply.type('text/plain; charset=utf-8').send(text);
  });
};

function llmsText({ paths = {} }: Documented): string {
  const endpoints = Object.entries(paths).flatMap(([path, operations]) =>
    Object.entries(operations).map(
      ([method, { summary }]) => `- \`${method.toUpperCase()} ${path}\`: ${summary ?? 'no summary'}`,
    ),
  );
  return `# Graft

> Fine-tunes language models with small adapters (PEFT) on your own machines, and serves completions from them. The API is
> compatible with OpenAI's for files, fine-tuning jobs, models and completions, so the official \`openai\` clients work with this server's /v1 as base URL.

- Every request under /v1 carries \`Authorization: Bearer graft_…\`.
- To train: \`POST /v1/files\` (multipart: purpose=fine-tune, file=JSONL of \`{"messages": […]}\` or another of \`formats\` in
  \`GET /v1/fine_tuning/options\`), then \`POST /v1/fine_tuning/jobs\` with \`model\` (a base model of \`GET /v1/models\`), \`training_file\`,
  and optionally \`peft\` and \`training\`. Poll the job until its status is
  succeeded, failed or cancelled; \`error\` has the reason for a failure. \`POST /v1/fine_tuning/estimates\` with the same
  \`model\`, \`training_file\`, \`peft\` and \`training\` estimates memory, steps and time, whether it fits, and which options
  would make it fit.
- To use it: \`POST /v1/chat/completions\` with the job's \`fine_tuned_model\` as \`model\`.
- Lists continue with \`after\` = \`last_id\` while \`has_more\` is true. Errors are \`{"error": {message, type, param, code}}\`; on 429 and 503,
  wait for the seconds in \`Retry-After\`.

## Documentation

- [OpenAPI 3.1](/docs/json): every route, parameter, response and error code
- [Interactive documentation](/docs)
- \`/docs/guide/\`: the guide, for people
- \`POST /v1/mcp\`: the Model Context Protocol, with routes of this API as tools

## Endpoints

${endpoints.join('\n')}
`;
}
