/** Characters shown of a text longer than 1.5 times this. */
const excerptLength = 120;

export function LongText({ text }: { text: string }) {
  const letters = [...text];
  if (letters.length <= excerptLength * 1.5) return <span class="long-text">{text}</span>;
  return (
    <details class="long-text">
      <summary>
        <span class="long-text-beginning">{letters.slice(0, excerptLength).join('')}… </span>
        <span class="long-text-more">show all</span>
        <span class="long-text-less">show less</span>
      </summary>
      {text}
    </details>
  );
}
