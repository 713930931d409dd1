import { Cut } from '../../../components/cut.tsx';
import { cosines } from './cosines.ts';

/** A table of the cosines of all pairs of texts; the closer, the stronger the colour. */
export function Similarities({
  texts,
  vectors,
}: {
  texts: readonly string[];
  vectors: readonly (readonly number[])[];
}) {
  const rows = cosines(vectors);
  return (
    <div class="similarities">
      <table>
        <caption class="visually-hidden">Cosine similarity of each pair of texts</caption>
        <thead>
          <tr>
            <th scope="col">Text</th>
            {texts.map((text, i) => (
              <th key={i} scope="col" title={text}>
                {i + 1}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row, i) => (
            <tr key={i}>
              <th scope="row">
                {i + 1} <Cut text={texts[i]!} />
              </th>
              {row.map((value, j) => (
                <td key={j} style={{ '--share': `${Math.round(Math.max(0, value) * 70)}%` }}>
                  {value.toFixed(2)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
