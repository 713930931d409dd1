/** A program that sets its niceness to its argument and prints that of a thread. */
import { setPriority } from 'node:os';
import { createThread } from '../thread.ts';

setPriority(Number(process.argv[2]));
const thread = createThread<null, number>(new URL('priority.ts', import.meta.url), 64);
console.log(await thread.call(null, { ms: 60_000 }));
await thread.close();
