/** The endpoints in OpenAI's specification of the resources that Graft implements; Graft need not have all of them. */
const openAiEndpoints = [
  'POST /v1/files',
  'GET /v1/files',
  'GET /v1/files/{id}',
  'DELETE /v1/files/{id}',
  'GET /v1/files/{id}/content',
  'POST /v1/uploads',
  'POST /v1/uploads/{id}/parts',
  'POST /v1/uploads/{id}/complete',
  'POST /v1/uploads/{id}/cancel',
  'POST /v1/fine_tuning/jobs',
  'GET /v1/fine_tuning/jobs',
  'GET /v1/fine_tuning/jobs/{id}',
  'POST /v1/fine_tuning/jobs/{id}/cancel',
  'POST /v1/fine_tuning/jobs/{id}/pause',
  'POST /v1/fine_tuning/jobs/{id}/resume',
  'GET /v1/fine_tuning/jobs/{id}/events',
  'GET /v1/fine_tuning/jobs/{id}/checkpoints',
  'GET /v1/models',
  'GET /v1/models/{id}',
  'DELETE /v1/models/{id}',
  'POST /v1/chat/completions',
  'POST /v1/completions',
  'POST /v1/embeddings',
  'POST /v1/responses',
  'POST /v1/moderations',
  'POST /v1/batches',
  'GET /v1/batches',
];

/** `METHOD /path` with all parameters renamed to `{id}`. */
const alike = (route: string): string => route.replaceAll(/\{\w+\}/g, '{id}');

/** The endpoints that this Graft shares with OpenAI, from the routes of its OpenAPI document. */
export function sharedEndpoints(routes: string[]): string[] {
  const had = new Set(routes.map(alike));
  return openAiEndpoints.filter((endpoint) => had.has(endpoint));
}

/** The endpoints that were not called. */
export function neverCalled(endpoints: string[], requests: [method: string, path: string][]): string[] {
  return endpoints.filter((endpoint) => {
    const pattern = new RegExp(`^${endpoint.replaceAll('{id}', '[^/]+')}$`);
    return !requests.some(([method, path]) => pattern.test(`${method} ${path}`));
  });
}
