import { Empty } from '../../components/empty.tsx';
import { PageHead } from '../../components/page-head.tsx';
import { Sections } from '../../components/tabs.tsx';
import { useMe } from '../../data/session.ts';
import { BaseModels } from './base-models.tsx';
import { Health } from './health.tsx';
import { Queue } from './queue.tsx';
import { Teams } from './teams.tsx';
import { Workers } from './workers.tsx';

const sections = [
  { name: '', text: 'Health', Content: Health },
  { name: 'workers', text: 'Workers', Content: Workers },
  { name: 'queue', text: 'Queue', Content: Queue },
  { name: 'teams', text: 'Teams', Content: Teams },
  { name: 'base-models', text: 'Base models', Content: BaseModels },
];

/** Pages for the operator: health, workers, queue, teams and base models. They show no team data. */
export function Operator() {
  if (!useMe().is_operator) {
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
      <Sections label="Operator sections" path="/operator" sections={sections} />
    </>
  );
}
