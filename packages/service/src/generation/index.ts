export { GenerationError } from './ask-workers.ts';
export * from './generate.ts';
