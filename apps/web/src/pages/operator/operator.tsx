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

/** Pages for the operator: health, workers, queue, teams and base models. They show no team data. */
export function Operator() {
  const { section = '' } = useParams<{ section?: string }>();
  const { is_operator } = useMe();
  if (!is_operator) {
    return (
      <>
        <PageHead title="Operator" />
        <Empty title="Operator access required">
          <p>
            Sign in with an operator key, created with <code>graft admin operator-keys create</code>, or
            through an operator group of your identity provider.
          </p>
        </Empty>
      </>
    );
  }
  return (
    <>
      <PageHead title="Operator" />
      <Sections label="Operator sections" items={items} />
      {section === '' && <Health />}
      {section === 'workers' && <Workers />}
      {section === 'queue' && <Queue />}
      {section === 'teams' && <Teams />}
      {section === 'base-models' && <BaseModels />}
    </>
  );
}
