import type { Webhook, WebhookDelivery, WebhookEventType, WebhookWithSecret } from '@graft/client';
import { useQuery } from '@tanstack/preact-query';
import { useState } from 'preact/hooks';
import { useLocation, useParams } from 'wouter-preact';
import { Badge } from '../../components/badge.tsx';
import { Cut, NameAndId } from '../../components/cut.tsx';
import { Opened } from '../../components/dialog.tsx';
import { Button } from '../../components/forms/button.tsx';
import { CheckboxGroup, Select, TextField } from '../../components/forms/field.tsx';
import { ConfirmButton, DialogButton, FormDialog, useAction, useForm } from '../../components/forms/form.tsx';
import { Secret } from '../../components/forms/secret.tsx';
import { Facts } from '../../components/lists/facts.tsx';
import { Listing } from '../../components/lists/listing.tsx';
import { Loaded } from '../../components/loaded.tsx';
import { ParentLink } from '../../components/page-head.tsx';
import { Time } from '../../components/time.tsx';
import { graft } from '../../data/graft.ts';
import { usePages } from '../../data/pages.ts';
import { usePermission } from '../../data/session.ts';
import { useQueryState } from '../../router/query-state.ts';
import { count, counted } from '../../text/numbers.ts';

/** The team's webhook endpoints, or the deliveries of the one in the URL. */
export function Webhooks() {
  const { id } = useParams<{ id?: string }>();
  return id === undefined ? <Endpoints /> : <Deliveries id={id} />;
}

function Endpoints() {
  const canEdit = usePermission('webhooks:write', 'admin');
  const [created, setCreated] = useState<WebhookWithSecret | null>(null);
  return (
    <section class="panel">
      <div class="section-head">
        <p class="soft">Graft sends signed events to your server, at least once.</p>
        {canEdit && (
          <DialogButton icon="add" kind="main" dialog={<WebhookForm onCreated={setCreated} />}>
            Add endpoint
          </DialogButton>
        )}
      </div>
      <Listing
        pages={usePages(['webhooks'], () => graft.webhooks.list())}
        label="Webhook endpoints"
        minWidth="44rem"
        emptyTitle="No webhooks yet"
        emptyText="An endpoint is an HTTPS URL of your server that accepts POST requests."
        columns={[
          {
            head: 'URL',
            cell: ({ id, url, description }) => (
              <>
                <Cut text={url} href={`/team/webhooks/${id}`} />
                {description && <Cut text={description} class="small soft" />}
              </>
            ),
          },
          { head: 'Events', width: '12rem', cell: ({ events }) => counted(events.length, 'event type') },
          { head: 'Status', width: '13rem', cell: (row) => <WebhookStatus webhook={row} /> },
          { head: 'Added', width: '8rem', cell: (row) => <Time at={row.created_at} /> },
        ]}
      />
      {created && <WebhookSecret secret={created.secret} onClose={() => setCreated(null)} />}
    </section>
  );
}

const WebhookSecret = ({ secret, onClose }: { secret: string; onClose: () => void }) => (
  <Opened onClose={onClose}>
    <Secret title="Webhook secret" name="Webhook secret" text={secret}>
      <p>
        Your server verifies the signatures of events with it, for example with a Standard Webhooks library.
      </p>
    </Secret>
  </Opened>
);

function WebhookStatus({ webhook }: { webhook: Webhook }) {
  if (!webhook.enabled) {
    return (
      <Badge tone="bad" {...(webhook.disabled_reason && { title: webhook.disabled_reason })}>
        disabled
      </Badge>
    );
  }
  if (webhook.failing_since === null) return <Badge tone="good">active</Badge>;
  return (
    <>
      <Badge tone="wait">failing</Badge> since <Time at={webhook.failing_since} />
    </>
  );
}

