import type { Page } from 'playwright-core';

/** Text and controls of a page that are cut or out of reach; at most ten. */
export async function layoutFaults(page: Page): Promise<string[]> {
  return await page.evaluate(() => {
    const faults: string[] = [];
    const report = (what: string, element: Element) => {
      const text = (element.textContent ?? '').trim().slice(0, 40);
      const place = [element, element.parentElement, element.parentElement?.parentElement]
        .map(
          (each) =>
            each && `${each.tagName.toLowerCase()}${each.className ? `.${String(each.className)}` : ''}`,
        )
        .join(' < ');
      faults.push(`${what}: ${place} "${text}"`);
    };
    const over = document.documentElement.scrollWidth - innerWidth;
    if (over > 0) faults.push(`the page is ${over} px wider than the window`);

    for (const element of document.body.querySelectorAll<HTMLElement>('*')) {
      const style = getComputedStyle(element);
      if (element.closest('.visually-hidden, .skip, option, .u-over')) continue;
      if (style.visibility === 'hidden' || element.getClientRects().length === 0) continue;
      const ownText = [...element.childNodes].some(
        ({ nodeType, textContent }) => nodeType === Node.TEXT_NODE && textContent!.trim() !== '',
      );
      const isControl = element.matches('button, input, select, textarea, a, summary');
      if (!ownText && !isControl) continue;

      const { left, right } = element.getBoundingClientRect();
      if ((right > innerWidth + 1 || left < -1) && !isScrolled(element)) report('out of reach', element);

      const cuts = style.overflowX === 'hidden' || style.overflowX === 'clip';
      const isCut = element.scrollWidth > element.clientWidth + 1 && style.display !== 'inline';
      if (isCut && cuts && !element.matches('input, select, textarea')) {
        if (style.textOverflow !== 'ellipsis') report('cut without an ellipsis', element);
        else if (!element.closest('[title]')) report('cut, without a title', element);
      }
      const isLow = element.scrollHeight > element.clientHeight + 2 && style.overflowY === 'hidden';
      if (isLow && ownText && !element.closest('[title]')) report('cut below', element);
      if (isCut && style.overflowX === 'visible' && !isScrolled(element))
        report('wider than its container', element);
    }
    for (const cell of document.body.querySelectorAll<HTMLTableCellElement>('td, th')) {
      if (cell.scrollWidth > cell.clientWidth + 1) report('wider than its column', cell);
      if (cell.scope === 'row' && cell.querySelector('.cut') && cell.clientWidth < 110)
        report('too narrow for a name', cell);
    }
    return [...new Set(faults)].slice(0, 10);

    function isScrolled(element: Element): boolean {
      for (let each = element.parentElement; each; each = each.parentElement) {
        const { overflowX } = getComputedStyle(each);
        if (overflowX === 'auto' || overflowX === 'scroll') return each.scrollWidth > each.clientWidth;
        // A clipping ancestor inside the window: the text itself is checked.
        if (overflowX === 'hidden' || overflowX === 'clip') {
          const { left, right } = each.getBoundingClientRect();
          if (right <= innerWidth + 1 && left >= -1) return true;
        }
      }
      return false;
    }
  });
}
