import { PageHead } from '../../components/page-head.tsx';

export function Jobs() {
  return <PageHead title="Jobs" />;
}
