#!/usr/bin/env node
// Target of PRISMA_SCHEMA_ENGINE_BINARY: Prisma's CLI starts it as it would its native engine.
import { register } from 'tsx/esm/api';

register();
await import('./serve.ts');
