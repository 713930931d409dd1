export { setupSettings } from './basics.ts';
export { servingSettings, workerSettings } from './jobs.ts';
export { type SettingReader, type SettingsOf, settingReader } from './read-settings.ts';
