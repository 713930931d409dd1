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
  /** Its navigation entry, shown to users for whom `for` returns true. */
  nav?: { text: string; icon: IconName; for: (me: Me) => boolean };
}

const hasTeam = (me: Me) => me.team !== null;

const team = lazyPage(async () => (await import('./pages/team/team.tsx')).Team);
const operator = lazyPage(async () => (await import('./pages/operator/operator.tsx')).Operator);

/** Every page, in the order of the navigation. The first match of a URL is shown. */
export const pages: readonly Page[] = [
  {
    path: '/jobs',
    page: lazyPage(async () => (await import('./pages/jobs/jobs.tsx')).Jobs),
    nav: { text: 'Jobs', icon: 'jobs', for: hasTeam },
  },
  {
    path: '/jobs/new',
    page: lazyPage(async () => (await import('./pages/new-job/new-job.tsx')).NewJob),
  },
  { path: '/jobs/:id', page: lazyPage(async () => (await import('./pages/job/job.tsx')).Job) },
  {
    path: '/compare',
    page: lazyPage(async () => (await import('./pages/compare/compare.tsx')).Compare),
    nav: { text: 'Compare', icon: 'compare', for: hasTeam },
  },
  {
    path: '/files',
    page: lazyPage(async () => (await import('./pages/files/files.tsx')).Files),
    nav: { text: 'Files', icon: 'data', for: hasTeam },
  },
  {
    path: '/files/:id',
    page: lazyPage(async () => (await import('./pages/file/file.tsx')).File),
  },
  {
    path: '/adapters',
    page: lazyPage(async () => (await import('./pages/adapters/adapters.tsx')).Adapters),
    nav: { text: 'Adapters', icon: 'tree', for: hasTeam },
  },
  {
    path: '/adapters/compare',
    page: lazyPage(async () => (await import('./pages/adapters/compare.tsx')).CompareAdapters),
  },
  {
    path: '/adapters/:id',
    page: lazyPage(async () => (await import('./pages/adapter/adapter.tsx')).AdapterPage),
  },
  {
    path: '/playground',
    page: lazyPage(async () => (await import('./pages/playground/playground.tsx')).Playground),
    nav: { text: 'Playground', icon: 'chat', for: hasTeam },
  },
  { path: '/team', page: team, nav: { text: 'Team', icon: 'people', for: hasTeam } },
  { path: '/team/:section/:id?', page: team },
  {
    path: '/operator',
    page: operator,
    nav: { text: 'Operator', icon: 'wrench', for: (me) => me.is_operator },
  },
  { path: '/operator/:section', page: operator },
  {
    path: '/invitations/accept',
    page: lazyPage(async () => (await import('./pages/invitation/invitation.tsx')).Invitation),
    isPublic: true,
  },
  {
    path: '/_components',
    page: lazyPage(async () => (await import('./pages/components/components.tsx')).Components),
  },
];
