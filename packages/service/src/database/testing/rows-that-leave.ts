import { at, hmac, later, type Named, type Own, type Row } from './row-values.ts';

/** Rows of what a team sends elsewhere, and of the records of its actions. */
export function* whatLeaves(id: Named, own: Own): Generator<[string, Row]> {
  const { team_id } = own;
  const topic = 'fine_tuning.job.succeeded';
  yield ['outbox', { ...own, topic, payload: {} }];
  yield ['outbox', { ...own, topic, payload: {}, delivered_at: later }];
  yield ['webhook_endpoints', { id: id('hook'), ...own, url: 'https://hook', events: [topic] }];
  yield [
    'webhook_endpoints',
    { id: id('off'), ...own, url: 'https://hook', events: [topic], disabled_at: later },
  ];
  yield ['webhook_secrets', { id: id('secret'), ...own, endpoint_id: id('hook'), sealed: hmac('sealed') }];
  for (const [number, status] of ['pending', 'delivered', 'failed'].entries())
    yield [
      'webhook_deliveries',
      {
        id: id(status),
        ...own,
        endpoint_id: id('hook'),
        outbox_id: number,
        event_id: id(status),
        type: topic,
        subject: id('job-of-person-succeeded'),
        event_at: at,
        status,
        expires_at: later,
      },
    ];
  yield [
    'integrations',
    { id: id('wandb'), ...own, type: 'wandb', url: 'https://wandb', sealed: hmac('sealed') },
  ];
  yield [
    'deploy_targets',
    {
      id: id('deploy-target'),
      ...own,
      adapter_id: id('adapter'),
      tag: 'production',
      name: 'a server',
      runtime: 'vllm',
      url: 'https://vllm',
      folder: '/adapters',
      model_name: 'mine',
      versioned_names: true,
      keep_seconds: 300,
      sealed: hmac('sealed'),
    },
  ];
  yield ['publishing_rules', { ...own, repositories: ['org/*'], allow_public: true }];
  yield [
    'deploy_leftovers',
    {
      id: id('leftover'),
      ...own,
      team_name: 'gone',
      name: 'a server',
      runtime: 'vllm',
      url: 'https://vllm',
      model_name: 'mine',
      unreachable_since: at,
    },
  ];
  yield ['audit_log', { team_id, action: 'job.create', target: id('job-of-team-failed'), created_at: at }];
  yield ['audit_exports', { sink: id('sink'), chain: team_id, sequence: 1 }];
}
