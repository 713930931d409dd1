import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { bindMigrationAwareSqlAdapterFactory } from '@prisma/driver-adapter-utils';
import * as glue from '@prisma/schema-engine-wasm/schema_engine_bg';
import { migrationAdapter } from './migration-adapter.ts';

/** Node has it, but only TypeScript's library for browsers declares its types. */
declare const WebAssembly: {
  Module: new (bytes: Uint8Array) => object;
  Instance: new (module: object, imports: Record<string, object>) => { exports: Record<string, unknown> };
};

/** The engine's methods by the names that Prisma's CLI calls. */
export type SchemaEngine = Record<string, (params: unknown) => Promise<unknown>>;

/** Prisma's schema engine from its WebAssembly build. `datamodels` are `[path, source]`. */
export async function loadEngine(url: URL, datamodels: [string, string][]): Promise<SchemaEngine> {
  // The package's entry imports its .wasm file, which Node does not do: instantiate it by hand.
  const entry = createRequire(import.meta.url).resolve('@prisma/schema-engine-wasm');
  const wasm = new WebAssembly.Module(readFileSync(path.join(path.dirname(entry), 'schema_engine_bg.wasm')));
  const { exports } = new WebAssembly.Instance(wasm, { './schema_engine_bg.js': glue });
  // Where the engine's panics leave their message.
  Object.assign(globalThis, {
    PRISMA_WASM_PANIC_REGISTRY: {
      set_message: (message: string) => process.stderr.write(`schema engine: ${message}\n`),
    },
  });
  glue.__wbg_set_wasm(exports);
  (exports.__wbindgen_start as () => void)();
  const engine = await glue.SchemaEngine.new(
    { datamodels: datamodels.length > 0 ? datamodels : undefined },
    () => {},
    bindMigrationAwareSqlAdapterFactory(migrationAdapter(url)),
  );
  return engine as unknown as SchemaEngine;
}
