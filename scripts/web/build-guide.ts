/// <reference path="eleventy.d.ts" />
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import Eleventy, { type Config, type PageData } from '@11ty/eleventy';
import { build } from 'esbuild';
import { buildFolder, root } from './built-folder.ts';
import { extendMarkdown, type RenderedPage, type Section, urlOf } from './guide-markdown.ts';

/** URLs of the files that every page loads. */
interface Assets {
  script: string;
  styles: string;
  font: string;
}

interface NavigationGroup {
  title: string;
  links: { title: string; url: string }[];
}

/** Reads the groups of pages from docs/README.md: a bold line, then a list of links. */
function readNavigation(readme: string): NavigationGroup[] {
  const groups: NavigationGroup[] = [];
  for (const line of readme.split('\n')) {
    const title = /^\*\*(.+)\*\*$/.exec(line)?.[1];
    if (title) groups.push({ title, links: [] });
    if (!line.startsWith('- ')) continue;
    for (const [, text, file] of line.matchAll(/\[([^\]]+)\]\(([^)]+)\)/g)) {
      groups.at(-1)!.links.push({ title: text![0]!.toUpperCase() + text!.slice(1), url: urlOf(file!) });
    }
  }
  return groups;
}

/** The HTML of a page. Has no inline script or style: the content security policy allows none. */
function guidePage(page: {
  url: string;
  /** The rendered Markdown. */
  content: string;
  sections: Section[];
  navigation: NavigationGroup[];
  assets: Assets;
}): string {
  const { url, content, sections, navigation, assets } = page;
  const title = sections[0]!.heading;
  const groups = navigation.map(
    (group) =>
      `<h2>${escapeHtml(group.title)}</h2><ul class="pages">${group.links
        .map(
          (link) =>
            `<li><a href="${link.url}"${link.url === url ? ' aria-current="page"' : ''}>${escapeHtml(link.title)}</a></li>`,
        )
        .join('')}</ul>`,
  );
  const contents = sections
    .filter(({ level }) => level === 2 || level === 3)
    .map(
      ({ level, id, heading }) =>
        `<li class="level-${level}"><a href="#${id}">${escapeHtml(heading)}</a></li>`,
    );
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escapeHtml(title)} · Graft</title>
<link rel="icon" type="image/svg+xml" href="/icon.svg">
<link rel="preload" as="font" type="font/woff2" href="${assets.font}" crossorigin>
<link rel="stylesheet" href="${assets.styles}">
<script type="module" src="${assets.script}"></script>
</head>
<body>
<a class="skip" href="#content">Skip to the text</a>
<header class="top">
<button class="menu" popovertarget="pages">Pages</button>
<a class="home" href="/docs/guide/">Graft guide</a>
<search class="search">
<input id="search" type="search" placeholder="Search" aria-label="Search the guide" autocomplete="off" spellcheck="false">
<div id="results" hidden></div>
</search>
<nav class="elsewhere" aria-label="Graft"><a href="/">Dashboard</a><a href="/docs">API reference</a></nav>
</header>
<nav id="pages" popover aria-label="Pages">${groups.join('')}</nav>
<main id="content">${scrollable(content)}</main>
${contents.length > 1 ? `<nav class="contents" aria-label="On this page"><h2>On this page</h2><ul class="headings">${contents.join('')}</ul></nav>` : ''}
</body>
</html>
`;
}

/** Lets the keyboard scroll code and tables that are wider than the window. */
const scrollable = (content: string) =>
  content
    .replaceAll('<pre>', '<pre tabindex="0">')
    .replaceAll('<table>', '<div class="table" tabindex="0"><table>')
    .replaceAll('<th></th>', '<td></td>')
    .replaceAll('</table>', '</table></div>');

const escapeHtml = (text: string) =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');

const app = join(root, 'apps/web');

/** Output folder, which the API serves at /docs/guide. */
export const guideFolder = join(app, 'guide/dist');

const sources = ['docs', 'apps/web/src/guide', 'apps/web/src/styles', 'scripts/web', 'package-lock.json'];

/**
 * Builds docs/ into a site, unless it is up to date: a page for each file, and the index of its search. Returns whether it built. A link
 * to a missing page or heading fails the build.
 */
export async function buildGuide(): Promise<boolean> {
  return await buildFolder(guideFolder, sources, async (folder) => {
    mkdirSync(folder, { recursive: true });
    const assets = await buildAssets(folder);
    const pages = await writePages(folder, assets);
    checkLinks(pages);
    writeFileSync(join(folder, 'search.json'), JSON.stringify(searchedSections(pages)));
  });
}

/** Bundles the script and styles, with hashes in their names. Returns their URLs. */
async function buildAssets(folder: string): Promise<Assets> {
  const { metafile } = await build({
    entryPoints: [join(app, 'src/guide/guide.ts'), join(app, 'src/guide/guide.css')],
    outdir: join(folder, 'assets'),
    entryNames: '[name]-[hash]',
    assetNames: '[name]-[hash]',
    absWorkingDir: root,
    bundle: true,
    minify: true,
    format: 'esm',
    target: 'es2023',
    loader: { '.woff2': 'file' },
    metafile: true,
    logLevel: 'warning',
  });
  const urls = Object.keys(metafile.outputs).map(
    (file) => `/docs/guide/${relative(folder, join(root, file))}`,
  );
  const find = (pattern: RegExp) => urls.find((url) => pattern.test(url))!;
  return {
    script: find(/\.js$/),
    styles: find(/\.css$/),
    font: find(/hanken-grotesk-latin-wght-normal.*\.woff2$/),
  };
}

/** Writes an HTML file for each Markdown file of docs/, and the images. */
async function writePages(folder: string, assets: Assets): Promise<Map<string, RenderedPage>> {
  const pages = new Map<string, RenderedPage>();
  const navigation = readNavigation(readFileSync(join(root, 'docs/README.md'), 'utf8'));
  const permalink = ({ page }: { page: PageData }) =>
    `${urlOf(page.inputPath.replace(/^(\.\/)?docs\//, '')).replace('/docs/guide/', '/')}index.html`;
  const eleventy = new Eleventy('docs', relative(root, folder), {
    quietMode: true,
    config: (config: Config) => {
      config.setTemplateFormats(['md']);
      config.addGlobalData('eleventyComputed', { permalink });
      config.addTemplate('decisions/README.md', decisionList());
      config.addPassthroughCopy({ 'docs/images': 'images' });
      config.amendLibrary('md', (md) => extendMarkdown(md, root, pages));
      config.addTransform('page', function (content) {
        const url = `/docs/guide${this.page.url}`;
        return guidePage({ url, content, sections: pages.get(url)!.sections, navigation, assets });
      });
    },
  });
  // Examples contain `{{ }}`, which is no template here.
  await eleventy.initializeConfig({ markdownTemplateEngine: false });
  await eleventy.write();
  return pages;
}

function decisionList(): string {
  const files = readdirSync(join(root, 'docs/decisions')).filter((file) => file.endsWith('.md'));
  const titles = files.map((file) => {
    const title = /^# (.+)$/m.exec(readFileSync(join(root, 'docs/decisions', file), 'utf8'))![1];
    return `- [${title}](${file})`;
  });
  return `# Decisions\n\nWhy Graft is built as it is.\n\n${titles.join('\n')}\n`;
}

function checkLinks(pages: Map<string, RenderedPage>): void {
  const dead = [...pages].flatMap(([url, { links }]) =>
    links
      .filter(({ page, anchor }) => {
        const sections = pages.get(page)?.sections;
        return !sections || (anchor !== null && !sections.some(({ id }) => id === anchor));
      })
      .map(({ written }) => `${url}: ${written}`),
  );
  if (dead.length > 0) throw new Error(`dead links in docs/:\n${dead.join('\n')}`);
}

/** The sections of all pages but the decisions, as the search reads them. */
function searchedSections(pages: Map<string, RenderedPage>) {
  return [...pages]
    .filter(([url]) => !url.includes('/decisions/'))
    .flatMap(([url, { sections }]) =>
      sections.map(({ level, id, heading, text }) => ({
        id: level === 1 ? url : `${url}#${id}`,
        title: sections[0]!.heading,
        heading: level === 1 ? '' : heading,
        text: text.replaceAll(/\s+/g, ' ').trim(),
      })),
    );
}