/** Labels of all event types. The type check fails if the API has a new one. */
const eventTexts: Record<WebhookEventType, string> = {
  'fine_tuning.job.running': 'Job running',
  'fine_tuning.job.paused': 'Job paused',
  'fine_tuning.job.succeeded': 'Job succeeded',
  'fine_tuning.job.failed': 'Job failed',
  'fine_tuning.job.cancelled': 'Job cancelled',
  'export.succeeded': 'Export succeeded',
  'export.failed': 'Export failed',
  'export.cancelled': 'Export cancelled',
  'budget.warning': 'Budget nearly spent',
  'budget.exceeded': 'Budget spent',
};
const eventOptions = Object.entries(eventTexts) as [WebhookEventType, string][];
const defaultEvents: WebhookEventType[] = [
  'fine_tuning.job.succeeded',
  'fine_tuning.job.failed',
  'fine_tuning.job.cancelled',
];

interface WebhookFormProps {
  webhook?: Webhook;
  onCreated?: (webhook: WebhookWithSecret) => void;
}

function WebhookForm({ webhook, onCreated }: WebhookFormProps) {
  const form = useForm({
    initial: {
      url: webhook?.url ?? '',
      description: webhook?.description ?? '',
      events: webhook?.events ?? defaultEvents,
    },
    check: ({ events }) => (events.length === 0 ? { events: 'Select at least one event.' } : {}),
    run: async ({ url, description, events }): Promise<Webhook | WebhookWithSecret> => {
      const fields = { url: url.trim(), description: description.trim() || null, events };
      return webhook ? await graft.webhooks.update(webhook.id, fields) : await graft.webhooks.create(fields);
    },
    invalidates: [['webhooks'], ['webhook'], ['audit']],
    onDone: (saved) => {
      if ('secret' in saved) onCreated?.(saved);
    },
  });
  return (
    <FormDialog
      title={webhook ? 'Edit endpoint' : 'Add endpoint'}
      action={webhook ? 'Save' : 'Add'}
      form={form}
    >
      <TextField
        label="URL"
        type="url"
        autofocus
        placeholder="https://example.com/graft"
        {...form.field('url')}
      />
      <TextField label="Description" maxLength={256} {...form.field('description')} />
      <CheckboxGroup
        class="checks tight"
        label="Send these events"
        options={eventOptions}
        value={form.values.events}
        onValue={(events) => form.set({ events })}
        error={form.errorAt('events')}
      />
    </FormDialog>
  );
}

function Deliveries({ id }: { id: string }) {
  const canEdit = usePermission('webhooks:write', 'admin');
  const webhook = useQuery({ queryKey: ['webhook', id], queryFn: () => graft.webhooks.retrieve(id) });
  return (
    <section class="panel">
      <ParentLink href="/team/webhooks" text="Webhooks" />
      <Loaded query={webhook}>
        {(data) => (
          <>
            <div class="section-head">
              <h2 class="clamp" title={data.url}>
                {data.url}
              </h2>
              {canEdit && <Actions webhook={data} />}
            </div>
            <Facts
              inRows
              facts={[
                { name: 'Status', value: <WebhookStatus webhook={data} />, note: data.disabled_reason },
                { name: 'Events', value: data.events.join(', ') },
                { name: 'Description', value: data.description ?? 'none' },
                { name: 'ID', value: <code>{id}</code> },
              ]}
            />
            <DeliveryList id={id} canEdit={canEdit} />
          </>
        )}
      </Loaded>
    </section>
  );
}

