import { Random } from '../../../packages/peft-core/src/random.ts';

const names = 'Ada Ben Chloe Dario Elif Femi Greta Hugo Ines Jonas Kaya Liam Mina Noor Otto Pia'.split(' ');
const goods = 'inner tubes,brake pads,bells,chains,pedals,saddles,tyres,pumps,helmets,lamps'.split(',');
const places = 'Lisbon Oslo Graz Turin Ghent Porto Leeds Basel Malmö Kraków'.split(' ');
const numbers = 'two three four five six seven eight nine ten eleven twelve'.split(' ');
const sentences = [
  '{who} from {where} wants {count} {what}.',
  'Please send {count} {what} to {where}, {who} will pay.',
  'In {where}, {who} has asked for {count} {what}.',
  'Ship {who} {count} {what}. The address is in {where}.',
];

/** Sentences that order something, no two alike, and the order as JSON. */
export function orders(count: number): { prompt: string; completion: string }[] {
  const random = new Random(1, 'order');
  const pick = <T>(all: readonly T[]) => all[random.integer(all.length)]!;
  const made = new Map<string, string>();
  while (made.size < count) {
    const [who, what, where, word] = [pick(names), pick(goods), pick(places), pick(numbers)];
    const values: Record<string, string> = { who, what, where, count: word };
    const prompt = `${pick(sentences).replace(/\{(\w+)\}/g, (_, name) => values[name]!)}\n`;
    made.set(prompt, JSON.stringify({ who, what, count: numbers.indexOf(word) + 2, where }));
  }
  return [...made].map(([prompt, completion]) => ({ prompt, completion }));
}
