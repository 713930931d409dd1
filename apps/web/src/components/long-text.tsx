import '../styles/components/disclosure.css';

/** Letters that are shown at first of a text that has more than half as many again. */
const shown = 120;

/** What a person or a program wrote, however long: the beginning, and the whole where it is wanted. */
export function LongText({ text }: { text: string }) {
  const letters = [...text];
  if (letters.length <= shown * 1.5) return <span class="long-text">{text}</span>;
  return (
    <details class="long-text">
      <summary>
        <span class="long-text-beginning">{letters.slice(0, shown).join('')}… </span>
        <span class="long-text-more">show all</span>
        <span class="long-text-less">show less</span>
      </summary>
      {text}
    </details>
  );
}
