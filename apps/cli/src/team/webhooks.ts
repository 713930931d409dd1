import type { Webhook, WebhookEventType, WebhookWithSecret } from '@graft/client';
import { type Command, Option } from 'commander';
import { wholeNumber } from '../arguments.ts';
import { timestamp } from '../draw/quantities.ts';
import { fields, table } from '../draw/table.ts';
import { UsageError } from '../errors.ts';
import { createOutput, type Output } from '../output.ts';
import { connect } from '../remote/connect.ts';
import { noun, type RemoteOptions, verb } from '../verb.ts';

const statuses = ['pending', 'delivered', 'failed'] as const;

export function addWebhooksVerbs(program: Command): void {
  const webhooks = noun(
    program,
    'webhooks',
    'endpoints for events of jobs: create, list, get, update, delete, rotate, test, deliveries, resend',
  );

  verb(webhooks, {
    name: 'create <url>',
    summary: 'create an endpoint and print its secret; it cannot be shown again',
    examples: ['graft webhooks create https://example.com/graft'],
    remote: true,
  })
    .option(
      '--event <type...>',
      'event types to send, such as fine_tuning.job.failed (default: those of jobs that ended)',
    )
    .option('--description <text>', 'description')
    .action(async (url: string, options: RemoteOptions & Settings) => {
      const output = createOutput(options);
      const made = await (await connect(options)).webhooks.create({ ...settingsOf(options), url });
      output.result(made, () => `${describe(made, output)}\n\n${made.secret}`);
      noteSecret(output, made);
    });

  verb(webhooks, {
    name: 'list',
    summary: 'list the endpoints of your team, newest first',
    examples: ['graft webhooks list'],
    remote: true,
  }).action(async (options: RemoteOptions) => {
    const output = createOutput(options);
    const data = await (await connect(options)).webhooks.list().toArray();
    output.result({ object: 'list', data }, () =>
      table(
        ['ID', 'URL', 'STATE', 'EVENTS', 'CREATED'],
        data.map((webhook) => [
          webhook.id,
          webhook.url,
          stateOf(webhook),
          shortEvents(webhook),
          timestamp(webhook.created_at),
        ]),
        output.paint,
        'No webhooks yet. Create one with: graft webhooks create https://…',
      ),
    );
  });

  verb(webhooks, {
    name: 'get <id>',
    summary: 'show an endpoint, without its secret',
    examples: ['graft webhooks get whep-…'],
    remote: true,
  }).action(async (id: string, options: RemoteOptions) => {
    const output = createOutput(options);
    const webhook = await (await connect(options)).webhooks.retrieve(id);
    output.result(webhook, () => describe(webhook, output));
  });

  verb(webhooks, {
    name: 'update <id>',
    summary: 'change an endpoint; options that you leave out stay unchanged',
    examples: ['graft webhooks update whep-… --enable'],
    remote: true,
  })
    .option('--url <url>', 'new URL')
    .option('--event <type...>', 'event types to send')
    .option('--description <text>', 'description')
    .option('--enable', 'send events again, beginning with those that are waiting')
    .addOption(new Option('--disable', 'stop sending events').conflicts('enable'))
    .action(async (id: string, options: UpdateOptions) => {
      const { url, enable, disable } = options;
      const enabled = enable ? true : disable ? false : undefined;
      const params = {
        ...settingsOf(options),
        ...(url !== undefined && { url }),
        ...(enabled !== undefined && { enabled }),
      };
      if (Object.keys(params).length === 0) {
        throw new UsageError('Nothing to change: add --url, --event, --description, --enable or --disable.');
      }
      const output = createOutput(options);
      const webhook = await (await connect(options)).webhooks.update(id, params);
      output.result(webhook, () => describe(webhook, output));
    });

  verb(webhooks, {
    name: 'delete <id>',
    summary: 'delete an endpoint and its pending deliveries',
    examples: ['graft webhooks delete whep-…'],
    remote: true,
  }).action(async (id: string, options: RemoteOptions) => {
    const deleted = await (await connect(options)).webhooks.delete(id);
    createOutput(options).result(deleted, () => `Deleted ${deleted.id}`);
  });

  verb(webhooks, {
    name: 'rotate <id>',
    summary: 'create a new secret and print it; the old one also signs for a day',
    examples: ['graft webhooks rotate whep-… --overlap 3600'],
    remote: true,
  })
    .option('--overlap <seconds>', 'how long the old secret also signs (default: 86400)', wholeNumber(0))
    .action(async (id: string, options: RemoteOptions & { overlap?: number }) => {
      const output = createOutput(options);
      const { overlap } = options;
      const client = await connect(options);
      const made = await client.webhooks.rotateSecret(
        id,
        overlap === undefined ? {} : { overlap_seconds: overlap },
      );
      output.result(made, () => made.secret);
      noteSecret(output, made);
    });

  verb(webhooks, {
    name: 'test <id>',
    summary: 'send a webhook.test event to an endpoint',
    examples: ['graft webhooks test whep-…'],
    remote: true,
  }).action(async (id: string, options: RemoteOptions) => {
    const sent = await (await connect(options)).webhooks.test(id);
    createOutput(options).result(
      sent,
      () => `Sending ${sent.event_id}; graft webhooks deliveries ${id} shows the result.`,
    );
  });

  verb(webhooks, {
    name: 'deliveries <id>',
    summary: 'list the deliveries to an endpoint, newest first',
    examples: ['graft webhooks deliveries whep-… --status failed'],
    remote: true,
  })
    .option('--limit <n>', 'at most this many', wholeNumber(1), 20)
    .addOption(new Option('--status <status>', 'only deliveries with this status').choices(statuses))
    .action(
      async (id: string, options: RemoteOptions & { limit: number; status?: (typeof statuses)[number] }) => {
        const output = createOutput(options);
        const { limit, status } = options;
        const list = (await connect(options)).webhooks.deliveries.list(id, {
          limit: Math.min(limit, 100),
          ...(status && { status }),
        });
        const data = await list.toArray(limit);
        output.result({ object: 'list', data }, () =>
          table(
            ['ID', 'EVENT', 'OF', 'STATUS', 'TRIES', 'CREATED', 'LAST ERROR'],
            data.map((delivery) => [
              delivery.id,
              delivery.event_type,
              delivery.data.id,
              delivery.status,
              String(delivery.attempts),
              timestamp(delivery.created_at),
              delivery.last_error ?? '',
            ]),
            output.paint,
            'No deliveries yet.',
          ),
        );
      },
    );

  verb(webhooks, {
    name: 'resend <id> <delivery>',
    summary: 'send a delivery again, under the same webhook-id',
    examples: ['graft webhooks resend whep-… whdl-…'],
    remote: true,
  }).action(async (id: string, delivery: string, options: RemoteOptions) => {
    const resent = await (await connect(options)).webhooks.deliveries.resend(id, delivery);
    createOutput(options).result(resent, () => `Sending ${resent.event_type} of ${resent.data.id} again.`);
  });
}

