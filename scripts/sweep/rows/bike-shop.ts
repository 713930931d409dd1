import { readJsonLines } from './json-lines.ts';

/** A line of examples/bike-shop. */
export interface ShopMessage {
  messages: { role: string; content: string }[];
}

const read = (file: string) => readJsonLines<ShopMessage>(`examples/bike-shop/${file}`);

/** The demo's chats: 240 to train on, and 60 others. */
export const shopChats = () => ({ training: read('train.jsonl'), validation: read('heldout.jsonl') });

/** The messages alone, each with what `label` makes of its answer, such as `workshop/urgent`. */
export function shopLabels(label: (answer: string) => string) {
  const labelled = ({ messages }: ShopMessage) => ({
    text: messages.at(-2)!.content,
    label: label(messages.at(-1)!.content),
  });
  const { training, validation } = shopChats();
  return { training: training.map(labelled), validation: validation.map(labelled) };
}
