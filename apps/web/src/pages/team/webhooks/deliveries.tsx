import type { Webhook, WebhookDelivery, WebhookWithSecret } from '@graft/client';
import { useQuery } from '@tanstack/preact-query';
import { useState } from 'preact/hooks';
import { useLocation } from 'wouter-preact';
import { Badge } from '../../../components/badge.tsx';
import { Cut, NameAndId } from '../../../components/cut.tsx';
import { Button } from '../../../components/forms/button.tsx';
import { Select } from '../../../components/forms/field.tsx';
import { ConfirmButton, DialogButton, useAction } from '../../../components/forms/form.tsx';
import { Facts } from '../../../components/lists/facts.tsx';
import { Listing } from '../../../components/lists/listing.tsx';
import { Loaded } from '../../../components/loaded.tsx';
import { ParentLink } from '../../../components/page-head.tsx';
import { Time } from '../../../components/time.tsx';
import { graft } from '../../../data/graft.ts';
import { usePages } from '../../../data/pages.ts';
import { usePermission } from '../../../data/session.ts';
import { useQueryState } from '../../../router/query-state.ts';
import { count } from '../../../text/numbers.ts';
import { WebhookForm } from './webhook-form.tsx';
import { WebhookSecret, WebhookStatus } from './webhooks.tsx';

export function Deliveries({ id }: { id: string }) {
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
      <DialogButton dialog={(close) => <WebhookForm webhook={webhook} onClose={close} />}>Edit</DialogButton>
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
