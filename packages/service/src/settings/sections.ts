/** All settings of Graft by section, from which docs/configuration.md and .env.example are generated (`npm run config:docs`). */
import { limitSettings, monitoringSettings, secretSettings, signInSettings, teamSettings } from './access.ts';
import { clientSettings, modelSettings, processSettings, setupSettings } from './basics.ts';
import { databaseSettings, outboundSettings, storageSettings, uploadSettings } from './data.ts';
import {
  containerSettings,
  jobSettings,
  servingSettings,
  workerAddressSettings,
  workerSettings,
} from './jobs.ts';
import type { Section } from './setting.ts';

export const sections: readonly Section[] = [
  { title: 'Addresses, folders and logs', settings: processSettings },
  { title: 'Database and queue', settings: databaseSettings },
  {
    title: 'Secrets',
    intro: 'Placeholders such as `CHANGE-ME` are refused at start.',
    settings: secretSettings,
  },
  { title: 'Storage', settings: storageSettings },
  { title: 'Uploads', settings: uploadSettings },
  { title: 'Base models', settings: modelSettings },
  {
    title: 'Jobs',
    intro: 'Leases and preemption are explained in [fairness.md](fairness.md).',
    settings: jobSettings,
  },
  { title: 'Workers', settings: { ...workerAddressSettings, ...workerSettings, ...containerSettings } },
  { title: 'Serving', intro: '[serving.md](serving.md) explains these settings.', settings: servingSettings },
  { title: 'Sign-in', settings: signInSettings },
  {
    title: 'Limits',
    intro:
      'Over a limit the response is 429 with `Retry-After`; a connection is closed. Rates count all API processes together. An address may be a proxy with many keys behind it. [limits.md](limits.md) has the limits of teams.',
    settings: { ...limitSettings, ...teamSettings },
  },
  { title: 'Webhooks and experiment tracking', settings: outboundSettings },
  { title: 'Monitoring', settings: monitoringSettings },
  { title: 'Setup and tests', settings: setupSettings },
  { title: 'Clients', settings: clientSettings },
];

/** Rows that API, worker and admin commands read. */
export const sharedSettings = {
  ...processSettings,
  ...databaseSettings,
  ...secretSettings,
  ...storageSettings,
  ...uploadSettings,
  ...modelSettings,
  ...jobSettings,
  ...workerAddressSettings,
  ...teamSettings,
  ...outboundSettings,
  ...monitoringSettings,
};

export const settings = {
  ...sharedSettings,
  ...workerSettings,
  ...containerSettings,
  ...servingSettings,
  ...signInSettings,
  ...limitSettings,
  ...setupSettings,
  ...clientSettings,
};
export type SettingName = keyof typeof settings;
