/**
 * `npm run demo`: starts Graft, uploads a data file, trains an adapter on SmolLM2-135M-Instruct, and calls the base model
 * and the adapter on examples that neither was trained on. Everything goes through the HTTP API, as a user's own program
 * would. Exit code 1 when the adapter is not as much better as its method should make it, 2 for wrong usage.
 */
import path from 'node:path';
import { type DemoOptions, readOptions, usage } from './options.ts';
import { runDemo } from './run-demo.ts';

const root = path.resolve(import.meta.dirname, '../..');

let options: DemoOptions | null;
try {
  options = readOptions(root, process.argv.slice(2), process.env);
} catch (error) {
  console.error(`${(error as Error).message}\nnpm run demo -- --help shows how`);
  process.exit(2);
}
if (options === null) {
  console.log(usage);
  process.exit(0);
}
try {
  process.exit((await runDemo(root, options)) ? 0 : 1);
} catch (error) {
  console.error(`\nThis demo failed: ${(error as Error).message}`);
  process.exit(1);
}
