import { useParams } from 'wouter-preact';
import { PageHead } from '../../components/page-head.tsx';
import { Sections } from '../../components/sections.tsx';
import { useMe, usePermission } from '../../data/session.ts';
import '../../styles/pages/team.css';
import { AuditLog } from './audit-log.tsx';
import { Keys } from './keys.tsx';
import { Limits } from './limits.tsx';
import { Members } from './members.tsx';
import { Deliveries } from './webhooks/deliveries.tsx';
import { Webhooks } from './webhooks/webhooks.tsx';

/** The team's members, API keys, usage and limits, webhooks and audit log. */
export function Team() {
  const { section = '', id } = useParams<{ section?: string; id?: string }>();
  const { team } = useMe();
  const items: (readonly [href: string, text: string])[] = [
    ['/team', 'Members'],
    ['/team/keys', 'API keys'],
    ['/team/use', 'Usage and limits'],
  ];
  if (usePermission('webhooks:read', 'admin')) items.push(['/team/webhooks', 'Webhooks']);
  if (usePermission('audit:read', 'admin')) items.push(['/team/audit', 'Audit log']);
  return (
    <>
      <PageHead title="Team">
        <p class="soft cut" title={team?.name}>
          {team?.name}
        </p>
      </PageHead>
      <Sections label="Team sections" items={items} />
      {section === '' && <Members />}
      {section === 'keys' && <Keys />}
      {section === 'use' && <Limits />}
      {section === 'webhooks' && (id === undefined ? <Webhooks /> : <Deliveries id={id} />)}
      {section === 'audit' && <AuditLog />}
    </>
  );
}
