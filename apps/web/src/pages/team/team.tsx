import { useParams } from 'wouter-preact';
import { PageHead } from '../../components/page-head.tsx';
import { Sections } from '../../components/sections.tsx';
import { useMay, useMe } from '../../data/session.ts';
import '../../styles/pages/team.css';
import { AuditLog } from './audit-log.tsx';
import { Keys } from './keys.tsx';
import { People } from './people.tsx';
import { Use } from './use.tsx';
import { Deliveries } from './webhooks/deliveries.tsx';
import { Webhooks } from './webhooks/webhooks.tsx';

/** Everything about the team but its work: who is in it, what gets in for it, what it used, whom it tells, and what was done. */
export function Team() {
  const { section = '', id } = useParams<{ section?: string; id?: string }>();
  const { team } = useMe();
  const items: (readonly [href: string, text: string])[] = [
    ['/team', 'People'],
    ['/team/keys', 'API keys'],
    ['/team/use', 'Use and limits'],
  ];
  if (useMay('webhooks:read', 'admin')) items.push(['/team/webhooks', 'Webhooks']);
  if (useMay('audit:read', 'admin')) items.push(['/team/audit', 'Audit log']);
  return (
    <>
      <PageHead title="Team">
        <p class="soft cut" title={team?.name}>
          {team?.name}
        </p>
      </PageHead>
      <Sections label="Parts of the team" items={items} />
      {section === '' && <People />}
      {section === 'keys' && <Keys />}
      {section === 'use' && <Use />}
      {section === 'webhooks' && (id === undefined ? <Webhooks /> : <Deliveries id={id} />)}
      {section === 'audit' && <AuditLog />}
    </>
  );
}