function Actions({ webhook }: { webhook: Webhook }) {
  const { id, enabled } = webhook;
  const [, go] = useLocation();
  const [created, setCreated] = useState<WebhookWithSecret | null>(null);
  const lists = [['webhooks'], ['audit']];
  const test = useAction({
    run: () => graft.webhooks.test(id),
    invalidates: [['deliveries', id]],
    successMessage: () => 'Sending a webhook.test event.',
  });
  const toggle = useAction({
    run: (enabled: boolean) => graft.webhooks.update(id, { enabled }),
    invalidates: [['webhook', id], ['deliveries', id], ...lists],
    successMessage: ({ enabled }) => (enabled ? 'Endpoint enabled.' : 'Endpoint disabled.'),
  });
  return (
    <div class="row">
      <Button busy={test.isPending} disabled={!enabled} onClick={() => test.mutate()}>
        Send test event
      </Button>
      <DialogButton dialog={<WebhookForm webhook={webhook} />}>Edit</DialogButton>
      <Button busy={toggle.isPending} onClick={() => toggle.mutate(!enabled)}>
        {enabled ? 'Disable' : 'Enable'}
      </Button>
      <ConfirmButton
        button={{ children: 'Rotate secret' }}
        title="Rotate secret?"
        action="Rotate"
        run={() => graft.webhooks.rotateSecret(id)}
        invalidates={[['webhook', id], ...lists]}
        onDone={setCreated}
      >
        <p>The old secret also signs events for one day, so that you can update your server.</p>
      </ConfirmButton>
      <ConfirmButton
        button={{ kind: 'danger', children: 'Delete' }}
        title="Delete endpoint?"
        action="Delete endpoint"
        run={() => graft.webhooks.delete(id)}
        invalidates={lists}
        successMessage={() => 'Endpoint deleted.'}
        onDone={() => go('/team/webhooks')}
      >
        <p>Deletes its deliveries permanently. Pending events are not sent.</p>
      </ConfirmButton>
      {created && <WebhookSecret secret={created.secret} onClose={() => setCreated(null)} />}
    </div>
  );
}

const statusTones = { pending: 'wait', delivered: 'good', failed: 'bad' } as const;
const statuses = Object.keys(statusTones) as WebhookDelivery['status'][];

function DeliveryList({ id, canEdit }: { id: string; canEdit: boolean }) {
  const [{ status }, , field] = useQueryState({ status: '' });
  const only = statuses.find((each) => each === status);
  const deliveries = usePages(
    ['deliveries', id, only ?? ''],
    () => graft.webhooks.deliveries.list(id, { limit: 50, ...(only && { status: only }) }),
    { refetchInterval: 5_000 },
  );
  const resend = useAction({
    run: (delivery: string) => graft.webhooks.deliveries.resend(id, delivery),
    invalidates: [['deliveries', id]],
    successMessage: () => 'Sending the event again.',
  });
  return (
    <>
      <div class="section-head">
        <h3>Deliveries</h3>
        <Select label="Status" hideLabel options={[['', 'All statuses'], ...statuses]} {...field('status')} />
      </div>
      <Listing
        pages={deliveries}
        label="Deliveries"
        minWidth="54rem"
        emptyTitle={only ? `No ${only} deliveries` : 'No deliveries yet'}
        emptyText="Send a test event to check the endpoint. Finished deliveries are kept for 30 days."
        columns={[
          { head: 'Event', cell: ({ event_type, data }) => <NameAndId name={event_type} id={data.id} /> },
          {
            head: 'Status',
            width: '7rem',
            cell: (row) => <Badge tone={statusTones[row.status]}>{row.status}</Badge>,
          },
          { head: 'Created', width: '8rem', cell: (row) => <Time at={row.created_at} /> },
          { head: 'Attempts', width: '6rem', end: true, cell: ({ attempts }) => count(attempts) },
          {
            head: 'Last response',
            width: '16rem',
            cell: ({ last_status, last_error, next_attempt_at }) => (
              <>
                <Cut text={last_error ?? last_status ?? 'none yet'} title={last_error} />
                {next_attempt_at !== null && (
                  <span class="small soft">
                    <Time at={next_attempt_at} prefix="next attempt" />
                  </span>
                )}
              </>
            ),
          },
          {
            width: '8rem',
            actions: ({ id: delivery }) => [
              canEdit && { text: 'Resend', run: () => resend.mutate(delivery) },
            ],
          },
        ]}
      />
    </>
  );
}
