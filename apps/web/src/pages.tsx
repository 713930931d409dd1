import type { Me } from '@graft/client';
import type { FunctionComponent } from 'preact';
import type { IconName } from './components/icon.tsx';
import { lazyPage } from './components/lazy-page.tsx';

export interface Page {
  /** A wouter pattern. Its first segment must also be listed in `dashboardPaths` of apps/api/src/plugins/dashboard.ts. */
  path: string;
  page: FunctionComponent;
  /** Shown without the navigation, also to users who are not signed in. */
  isPublic?: true;
}

const team = lazyPage(() => import('./pages/team/team.tsx'), 'Team');
const operator = lazyPage(() => import('./pages/operator/operator.tsx'), 'Operator');

/** Every page. The first match of a URL is shown. */
export const pages: readonly Page[] = [
  { path: '/jobs', page: lazyPage(() => import('./pages/jobs/jobs.tsx'), 'Jobs') },
  { path: '/jobs/new', page: lazyPage(() => import('./pages/new-job/new-job.tsx'), 'NewJob') },
  { path: '/jobs/:id', page: lazyPage(() => import('./pages/job/job.tsx'), 'Job') },
  { path: '/compare', page: lazyPage(() => import('./pages/compare/compare.tsx'), 'Compare') },
  { path: '/files', page: lazyPage(() => import('./pages/files/files.tsx'), 'Files') },
  { path: '/files/:id', page: lazyPage(() => import('./pages/file/file.tsx'), 'File') },
  { path: '/adapters', page: lazyPage(() => import('./pages/adapters/adapters.tsx'), 'Adapters') },
  {
    path: '/adapters/compare',
    page: lazyPage(() => import('./pages/adapters/compare.tsx'), 'CompareAdapters'),
  },
  {
    path: '/adapters/combine',
    page: lazyPage(() => import('./pages/adapters/combine.tsx'), 'CombineAdapters'),
  },
  { path: '/adapters/:id', page: lazyPage(() => import('./pages/adapter/adapter.tsx'), 'AdapterPage') },
  { path: '/playground', page: lazyPage(() => import('./pages/playground/playground.tsx'), 'Playground') },
  { path: '/team', page: team },
  { path: '/team/:section/:id?', page: team },
  { path: '/operator', page: operator },
  { path: '/operator/:section', page: operator },
  {
    path: '/invitations/accept',
    page: lazyPage(() => import('./pages/invitation/invitation.tsx'), 'Invitation'),
    isPublic: true,
  },
  { path: '/_components', page: lazyPage(() => import('./pages/components/components.tsx'), 'Components') },
];

interface NavigationEntry {
  path: string;
  text: string;
  icon: IconName;
}

const operatorEntry: NavigationEntry = { path: '/operator', text: 'Operator', icon: 'wrench' };
const teamEntries: readonly NavigationEntry[] = [
  { path: '/jobs', text: 'Jobs', icon: 'jobs' },
  { path: '/compare', text: 'Compare', icon: 'compare' },
  { path: '/files', text: 'Files', icon: 'data' },
  { path: '/adapters', text: 'Adapters', icon: 'tree' },
  { path: '/playground', text: 'Playground', icon: 'chat' },
  { path: '/team', text: 'Team', icon: 'people' },
];

export const navigation = ({ team, is_operator }: Me): NavigationEntry[] => [
  ...(team ? teamEntries : []),
  ...(is_operator ? [operatorEntry] : []),
];
