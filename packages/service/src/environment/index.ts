export * from './env.ts';
export { globToRegExp } from './hub-glob.ts';
export { memoryLimit } from './memory-limit.ts';
export { withoutFileSecrets } from './secret-files.ts';
export * from './thread-plan.ts';
