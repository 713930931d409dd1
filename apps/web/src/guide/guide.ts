/** Search of the guide: loads the sections of all pages at the first key, and finds those with the words, in the browser. */
import MiniSearch from 'minisearch';

/** A row of search.json. */
interface Section {
  /** URL with the anchor of the heading. */
  id: string;
  title: string;
  /** Empty for the start of a page. */
  heading: string;
  text: string;
}

const maxResults = 20;
/** Characters shown around the first match. */
const excerptLength = 140;

const field = document.querySelector<HTMLInputElement>('#search')!;
const results = document.querySelector<HTMLElement>('#results')!;
let index: Promise<MiniSearch<Section>> | null = null;

async function loadIndex(): Promise<MiniSearch<Section>> {
  const response = await fetch('/docs/guide/search.json');
  if (!response.ok) throw new Error(`search.json: ${response.status}`);
  const search = new MiniSearch<Section>({
    fields: ['title', 'heading', 'text'],
    storeFields: ['title', 'heading', 'text'],
    // Keeps names such as `learning_rate` and `--max-steps` whole, and finds their parts too.
    tokenize: (text) =>
      text.split(/[^\p{L}\p{N}_.-]+/u).flatMap((word) => {
        const parts = word.split(/[_.-]+/).filter(Boolean);
        return parts.length > 1 ? [word.replace(/^[-.]+|[-.]+$/g, ''), ...parts] : parts;
      }),
    searchOptions: {
      boost: { title: 4, heading: 3 },
      prefix: true,
      fuzzy: (term) => (term.length > 5 ? 0.15 : false),
      combineWith: 'AND',
    },
  });
  search.addAll((await response.json()) as Section[]);
  return search;
}

async function show(): Promise<void> {
  const query = field.value.trim();
  if (query === '') return close();
  index ??= loadIndex();
  const search = await index.catch(() => null);
  if (search === null) index = null;
  // A later key has its own results.
  if (field.value.trim() !== query) return;
  const found = search?.search(query).slice(0, maxResults) ?? [];
  const items = found.map((hit) => {
    const link = document.createElement('a');
    link.href = hit.id;
    const where = document.createElement('strong');
    where.textContent = hit.heading ? `${hit.title} › ${hit.heading}` : hit.title;
    const excerpt = document.createElement('span');
    excerpt.append(...highlighted(excerptOf(hit.text, hit.terms), hit.terms));
    link.append(where, excerpt);
    return link;
  });
  const status = document.createElement('p');
  status.setAttribute('role', 'status');
  status.textContent =
    search === null ? 'The search did not load. Try again.' : found.length === 0 ? 'Nothing found.' : '';
  results.replaceChildren(status, ...items);
  results.hidden = false;
}

function close(): void {
  results.hidden = true;
  results.replaceChildren();
}

function excerptOf(text: string, terms: string[]): string {
  const lower = text.toLowerCase();
  const at = Math.min(...terms.map((term) => lower.indexOf(term)).filter((place) => place >= 0));
  if (!Number.isFinite(at) || at < excerptLength / 2) return text.slice(0, excerptLength);
  const start = text.indexOf(' ', at - excerptLength / 2) + 1;
  return `…${text.slice(start, start + excerptLength)}`;
}

/** The text in pieces, with the terms marked. */
function highlighted(text: string, terms: string[]): (string | HTMLElement)[] {
  const pattern = terms.map((term) => term.replaceAll('.', '\\.')).join('|');
  return text.split(new RegExp(`(${pattern})`, 'giu')).map((piece, i) => {
    if (i % 2 === 0) return piece;
    const mark = document.createElement('mark');
    mark.textContent = piece;
    return mark;
  });
}

field.addEventListener('input', () => void show());
field.addEventListener('focus', () => void show());
document.addEventListener('click', ({ target }) => {
  if (!(target as Element).closest('search')) close();
});
document.addEventListener('keydown', (event) => {
  const { key, target } = event;
  const links = [...results.querySelectorAll('a')];
  const isInSearch = (target as Element).closest('search') !== null;
  if (key === '/' && target !== field) {
    field.focus();
    event.preventDefault();
  } else if (isInSearch && key === 'Escape') {
    field.focus();
    close();
  } else if (target === field && key === 'Enter') links[0]?.click();
  else if (isInSearch && (key === 'ArrowDown' || key === 'ArrowUp')) {
    const next = links.indexOf(target as HTMLAnchorElement) + (key === 'ArrowDown' ? 1 : -1);
    (links[next] ?? (next < 0 ? field : links.at(-1)))?.focus();
    event.preventDefault();
  }
});

document.querySelector('[aria-current="page"]')?.scrollIntoView({ block: 'nearest' });
