import type { Webhook, WebhookDelivery, WebhookEventType, WebhookWithSecret } from '@graft/client';
import { deliveryStatuses } from '@graft/wire/lists';
import { type Command, Option } from 'commander';
import type { Answer } from '../answer.ts';
import type { Paint } from '../draw/paint.ts';
import { optional, timestamp } from '../draw/quantities.ts';
import { fields } from '../draw/table.ts';
import { UsageError } from '../errors.ts';
import { given, wholeNumber } from '../options/arguments.ts';
import { listVerb, serviceVerb } from '../remote/service-verb.ts';
import { noun } from '../verb.ts';

export function addWebhooksVerbs(program: Command): void {
  const about =
    'endpoints for events of jobs: create, list, get, update, delete, rotate, test, deliveries, resend';
  const group = noun(program, 'webhooks', about);
  const creates = 'create an endpoint and print its secret; it cannot be shown again';
  const event = 'event types to send, such as fine_tuning.job.failed (default: those of jobs that ended)';

  serviceVerb(group, 'create <url>', creates, 'https://example.com/graft')
    .option('--event <type...>', event)
    .option('--description <text>', 'description')
    .run(async ({ webhooks }, url: string, options: Settings) => {
      const made = await webhooks.create({ ...settingsOf(options), url });
      return secretAnswer(made, (paint) => `${describe(made, paint)}\n\n${made.secret}`);
    });

  listVerb(group, ({ webhooks }) => webhooks.list(), {
    summary: 'list the endpoints of your team, newest first',
    columns: {
      ID: 'id',
      URL: 'url',
      STATE: stateOf,
      EVENTS: ({ events }) => events.map((type) => type.replace('fine_tuning.job.', '')).join(' '),
      CREATED: ({ created_at }) => timestamp(created_at),
    },
    empty: 'No webhooks yet. Create one with: graft webhooks create https://…',
  });

  serviceVerb(group, 'get <id>', 'show an endpoint, without its secret', 'whep-…').run(
    async ({ webhooks }, id: string) => webhookAnswer(await webhooks.retrieve(id)),
  );

  const updates = 'change an endpoint; options that you leave out stay unchanged';
  serviceVerb(group, 'update <id>', updates, 'whep-… --enable')
    .option('--url <url>', 'new URL')
    .option('--event <type...>', 'event types to send')
    .option('--description <text>', 'description')
    .addOption(
      new Option('--enable', 'send events again, beginning with those that are waiting').implies({
        enabled: true,
      }),
    )
    .addOption(new Option('--disable', 'stop sending events').conflicts('enable').implies({ enabled: false }))
    .run(async ({ webhooks }, id: string, options: Settings & { url?: string; enabled?: boolean }) => {
      const { url, enabled } = options;
      const params = { ...settingsOf(options), ...given({ url, enabled }) };
      if (Object.keys(params).length === 0)
        throw new UsageError('Nothing to change: add --url, --event, --description, --enable or --disable.');
      return webhookAnswer(await webhooks.update(id, params));
    });

  serviceVerb(group, 'delete <id>', 'delete an endpoint and its pending deliveries', 'whep-…').run(
    async ({ webhooks }, id: string) => {
      const deleted = await webhooks.delete(id);
      return { value: deleted, text: `Deleted ${deleted.id}` };
    },
  );

  const rotates = 'create a new secret and print it; the old one also signs for a day';
  serviceVerb(group, 'rotate <id>', rotates, 'whep-… --overlap 3600')
    .option('--overlap <seconds>', 'how long the old secret also signs (default: 86400)', wholeNumber(0))
    .run(async ({ webhooks }, id: string, { overlap }: { overlap?: number }) => {
      const made = await webhooks.rotateSecret(id, given({ overlap_seconds: overlap }));
      return secretAnswer(made, made.secret);
    });

  serviceVerb(group, 'test <id>', 'send a webhook.test event to an endpoint', 'whep-…').run(
    async ({ webhooks }, id: string) => {
      const sent = await webhooks.test(id);
      const shows = `graft webhooks deliveries ${id} shows the result.`;
      return { value: sent, text: `Sending ${sent.event_id}; ${shows}` };
    },
  );

  listVerb(
    group,
    ({ webhooks }, page, id: string, { status }: { status?: WebhookDelivery['status'] }) =>
      webhooks.deliveries.list(id, { ...page, ...given({ status }) }),
    {
      name: 'deliveries <id>',
      summary: 'list the deliveries to an endpoint, newest first',
      examples: ['whep-… --status failed'],
      limit: 20,
      pageSize: 100,
      columns: {
        ID: 'id',
        EVENT: 'event_type',
        OF: ({ data }) => data.id,
        STATUS: 'status',
        TRIES: 'attempts',
        CREATED: ({ created_at }) => timestamp(created_at),
        'LAST ERROR': 'last_error',
      },
      empty: 'No deliveries yet.',
    },
  ).addOption(new Option('--status <status>', 'only deliveries with this status').choices(deliveryStatuses));

  const resends = 'send a delivery again, under the same webhook-id';
  serviceVerb(group, 'resend <id> <delivery>', resends, 'whep-… whdl-…').run(
    async ({ webhooks }, id: string, delivery: string) => {
      const resent = await webhooks.deliveries.resend(id, delivery);
      return { value: resent, text: () => `Sending ${resent.event_type} of ${resent.data.id} again.` };
    },
  );
}

interface Settings {
  event?: string[];
  description?: string;
}

const settingsOf = ({ event, description }: Settings) => ({
  // The service validates the types and lists the valid ones.
  ...given({ events: event as WebhookEventType[] | undefined }),
  ...given({ description: description === '' ? null : description }),
});

const secretAnswer = (made: WebhookWithSecret, text: Answer['text']): Answer => ({
  value: made,
  text,
  note: `The secret of ${made.id} is shown only once: the receiver verifies signatures with it.`,
});

const webhookAnswer = (value: Webhook): Answer => ({ value, text: (paint) => describe(value, paint) });

function stateOf(webhook: Webhook): string {
  if (!webhook.enabled) return 'disabled';
  return webhook.failing_since === null ? 'enabled' : 'failing';
}

function describe(webhook: Webhook, paint: Paint): string {
  return fields(
    {
      id: webhook.id,
      url: webhook.url,
      description: webhook.description,
      events: webhook.events.join(', '),
      state: stateOf(webhook),
      'failing since': optional(webhook.failing_since, timestamp),
      disabled: optional(webhook.disabled_at, timestamp),
      reason: webhook.disabled_reason,
      created: timestamp(webhook.created_at),
    },
    paint,
  );
}
