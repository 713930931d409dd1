/** The gallery of components in all their states. GRAFT_PICTURES names a folder for screenshots. */
import { after, before, test } from 'node:test';
import { type BrowserBench, openBrowserBench } from './browser-bench.ts';

let bench: BrowserBench;
before(async () => {
  bench = await openBrowserBench();
});
after(async () => await bench?.close());

for (const width of [390, 1280, 2560]) {
  for (const scheme of ['light', 'dark'] as const) {
    test(`the components fit at ${width} px, ${scheme}`, async () => {
      const visit = await bench.visit(bench.acme, '/_components', { width, scheme });
      await visit.page.getByRole('heading', { name: 'Components', level: 1 }).waitFor();
      await visit.checkAccess();
      await visit.picture(`components-${width}-${scheme}`);
      await visit.page.getByRole('button', { name: 'Confirmation' }).click();
      await visit.page.getByRole('dialog').waitFor();
      await visit.checkAccess();
      await visit.page.keyboard.press('Escape');
      await visit.page.getByRole('dialog').waitFor({ state: 'detached' });
      await visit.leave();
    });
  }
}
