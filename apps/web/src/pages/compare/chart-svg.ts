/** A chart as a standalone SVG or PNG with title, axes and legend, in the page's current colours. */
import type { Line } from '../../components/chart/plot-options.ts';
import { measure } from '../../text/numbers.ts';

interface ChartSettings {
  isLog: boolean;
  window: readonly [number, number] | null;
  formatX: (value: number) => string;
  colours: { ink: string; 'ink-soft': string; line: string; surface: string; series: readonly string[] };
}

const [width, height] = [960, 480];
const box = { left: 64, right: width - 24, top: 72, bottom: height - 40 };

export function chartSvg(
  title: string,
  lines: readonly Line[],
  { isLog, window, formatX, colours }: ChartSettings,
): string {
  const points = lines.map(({ x, y }) =>
    x.flatMap((each, i) => {
      const value = y[i] ?? null;
      const isShown =
        value !== null && (!isLog || value > 0) && (!window || (each >= window[0] && each <= window[1]));
      return isShown ? [{ x: each, y: isLog ? Math.log10(value) : value }] : [];
    }),
  );
  const xs = scale(
    points.flat().map(({ x }) => x),
    box.left,
    box.right,
  );
  const ys = scale(
    points.flat().map(({ y }) => y),
    box.bottom,
    box.top,
  );
  const colourOf = (colour: number) => colours.series[colour % colours.series.length]!;
  const text = (
    x: number,
    y: number,
    anchor: string,
    content: string,
    fill = colours['ink-soft'],
    size = 12,
  ) =>
    `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" text-anchor="${anchor}" font-size="${size}" fill="${fill}">${escaped(content)}</text>`;
  const grid = [
    ...ys.ticks.map(
      (tick) =>
        `<path d="M${box.left} ${ys.place(tick).toFixed(1)}H${box.right}" stroke="${colours.line}"/>${text(box.left - 8, ys.place(tick) + 4, 'end', measure(isLog ? 10 ** tick : tick))}`,
    ),
    ...xs.ticks.map((tick) => text(xs.place(tick), box.bottom + 20, 'middle', formatX(tick))),
  ];
  const curves = lines.map(
    ({ colour, isFaint }, i) =>
      `<polyline fill="none" stroke="${colourOf(colour)}" stroke-width="${isFaint ? 1 : 2}" opacity="${isFaint ? 0.3 : 1}" points="${points[
        i
      ]!.map(({ x, y }) => `${xs.place(x).toFixed(1)},${ys.place(y).toFixed(1)}`).join(' ')}"/>`,
  );
  const legend = lines
    .filter(({ isFaint }) => !isFaint)
    .map(({ name, colour }, i) => {
      const left = box.left + i * 110;
      return `<path d="M${left} 50h14" stroke="${colourOf(colour)}" stroke-width="3"/>${text(left + 20, 54, 'start', name.length > 13 ? `${name.slice(0, 12)}…` : name)}`;
    });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="system-ui, sans-serif">`,
    `<rect width="${width}" height="${height}" fill="${colours.surface}"/>`,
    text(box.left, 28, 'start', title, colours.ink, 18),
    ...legend,
    ...grid,
    ...curves,
    '</svg>',
  ].join('\n');
}

/** The SVG as a PNG of twice its size, for high-resolution screens. */
export async function chartPng(svg: string): Promise<Blob> {
  const image = new Image();
  const url = URL.createObjectURL(new Blob([svg], { type: 'image/svg+xml' }));
  try {
    image.src = url;
    await image.decode();
    const canvas = document.createElement('canvas');
    canvas.width = width * 2;
    canvas.height = height * 2;
    canvas.getContext('2d')!.drawImage(image, 0, 0, canvas.width, canvas.height);
    const blob = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, 'image/png'));
    if (!blob) throw new Error('The browser could not create an image of the chart.');
    return blob;
  } finally {
    URL.revokeObjectURL(url);
  }
}

/** A linear scale from values to pixels, with ticks at round values. */
function scale(values: readonly number[], start: number, end: number) {
  const low = values.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY);
  const high = values.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  const [from, width] = Number.isFinite(low) ? [low, high - low || 1] : [0, 1];
  const step = roundStep(width / 6);
  const first = Math.ceil(from / step) * step;
  const ticks = Array.from(
    { length: Math.floor((from + width - first) / step) + 1 },
    (_, i) => first + i * step,
  );
  return { ticks, place: (value: number) => start + ((value - from) / width) * (end - start) };
}

/** The smallest 1, 2 or 5 times a power of ten that is at least `size`. */
function roundStep(size: number): number {
  const power = 10 ** Math.floor(Math.log10(size));
  return ([1, 2, 5].find((each) => each * power >= size) ?? 10) * power;
}

const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
