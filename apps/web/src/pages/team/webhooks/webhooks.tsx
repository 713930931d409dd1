import type { Webhook, WebhookWithSecret } from '@graft/client';
import { useState } from 'preact/hooks';
import { Link } from 'wouter-preact';
import { Badge } from '../../../components/badge.tsx';
import { Empty } from '../../../components/empty.tsx';
import { Button } from '../../../components/forms/button.tsx';
import { Listing } from '../../../components/lists/listing.tsx';
import { Time } from '../../../components/time.tsx';
import { graft } from '../../../data/graft.ts';
import { usePages } from '../../../data/pages.ts';
import { useMay } from '../../../data/session.ts';
import { counted } from '../../../text/numbers.ts';
import { WebhookForm } from './webhook-form.tsx';
import { WebhookSecret } from './webhook-secret.tsx';

/** Where the team is told of its jobs. */
export function Webhooks() {
  const may = useMay('webhooks:write', 'admin');
  const webhooks = usePages(['webhooks'], () => graft.webhooks.list());
  const [isMaking, setIsMaking] = useState(false);
  const [made, setMade] = useState<WebhookWithSecret | null>(null);
  const add = may && (
    <Button icon="add" kind="main" onClick={() => setIsMaking(true)}>
      Add an endpoint
    </Button>
  );
  return (
    <section class="section">
      <div class="section-head">
        <p class="soft">Graft tells your server when jobs end, signed and at least once.</p>
        {add}
      </div>
      <Listing
        pages={webhooks}
        label="Webhook endpoints"
        minWidth="44rem"
        empty={
          <Empty title="Nobody is told yet">
            <p>An endpoint is an address of yours that takes a POST by https.</p>
          </Empty>
        }
        columns={[
          {
            head: 'Address',
            names: true,
            cell: ({ id, url, description }) => (
              <>
                <Link class="cut" href={`/team/webhooks/${id}`} title={url}>
                  {url}
                </Link>
                {description && (
                  <span class="cut small soft" title={description}>
                    {description}
                  </span>
                )}
              </>
            ),
          },
          {
            head: 'Is told',
            width: '12rem',
            cell: ({ events }) => `${counted(events.length, 'kind')} of events`,
          },
          { head: 'State', width: '13rem', cell: (row) => <WebhookState of={row} /> },
          { head: 'Added', width: '8rem', cell: (row) => <Time at={row.created_at} /> },
        ]}
      />
      {isMaking && (
        <WebhookForm
          onClose={() => setIsMaking(false)}
          onDone={(webhook) => {
            setIsMaking(false);
            if ('secret' in webhook) setMade(webhook);
          }}
        />
      )}
      {made && <WebhookSecret secret={made.secret} onClose={() => setMade(null)} />}
    </section>
  );
}

export function WebhookState({ of: row }: { of: Webhook }) {
  if (!row.enabled) {
    return (
      <Badge tone="bad" {...(row.disabled_reason && { title: row.disabled_reason })}>
        off
      </Badge>
    );
  }
  if (row.failing_since === null) return <Badge tone="good">works</Badge>;
  return (
    <>
      <Badge tone="wait">fails</Badge> since <Time at={row.failing_since} />
    </>
  );
}
