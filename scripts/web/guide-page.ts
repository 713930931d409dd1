import type { Section } from './guide-markdown.ts';
import { urlOf } from './guide-markdown.ts';

/** URLs of the files that every page loads. */
export interface Assets {
  script: string;
  styles: string;
  font: string;
}

interface NavigationGroup {
  title: string;
  links: { title: string; url: string }[];
}

/** Reads the groups of pages from docs/README.md: a bold line, then a list of links. */
export function readNavigation(readme: string): NavigationGroup[] {
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
export function guidePage(page: {
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
