import { useParams } from 'wouter-preact';
import { Empty } from '../../components/empty.tsx';
import { PageHead } from '../../components/page-head.tsx';
import { Sections } from '../../components/sections.tsx';
import { useMe } from '../../data/session.ts';
import '../../styles/pages/team.css';
import { BaseModels } from './base-models.tsx';
import { Health } from './health.tsx';
import { Queue } from './queue.tsx';
import { Teams } from './teams.tsx';
import { Workers } from './workers.tsx';

const items = [
  ['/operator', 'Health'],
  ['/operator/workers', 'Workers'],
  ['/operator/queue', 'Queue'],
  ['/operator/teams', 'Teams'],
  ['/operator/base-models', 'Base models'],
] as const;

/** The service itself: its machines, whose turn it is, what it trains on. It shows nothing that is a team's. */
export function Operator() {
  const { section = '' } = useParams<{ section?: string }>();
  const { is_operator } = useMe();
  if (!is_operator) {
    return (
      <>
        <PageHead title="Operator" />
        <Empty title="This is for the operator">
          <p>
            Whoever runs Graft signs in with a key of the operator, made by{' '}
            <code>graft admin operator-keys create</code>, or by a group at the provider.
          </p>
        </Empty>
      </>
    );
  }
  return (
    <>
      <PageHead title="Operator" />
      <Sections label="Parts of the service" items={items} />
      {section === '' && <Health />}
      {section === 'workers' && <Workers />}
      {section === 'queue' && <Queue />}
      {section === 'teams' && <Teams />}
      {section === 'base-models' && <BaseModels />}
    </>
  );
}
