import type { HostileContext, HostileRequest } from './request.ts';

/** Ids that do not exist, as path segments. */
const ids = [
  '%00',
  'a%00b',
  '%ED%A0%80',
  '%C0%AF',
  '%',
  '%zz',
  '..%2f..%2fetc',
  'x'.repeat(600),
  '%F0%9F%92%A9',
  "'%20OR%201=1",
];

const numbers = [
  '0',
  '-1',
  '1e400',
  '-1e400',
  'NaN',
  'Infinity',
  '1.5',
  '0x10',
  '99999999999999999999',
  'x',
  '%00',
  '',
];

/** Invalid paths, methods, queries and headers. */
export function hostileUrls({ jobId }: HostileContext): HostileRequest[] {
  const job = `/v1/fine_tuning/jobs/${jobId}`;
  const get = (path: string, field: string | null = null, headers = {}): HostileRequest => ({
    name: `GET ${path.slice(0, 80)}`,
    method: 'GET',
    path,
    headers,
    body: null,
    field,
  });
  const lists = [
    '/v1/files',
    '/v1/uploads',
    '/v1/fine_tuning/jobs',
    `${job}/events`,
    `${job}/checkpoints`,
    '/v1/adapters',
    '/v1/models',
  ];
  const places = [
    '/v1/files/ID',
    '/v1/files/ID/content',
    '/v1/files/ID/report',
    '/v1/uploads/ID',
    '/v1/uploads/ID/parts',
    '/v1/fine_tuning/jobs/ID',
    '/v1/fine_tuning/jobs/ID/events',
    '/v1/models/ID',
    '/v1/adapters/ID',
    '/v1/adapters/ID/versions',
    '/v1/adapters/ID/versions/1',
    '/v1/adapters/x/versions/ID/download',
  ];
  return [
    ...places.flatMap((place) => ids.map((id) => get(place.replace('ID', id)))),
    ...[...lists, `${job}/metrics`].flatMap((list) => numbers.map((n) => get(`${list}?limit=${n}`, 'limit'))),
    ...lists.flatMap((list) =>
      ['%00', 'none', '%EF%BF%BE', 'x'.repeat(600)].map((id) => get(`${list}?after=${id}`, 'after')),
    ),
    ...['-1', '2147483648', '1e400', '1e30', 'NaN', 'x', '1.5'].flatMap((n) => [
      get(`${job}/metrics?after_step=${n}`, 'after_step'),
      get(`/v1/adapters/x/versions/${n}`),
    ]),
    ...['0', '2001', '1e400', 'x'].map((n) => get(`${job}/metrics?resolution=${n}`, 'resolution')),
    ...[...lists, `${job}/metrics`].flatMap((list) => [
      get(`${list}?nonsense=1`, 'nonsense'),
      get(`${list}?limit=1&limit=2`, 'limit'),
      get(`${list}?__proto__=1`, '__proto__'),
    ]),
    get('/v1/fine_tuning/jobs?metadata[k]=%00', 'metadata'),
    get('/v1/fine_tuning/jobs?metadata[%00]=v', 'metadata'),
    get('/v1/fine_tuning/jobs?metadata[a]=1&metadata[a]=2', 'metadata'),
    get(`${job}/events?stream=maybe`, 'stream'),
    get('/v1/files?order=up', 'order'),
    get(`/v1/${'a/'.repeat(2000)}`),
    get('/v1//files'),
    get('/v1/files/'),
    ...['PUT', 'PATCH', 'TRACE', 'PROPFIND', 'SEARCH'].map((method) => ({
      ...get('/v1/files'),
      name: method,
      method,
    })),
    ...[
      'Bearer',
      'Bearer x',
      'Basic eDp5',
      'Bearer graft_aaaaaaaa_',
      `Bearer graft_${'a'.repeat(9000)}`,
      'Bearer graft_%00%00%00%00_aaaaaaaaaaaaaaaaaaaaaaaa',
      `Bearer graft_aaaaaaaa_${'é'.repeat(24)}`,
    ].map((authorization, i) => ({ ...get('/v1/files', null, { authorization }), name: `key #${i}` })),
    ...['', 'k'.repeat(256)].map((key, i) => ({
      ...get('/v1/fine_tuning/jobs', 'idempotency-key', {
        'content-type': 'application/json',
        'idempotency-key': key,
      }),
      name: `idempotency key #${i}`,
      method: 'POST',
      body: '{"model":"x","training_file":"y"}',
    })),
  ];
}
