#!/usr/bin/env node
// What PRISMA_SCHEMA_ENGINE_BINARY names: Prisma's CLI starts it as it would its native engine.
import { register } from 'tsx/esm/api';

register();
await import('./serve.ts');
