import type { Webhook, WebhookDelivery, WebhookWithSecret } from '@graft/client';
import { useQuery } from '@tanstack/preact-query';
import { useState } from 'preact/hooks';
import { Link, useLocation } from 'wouter-preact';
import { Badge } from '../../../components/badge.tsx';
import { Confirm } from '../../../components/dialog.tsx';
import { Empty } from '../../../components/empty.tsx';
import { Button } from '../../../components/forms/button.tsx';
import { Select } from '../../../components/forms/field.tsx';
import { Icon } from '../../../components/icon.tsx';
import { Listing } from '../../../components/lists/listing.tsx';
import { Properties } from '../../../components/lists/properties.tsx';
import { Problem } from '../../../components/problem.tsx';
import { Time } from '../../../components/time.tsx';
import { Waiting } from '../../../components/waiting.tsx';
import { useAction } from '../../../data/action.ts';
import { graft } from '../../../data/graft.ts';
import { usePages } from '../../../data/pages.ts';
import { usePermission } from '../../../data/session.ts';
import { useQueryState } from '../../../router/query-state.ts';
import { count } from '../../../text/numbers.ts';
import { WebhookForm } from './webhook-form.tsx';
import { WebhookSecret, WebhookStatus } from './webhooks.tsx';

/** A webhook endpoint and its deliveries. */
export function Deliveries({ id }: { id: string }) {
  const webhook = useQuery({ queryKey: ['webhook', id], queryFn: () => graft.webhooks.retrieve(id) });
  return (
    <section class="panel">
      <Link href="/team/webhooks" class="page-parent">
        <Icon name="back" /> Webhooks
      </Link>
      {webhook.data ? (
        <Endpoint webhook={webhook.data} />
      ) : webhook.error ? (
        <Problem error={webhook.error} onRetry={webhook.refetch} />
      ) : (
        <Waiting />
      )}
    </section>
  );
}

type OpenDialog = 'delete' | 'rotate' | 'edit';

function Endpoint({ webhook }: { webhook: Webhook }) {
  const { id } = webhook;
  const canEdit = usePermission('webhooks:write', 'admin');
  const [, go] = useLocation();
  const [dialog, setDialog] = useState<OpenDialog | null>(null);
  const [created, setCreated] = useState<WebhookWithSecret | null>(null);
  const close = () => setDialog(null);
  const invalidates = [['webhook', id], ['webhooks'], ['audit']];
  const test = useAction({
    run: (endpoint: string) => graft.webhooks.test(endpoint),
    invalidates: [['deliveries', id]],
    successMessage: () => 'Sending a webhook.test event.',
  });
  const toggle = useAction({
    run: (enabled: boolean) => graft.webhooks.update(id, { enabled }),
    invalidates: [...invalidates, ['deliveries', id]],
    successMessage: ({ enabled }) => (enabled ? 'Endpoint enabled.' : 'Endpoint disabled.'),
  });
  const rotate = useAction({
    run: (endpoint: string) => graft.webhooks.rotateSecret(endpoint),
    invalidates,
    onDone: (result) => {
      close();
      setCreated(result);
    },
  });
  const remove = useAction({
    run: (endpoint: string) => graft.webhooks.delete(endpoint),
    invalidates: [['webhooks'], ['audit']],
    successMessage: () => 'Endpoint deleted.',
    onDone: () => go('/team/webhooks'),
  });
  return (
    <>
      <div class="section-head">
        <h2 class="clamp" title={webhook.url}>
          {webhook.url}
        </h2>
        {canEdit && (
          <div class="row">
            <Button busy={test.isPending} disabled={!webhook.enabled} onClick={() => test.mutate(id)}>
              Send test event
            </Button>
            <Button onClick={() => setDialog('edit')}>Edit</Button>
            <Button busy={toggle.isPending} onClick={() => toggle.mutate(!webhook.enabled)}>
              {webhook.enabled ? 'Disable' : 'Enable'}
            </Button>
            <Button onClick={() => setDialog('rotate')}>Rotate secret</Button>
            <Button kind="danger" onClick={() => setDialog('delete')}>
              Delete
            </Button>
          </div>
        )}
      </div>
      <Properties
        items={[
          [
            'Status',
            <>
              <WebhookStatus webhook={webhook} /> {webhook.disabled_reason}
            </>,
          ],
          ['Events', webhook.events.join(', ')],
          ['Description', webhook.description ?? 'none'],
          ['ID', <code key="id">{id}</code>],
        ]}
      />
      <DeliveryList id={id} canEdit={canEdit} />
      {dialog === 'edit' && <WebhookForm webhook={webhook} onDone={close} onClose={close} />}
      {dialog === 'rotate' && (
        <Confirm
          title="Rotate secret?"
          action="Rotate"
          busy={rotate.isPending}
          onConfirm={() => rotate.mutate(id)}
          onClose={close}
        >
          <p>The old secret also signs events for one day, so that you can update your server.</p>
        </Confirm>
      )}
      {dialog === 'delete' && (
        <Confirm
          title="Delete endpoint?"
          action="Delete endpoint"
          busy={remove.isPending}
          onConfirm={() => remove.mutate(id)}
          onClose={close}
        >
          <p>Deletes its deliveries permanently. Pending events are not sent.</p>
        </Confirm>
      )}
      {created && <WebhookSecret secret={created.secret} onClose={() => setCreated(null)} />}
    </>
  );
}

const statusTones = { pending: 'wait', delivered: 'good', failed: 'bad' } as const;
const statuses = Object.keys(statusTones) as WebhookDelivery['status'][];

function DeliveryList({ id, canEdit }: { id: string; canEdit: boolean }) {
  const [{ status }, change] = useQueryState({ status: '' });
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
        <Select
          label="Status"
          hideLabel
          value={only ?? ''}
          onValue={(value) => change({ status: value })}
          options={[['', 'All statuses'], ...statuses.map((each) => [each, each] as const)]}
        />
      </div>
      <Listing
        pages={deliveries}
        label="Deliveries"
        minWidth="54rem"
        empty={
          <Empty title={only ? `No ${only} deliveries` : 'No deliveries yet'}>
            <p>Send a test event to check the endpoint. Finished deliveries are kept for 30 days.</p>
          </Empty>
        }
        columns={[
          {
            head: 'Event',
            isRowHeader: true,
            cell: ({ event_type, data }) => (
              <>
                <span class="cut" title={event_type}>
                  {event_type}
                </span>
                <code class="cut small soft" title={data.id}>
                  {data.id}
                </code>
              </>
            ),
          },
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
                <span class="cut" title={last_error ?? undefined}>
                  {last_error ?? (last_status === null ? 'none yet' : last_status)}
                </span>
                {next_attempt_at !== null && (
                  <span class="small soft">
                    next attempt <Time at={next_attempt_at} />
                  </span>
                )}
              </>
            ),
          },
          {
            head: <span class="visually-hidden">Actions</span>,
            width: '8rem',
            end: true,
            cell: (row) =>
              canEdit && (
                <Button small kind="quiet" onClick={() => resend.mutate(row.id)}>
                  Resend
                </Button>
              ),
          },
        ]}
      />
    </>
  );
}
