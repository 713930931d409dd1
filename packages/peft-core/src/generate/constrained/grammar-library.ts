import { readFileSync } from 'node:fs';
import Module, { createRequire } from 'node:module';
import type * as XGrammar from '@mlc-ai/web-xgrammar';

/** Maximum memory of the library in a thread. Vocabularies of 250,000 tokens take about 100 MiB. */
const MAX_BYTES = 768 * 2 ** 20;

/** WebAssembly.Memory, which Node's types lack. */
interface Memory {
  buffer: ArrayBuffer;
  grow(this: Memory, pages: number): number;
}

/**
 * Loads XGrammar into this thread, with a limit on its memory. The package contains a CommonJS bundle in a folder that is marked as ES
 * modules, so neither `import` nor `require` finds its exports. A failure of any kind ends the library with an abort; it is then unusable.
 */
export function loadGrammarLibrary(): typeof XGrammar {
  const file = createRequire(import.meta.url).resolve('@mlc-ai/web-xgrammar');
  const { prototype } = (globalThis as unknown as { WebAssembly: { Memory: { prototype: Memory } } })
    .WebAssembly.Memory;
  const { grow } = prototype;
  prototype.grow = function (pages) {
    if (this.buffer.byteLength + pages * 65_536 > MAX_BYTES)
      throw new RangeError('the memory limit is reached');
    return grow.call(this, pages);
  };
  const bundle = new Module(file) as Module & { _compile(source: string, file: string): void };
  bundle.filename = file;
  bundle._compile(readFileSync(file, 'utf8'), file);
  return bundle.exports as typeof XGrammar;
}
