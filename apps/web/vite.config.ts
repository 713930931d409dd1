import type { HtmlTagDescriptor, Plugin } from 'vite';
import { defineConfig } from 'vite';

/** The API that `npm run dashboard -- --dev` shows the pages of. */
const api = process.env.GRAFT_BASE_URL?.replace(/\/v1\/?$/, '') || 'http://127.0.0.1:8000';

/** The font of the first text, asked for with the page and not after the styles, so that nothing moves when it comes. */
const preloadFont: Plugin = {
  name: 'preload-font',
  transformIndexHtml: {
    order: 'post',
    handler: (_html, { bundle = {} }): HtmlTagDescriptor[] =>
      Object.keys(bundle)
        .filter((file) => /hanken-grotesk-latin-wght-normal.*\.woff2$/.test(file))
        .map((file) => ({
          tag: 'link',
          attrs: { rel: 'preload', as: 'font', type: 'font/woff2', href: `/${file}`, crossorigin: true },
          injectTo: 'head',
        })),
  },
};

export default defineConfig({
  root: import.meta.dirname,
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  plugins: [preloadFont],
  build: {
    target: 'es2023',
    // Inlined, they would be `data:` addresses, which the policy of the pages refuses.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // Each file costs a kilobyte of headers. So all styles are one: they are smaller than the headers of those of the first page,
    cssCodeSplit: false,
    // and so is what most pages need, which would be a file for each set of pages that share it.
    rolldownOptions: { output: { codeSplitting: { groups: [{ name: 'shared', minShareCount: 4 }] } } },
    reportCompressedSize: false,
  },
  server: { proxy: { '/v1': api, '/docs': api } },
});
