#!/usr/bin/env node
// Node 20 runs no TypeScript by itself: tsx compiles the command's files as they load, and caches them.
import { register } from 'tsx/esm/api';

register();
await import('../src/main.ts');
