/**
 * npm run docs:check [-- PAGE …]: runs the shell and Python snippets of README.md and docs/ against a Graft that it starts. With
 * prefixes such as `docs/jobs.md`, runs only those of matching pages, and of README.md, whose job the pages use. A snippet that cannot
 * run here has `<!-- docs:check skip: REASON -->` on the line before it. The exit code is 1 when a snippet fails.
 */
import { checkDocs, listSnippets } from './check-docs.ts';

const words = process.argv.slice(2);
const snippets = listSnippets().filter(
  ({ page }) => words.length === 0 || ['README.md', ...words].some((word) => page.startsWith(word)),
);
const count = { passed: 0, failed: 0, skipped: 0 };
const started = performance.now();
await checkDocs(snippets, ({ snippet, fault, seconds }) => {
  const place = `${snippet.page}:${snippet.line}`;
  if (snippet.skip !== null) {
    count.skipped += 1;
    console.log(`– ${place}: skipped, ${snippet.skip}`);
  } else if (fault === null) {
    count.passed += 1;
    console.log(`✔ ${place} (${seconds.toFixed(1)} s)`);
  } else {
    count.failed += 1;
    console.log(`✖ ${place}: ${fault}`);
  }
});
console.log(`${((performance.now() - started) / 1000).toFixed(0)} s; ${count.skipped} skipped`);
console.log(`${count.passed} passed, ${count.failed} failed`);
process.exitCode = count.failed > 0 || count.passed === 0 ? 1 : 0;
