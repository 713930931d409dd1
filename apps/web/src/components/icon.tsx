/** Paths in a 16 × 16 view box. */
const paths = {
  add: 'M8 3v10M3 8h10',
  back: 'M10 3 5 8l5 5',
  close: 'M4 4l8 8M12 4l-8 8',
  compare: 'M2 12c3 0 4-8 7-8M2 6c4 0 5 6 12 6',
  copy: 'M6 6h7v7H6zM3 10V3h7',
  data: 'M3 3h10v10H3zM3 6.5h10M6.5 6.5V13',
  download: 'M8 2v8M4.5 7 8 10.5 11.5 7M3 13.5h10',
  jobs: 'M3 4h1M7 4h6M3 8h1M7 8h6M3 12h1M7 12h6',
  next: 'M6 3l5 5-5 5',
  pause: 'M5.5 3.5v9M10.5 3.5v9',
  play: 'M5 3.5v9l7-4.5z',
  people:
    'M6 8a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5ZM2 13c0-2.5 1.8-4 4-4s4 1.5 4 4M11 3.5a2.5 2.5 0 0 1 0 4.5M12 9.5c1.3.6 2 1.8 2 3.5',
  refresh: 'M13 8a5 5 0 1 1-1.5-3.5M13 2.5v3h-3',
  swap: 'M3 5.5h9M9.5 3 12 5.5 9.5 8M13 10.5H4M6.5 8 4 10.5 6.5 13',
  chat: 'M3 3h10v7H7l-3 3v-3H3z',
  trash: 'M3 4.5h10M6.5 4.5V3h3v1.5M4.5 4.5l.5 9h6l.5-9',
  tree: 'M4 3v10M4 8c0-3 8 0 8-5M12 3h.01M4 12c0-3 8 0 8-4',
  up: 'M8 13V3M4 7l4-4 4 4',
  wrench: 'M3 13l5-5M8 8a3.2 3.2 0 0 1 4.5-4L10.5 6l1.5 1.5 2-2A3.2 3.2 0 0 1 8 8Z',
} as const;

export type IconName = keyof typeof paths;

/** In the colour of the text beside it. Hidden from screen readers, because the text says the same. */
export const Icon = ({ name }: { name: IconName }) => (
  <svg class="icon" viewBox="0 0 16 16" aria-hidden="true" focusable="false">
    <path d={paths[name]} />
  </svg>
);
