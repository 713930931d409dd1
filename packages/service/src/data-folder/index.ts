export { dataFolder } from './data-folder.ts';
export * from './secure-data-folder.ts';
