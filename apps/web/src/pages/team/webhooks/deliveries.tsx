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
import { useMay } from '../../../data/session.ts';
import { useQueryState } from '../../../router/query-state.ts';
import { count } from '../../../text/numbers.ts';
import { WebhookForm } from './webhook-form.tsx';
import { WebhookSecret } from './webhook-secret.tsx';
import { WebhookState } from './webhooks.tsx';

/** One endpoint, and what was sent to it. */
export function Deliveries({ id }: { id: string }) {
  const webhook = useQuery({ queryKey: ['webhook', id], queryFn: () => graft.webhooks.retrieve(id) });
  return (
    <section class="section">
      <Link href="/team/webhooks" class="page-up">
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

type Asked = 'delete' | 'rotate' | 'edit';

function Endpoint({ webhook }: { webhook: Webhook }) {
  const { id } = webhook;
  const may = useMay('webhooks:write', 'admin');
  const [, go] = useLocation();
  const [asked, setAsked] = useState<Asked | null>(null);
  const [made, setMade] = useState<WebhookWithSecret | null>(null);
  const close = () => setAsked(null);
  const touches = [['webhook', id], ['webhooks'], ['audit']];
  const test = useAction({
    run: (endpoint: string) => graft.webhooks.test(endpoint),
    touches: [['deliveries', id]],
    said: () => 'A webhook.test is on its way.',
  });
  const turn = useAction({
    run: (enabled: boolean) => graft.webhooks.update(id, { enabled }),
    touches: [...touches, ['deliveries', id]],
    said: ({ enabled }) => (enabled ? 'It is told again.' : 'Nothing is sent there any more.'),
  });
  const rotate = useAction({
    run: (endpoint: string) => graft.webhooks.rotateSecret(endpoint),
    touches,
    onDone: (answer) => {
      close();
      setMade(answer);
    },
  });
  const remove = useAction({
    run: (endpoint: string) => graft.webhooks.delete(endpoint),
    touches: [['webhooks'], ['audit']],
    said: () => 'The endpoint is deleted.',
    onDone: () => go('/team/webhooks'),
  });
  return (
    <>
      <div class="section-head">
        <h2 class="clamp" title={webhook.url}>
          {webhook.url}
        </h2>
        {may && (
          <div class="row">
            <Button busy={test.isPending} disabled={!webhook.enabled} onClick={() => test.mutate(id)}>
              Send a test
            </Button>
            <Button onClick={() => setAsked('edit')}>Change</Button>
            <Button busy={turn.isPending} onClick={() => turn.mutate(!webhook.enabled)}>
              {webhook.enabled ? 'Turn off' : 'Turn on'}
            </Button>
            <Button onClick={() => setAsked('rotate')}>New secret</Button>
            <Button kind="danger" onClick={() => setAsked('delete')}>
              Delete
            </Button>
          </div>
        )}
      </div>
      <Properties
        of={[
          [
            'State',
            <>
              <WebhookState of={webhook} /> {webhook.disabled_reason}
            </>,
          ],
          ['Is told', webhook.events.join(', ')],
          ['Note', webhook.description ?? 'none'],
          ['Id', <code key="id">{id}</code>],
        ]}
      />
      <Sent id={id} may={may} />
      {asked === 'edit' && <WebhookForm of={webhook} onDone={close} onClose={close} />}
      {asked === 'rotate' && (
        <Confirm
          title="Make a new secret?"
          action="Make it"
          busy={rotate.isPending}
          onConfirm={() => rotate.mutate(id)}
          onClose={close}
        >
          <p>For a day the one before signs as well, so that your server can change in between.</p>
        </Confirm>
      )}
      {asked === 'delete' && (
        <Confirm
          title="Delete the endpoint?"
          action="Delete it"
          busy={remove.isPending}
          onConfirm={() => remove.mutate(id)}
          onClose={close}
        >
          <p>With its deliveries, for good. What is pending is not sent any more.</p>
        </Confirm>
      )}
      {made && <WebhookSecret secret={made.secret} onClose={() => setMade(null)} />}
    </>
  );
}

const statusTones = { pending: 'wait', delivered: 'good', failed: 'bad' } as const;
const statuses = Object.keys(statusTones) as WebhookDelivery['status'][];

function Sent({ id, may }: { id: string; may: boolean }) {
  const [{ status }, change] = useQueryState({ status: '' });
  const only = statuses.find((each) => each === status);
  const deliveries = usePages(
    ['deliveries', id, only ?? ''],
    () => graft.webhooks.deliveries.list(id, { limit: 50, ...(only && { status: only }) }),
    { refetchInterval: 5_000 },
  );
  const resend = useAction({
    run: (delivery: string) => graft.webhooks.deliveries.resend(id, delivery),
    touches: [['deliveries', id]],
    said: () => 'It is sent again.',
  });
  return (
    <>
      <div class="section-head">
        <h3>What was sent</h3>
        <Select
          label="Status"
          bare
          value={only ?? ''}
          onValue={(value) => change({ status: value })}
          options={[['', 'All'], ...statuses.map((each) => [each, each] as const)]}
        />
      </div>
      <Listing
        pages={deliveries}
        label="Deliveries"
        minWidth="54rem"
        empty={
          <Empty title={only ? `None is ${only}` : 'Nothing was sent yet'}>
            <p>Send a test to see whether it arrives. What is over is kept for 30 days.</p>
          </Empty>
        }
        columns={[
          {
            head: 'Event',
            names: true,
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
          { head: 'Made', width: '8rem', cell: (row) => <Time at={row.created_at} /> },
          { head: 'Tries', width: '5rem', end: true, cell: ({ attempts }) => count(attempts) },
          {
            head: 'Last answer',
            width: '16rem',
            cell: ({ last_status, last_error, next_attempt_at }) => (
              <>
                <span class="cut" title={last_error ?? undefined}>
                  {last_error ?? (last_status === null ? 'none yet' : last_status)}
                </span>
                {next_attempt_at !== null && (
                  <span class="small soft">
                    next try <Time at={next_attempt_at} />
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
              may && (
                <Button small kind="quiet" onClick={() => resend.mutate(row.id)}>
                  Send again
                </Button>
              ),
          },
        ]}
      />
    </>
  );
}
