import type { HtmlTagDescriptor, Plugin } from 'vite';
import { defineConfig } from 'vite';

/** The API behind `npm run dashboard -- --dev`. */
const api = process.env.GRAFT_BASE_URL?.replace(/\/v1\/?$/, '') || 'http://127.0.0.1:8000';

/** Preloads the main font, so that it is there before the first paint and text does not shift. */
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
    // Inlined assets would be `data:` URLs, which the content security policy blocks.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // Each file costs a kilobyte of headers. So all styles are in one file,
    cssCodeSplit: false,
    // and so is the code that several pages share.
    rolldownOptions: { output: { codeSplitting: { groups: [{ name: 'shared', minShareCount: 4 }] } } },
    reportCompressedSize: false,
  },
  server: { proxy: { '/v1': api, '/docs': api } },
});
