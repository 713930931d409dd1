import { Cut } from '../../components/cut.tsx';
import { PageHead } from '../../components/page-head.tsx';
import { Sections } from '../../components/tabs.tsx';
import { useMe, usePermission } from '../../data/session.ts';
import { AuditLog } from './audit-log.tsx';
import { HubToken } from './hub-token.tsx';
import { Keys } from './keys.tsx';
import { Limits } from './limits.tsx';
import { Members } from './members.tsx';
import { Webhooks } from './webhooks.tsx';

/** The team's members, API keys, usage and limits, webhooks and audit log. */
export function Team() {
  const { team } = useMe();
  const sections = [
    { name: '', text: 'Members', Content: Members },
    { name: 'keys', text: 'API keys', Content: Keys },
    { name: 'use', text: 'Usage and limits', Content: Limits },
    {
      name: 'webhooks',
      text: 'Webhooks',
      Content: Webhooks,
      isUnlisted: !usePermission('webhooks:read', 'admin'),
    },
    {
      name: 'hub',
      text: 'Hugging Face Hub',
      Content: HubToken,
      isUnlisted: !usePermission('integrations:read', 'viewer'),
    },
    {
      name: 'audit',
      text: 'Audit log',
      Content: AuditLog,
      isUnlisted: !usePermission('audit:read', 'admin'),
    },
  ];
  return (
    <>
      <PageHead title="Team">
        <Cut text={team?.name} class="soft" />
      </PageHead>
      <Sections label="Team sections" path="/team" sections={sections} />
    </>
  );
}
