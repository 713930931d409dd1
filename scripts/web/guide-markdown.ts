import { existsSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import type { PageData } from '@11ty/eleventy';
import type MarkdownIt from 'markdown-it';
import type { StateCore, Token } from 'markdown-it';

/** A heading of a page, with the text up to the next one. */
export interface Section {
  /** Heading level: 1 is the page's title. */
  level: number;
  /** Anchor of the heading, as GitHub creates it. */
  id: string;
  heading: string;
  text: string;
}

export interface RenderedPage {
  sections: Section[];
  /** Links to other pages: their URL without and with anchor, and the link as written. */
  links: { page: string; anchor: string | null; written: string }[];
}

/** URL of the page of a Markdown file, whose path is relative to docs/. */
export const urlOf = (file: string): string =>
  `/docs/guide/${file
    .replace(/(^|\/)README\.md$/, '$1')
    .replace(/\.md$/, '/')
    .replace(/([^/])$/, '$1/')}`;

/**
 * Extends Markdown for pages of docs/: headings get anchors, links between pages lead to their URLs, links to other files of the
 * repository become text, and comments and inline styles are left out. Adds each page to `pages`, by URL. Throws for a link to a file
 * that does not exist.
 */
export function extendMarkdown(md: MarkdownIt, root: string, pages: Map<string, RenderedPage>): void {
  md.core.ruler.push('guide', (state: StateCore) => {
    const { page } = state.env as { page: PageData };
    const rendered: RenderedPage = { sections: [], links: [] };
    const url = `/docs/guide${page.url}`;
    pages.set(url, rendered);
    const docs = join(root, 'docs');
    const folder = dirname(normalize(page.inputPath).replace(/^docs\//, ''));
    state.tokens = state.tokens.filter(({ type }) => type !== 'html_block');
    for (const [i, token] of state.tokens.entries()) {
      alignByClass(token);
      if (token.type === 'heading_open') {
        const heading = plainText(state.tokens[i + 1]!);
        const id = anchorOf(heading, rendered.sections);
        token.attrSet('id', id);
        rendered.sections.push({ level: Number(token.tag.slice(1)), id, heading, text: '' });
        continue;
      }
      const section = rendered.sections.at(-1);
      if (section && state.tokens[i - 1]?.type !== 'heading_open') {
        if (token.type === 'inline') section.text += `${plainText(token)} `;
        if (token.type === 'fence') section.text += `${token.content} `;
      }
      if (token.children) token.children = resolveLinks(token.children);
    }

    function resolveLinks(children: Token[]): Token[] {
      let isText = false;
      return children.filter((child) => {
        if (child.type === 'html_inline') return false;
        if (child.type === 'image') {
          const target = normalize(join(folder, child.attrGet('src')!));
          if (!existsSync(join(docs, target))) throw new Error(`${page.inputPath}: no image ${target}`);
          child.attrSet('src', `/docs/guide/${target}`);
        }
        if (child.type === 'link_close' && isText) {
          isText = false;
          return false;
        }
        if (child.type !== 'link_open') return true;
        const written = child.attrGet('href')!;
        if (/^(https?|mailto):/.test(written)) return true;
        const [path, anchor = null] = written.split('#') as [string, string?];
        const file = path ? normalize(join(folder, path)) : null;
        if (file !== null && !existsSync(join(docs, file))) {
          throw new Error(`${page.inputPath}: no file for the link ${written}`);
        }
        if (file?.startsWith('../')) {
          isText = true;
          return false;
        }
        const target = file === null ? url : urlOf(file);
        rendered.links.push({ page: target, anchor, written });
        child.attrSet('href', anchor === null ? target : `${target}#${anchor}`);
        return true;
      });
    }
  });
}

/** Replaces the inline style of a column's alignment, which the content security policy blocks, with a class. */
function alignByClass(token: Token): void {
  const style = token.attrGet('style');
  if (style === null) return;
  token.attrs = token.attrs!.filter(([name]) => name !== 'style');
  if (/right/.test(style)) token.attrJoin('class', 'number');
}

function plainText(token: Token): string {
  const texts = (token.children ?? []).map(({ type, content }) => (type === 'softbreak' ? ' ' : content));
  return texts.join('');
}

/** The anchor that GitHub creates for a heading. */
function anchorOf(heading: string, earlier: Section[]): string {
  const id = heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-');
  const others = earlier.filter((section) => section.id.replace(/-\d+$/, '') === id).length;
  return others === 0 ? id : `${id}-${others}`;
}