interface Settings {
  event?: string[];
  description?: string;
}

interface UpdateOptions extends RemoteOptions, Settings {
  url?: string;
  enable?: boolean;
  disable?: boolean;
}

function settingsOf({ event, description }: Settings) {
  return {
    // The service validates the types and lists the valid ones.
    ...(event && { events: event as WebhookEventType[] }),
    ...(description !== undefined && { description: description === '' ? null : description }),
  };
}

function noteSecret(output: Output, { id }: WebhookWithSecret): void {
  output.note(`The secret of ${id} is shown only once: the receiver verifies signatures with it.`);
}

function stateOf(webhook: Webhook): string {
  if (!webhook.enabled) return 'disabled';
  return webhook.failing_since === null ? 'enabled' : 'failing';
}

const shortEvents = (webhook: Webhook) =>
  webhook.events.map((event) => event.replace('fine_tuning.job.', '')).join(' ');

function describe(webhook: Webhook, { paint }: Output): string {
  return fields(
    [
      ['id', webhook.id],
      ['url', webhook.url],
      ['description', webhook.description],
      ['events', webhook.events.join(', ')],
      ['state', stateOf(webhook)],
      ['failing since', webhook.failing_since === null ? null : timestamp(webhook.failing_since)],
      ['disabled', webhook.disabled_at === null ? null : timestamp(webhook.disabled_at)],
      ['reason', webhook.disabled_reason],
      ['created', timestamp(webhook.created_at)],
    ],
    paint,
  );
}
