import type { Webhook, WebhookWithSecret } from '@graft/client';
import { useState } from 'preact/hooks';
import { Badge } from '../../../components/badge.tsx';
import { Cut } from '../../../components/cut.tsx';
import { DialogButton } from '../../../components/forms/form.tsx';
import { Secret } from '../../../components/forms/secret.tsx';
import { Listing } from '../../../components/lists/listing.tsx';
import { Time } from '../../../components/time.tsx';
import { graft } from '../../../data/graft.ts';
import { usePages } from '../../../data/pages.ts';
import { usePermission } from '../../../data/session.ts';
import { counted } from '../../../text/numbers.ts';
import { WebhookForm } from './webhook-form.tsx';

export function Webhooks() {
  const canEdit = usePermission('webhooks:write', 'admin');
  const [created, setCreated] = useState<WebhookWithSecret | null>(null);
  return (
    <section class="panel">
      <div class="section-head">
        <p class="soft">Graft sends signed events to your server, at least once.</p>
        {canEdit && (
          <DialogButton
            icon="add"
            kind="main"
            dialog={(close) => <WebhookForm onCreated={setCreated} onClose={close} />}
          >
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

export const WebhookSecret = ({ secret, onClose }: { secret: string; onClose: () => void }) => (
  <Secret title="Webhook secret" name="Webhook secret" text={secret} onClose={onClose}>
    <p>
      Your server verifies the signatures of events with it, for example with a Standard Webhooks library.
    </p>
  </Secret>
);

export function WebhookStatus({ webhook }: { webhook: Webhook }) {
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
