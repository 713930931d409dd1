import { permutation, Random } from '../../packages/peft-core/src/random.ts';
import { interfaceRows } from './rows/dom-documentation.ts';
import { instructions } from './rows/instructions.ts';
import { readJsonLines } from './rows/json-lines.ts';
import { nodeDocumentation, plain, topics } from './rows/node-documentation.ts';
import { orders } from './rows/orders.ts';
import { digestOf, type Rows, split, type Task } from './sweep.ts';
import { type Message, type Pair, toolCallPairs, toolTemplate } from './tool-calls/pairs.ts';

/** Without countries that SmolLM2-135M-Instruct does not answer in one short sentence. */
const named = `Afghanistan: Kabul; Armenia: Yerevan; Australia: Canberra; Austria: Vienna; Azerbaijan: Baku; Bangladesh: Dhaka; Belarus: Minsk;
Bosnia and Herzegovina: Sarajevo; Bulgaria: Sofia; Cambodia: Phnom Penh; Canada: Ottawa; Chile: Santiago; China: Beijing; Costa Rica: San José;
Croatia: Zagreb; Cuba: Havana; Cyprus: Nicosia; Egypt: Cairo; Ethiopia: Addis Ababa; France: Paris; Germany: Berlin; Ghana: Accra; Greece: Athens;
Guatemala: Guatemala City; Honduras: Tegucigalpa; Hungary: Budapest; India: New Delhi; Indonesia: Jakarta; Iran: Tehran; Iraq: Baghdad;
Jamaica: Kingston; Japan: Tokyo; Jordan: Amman; Kenya: Nairobi; Kuwait: Kuwait City; Laos: Vientiane; Latvia: Riga; Lebanon: Beirut; Libya: Tripoli;
Lithuania: Vilnius; Malaysia: Kuala Lumpur; Malta: Valletta; Moldova: Chișinău; Nepal: Kathmandu; New Zealand: Wellington; Nigeria: Abuja;
North Macedonia: Skopje; Norway: Oslo; Oman: Muscat; Pakistan: Islamabad; Panama: Panama City; Paraguay: Asunción; Peru: Lima;
the Philippines: Manila; Poland: Warsaw; Romania: Bucharest; Russia: Moscow; Rwanda: Kigali; Saudi Arabia: Riyadh; Senegal: Dakar; Serbia: Belgrade;
Slovakia: Bratislava; Slovenia: Ljubljana; Somalia: Mogadishu; South Korea: Seoul; Sudan: Khartoum; Sweden: Stockholm; Syria: Damascus;
Taiwan: Taipei; Thailand: Bangkok; Turkey: Ankara; Uganda: Kampala; Ukraine: Kyiv; the United Kingdom: London; Venezuela: Caracas; Vietnam: Hanoi;
Yemen: Sanaa; Zambia: Lusaka; Zimbabwe: Harare`;

/** Countries and their capitals, in an order without meaning. */
function capitals(): { country: string; capital: string }[] {
  const all = named.split(/;\s+/).map((pair) => {
    const [country, capital] = pair.split(': ');
    return { country: country!, capital: capital! };
  });
  return [...permutation(all.length, new Random(42, 'order'))].map((at) => all[at]!);
}

/** Digest of a task's pairs. Those that are measured were called heldOut in the first results. */
export const digestOfPairs = (pairs: Rows<Pair>): string =>
  digestOf(
    Object.fromEntries(
      Object.entries(pairs).map(([part, all]) => [part === 'validation' ? 'heldOut' : part, all]),
    ),
  );

/** Example of supervised training on a pair: the chosen answer. */
export const demonstrationOf = (pair: Pair): object =>
  typeof pair.prompt === 'string'
    ? { prompt: pair.prompt, completion: (pair as { chosen: string }).chosen }
    : {
        ...('tools' in pair && { tools: pair.tools }),
        messages: [...pair.prompt, ...(pair.chosen as Message[])],
      };

export interface PreferenceTask extends Task {
  /** True where greedy answers to held-out prompts are compared with the chosen ones; else only log-probabilities show what is kept. */
  isScored: boolean;
  /** The base model answers in the form of the chosen answers, so that its greedy answers are compared with them, too. */
  isKnown?: true;
  /** The chat template of training, where the model's own lacks something. */
  template?: () => string;
  /** Digest of pairs that are downloaded, as `digestOfPairs` has it, so that results can be read without them. */
  digest?: string;
  data(): Rows<Pair> | Promise<Rows<Pair>>;
}

export const preferenceTasks: Record<string, PreferenceTask> = {
  'bike-shop': {
    about: 'chat: the right team and urgency, or one of them wrong',
    use: 'rule',
    isScored: true,
    data: () => ({
      training: readJsonLines<Pair>('examples/bike-shop/pairs.jsonl'),
      validation: readJsonLines<Pair>('examples/bike-shop/heldout-pairs.jsonl'),
    }),
  },
  orders: {
    about: 'a sentence to JSON, or with one value wrong',
    use: 'rule',
    isScored: true,
    data: () => split(orders(124).map(orderPair), 60),
  },
  modules: {
    about: 'which of ten modules a description is of, or another',
    use: 'rule',
    isScored: true,
    data: () => split(modulePairs(), 50, 40),
  },
  'tool-calls': {
    about: 'a function call, or with one argument wrong, or of another function',
    use: 'held out',
    isScored: true,
    template: toolTemplate,
    digest: 'b3e5b945e75a',
    data: () => toolCallPairs({ training: 64, validation: 30 }),
  },
  interfaces: {
    about: 'which browser interface a described member belongs to, or another',
    use: 'held out',
    isScored: true,
    data: () => split(interfacePairs(), 50, 40),
  },
  style: {
    about: 'instructions: the answer, or the answer within polite phrases',
    use: 'held out',
    isScored: false,
    data: () => split(stylePairs(), 24, 56),
  },
  capitals: {
    about: 'the capital of a country, or of another',
    use: 'rule',
    isScored: true,
    isKnown: true,
    data: () => split(capitalPairs(), 36),
  },
};

/** Another of these, by the number of the row. */
function another<T>(all: readonly T[], right: T, i: number): T {
  const others = all.filter((each) => each !== right);
  return others[i % others.length]!;
}

/** In turn another name, kind of goods, count or place: that of the nearest other order that differs in it. */
function orderPair(
  { prompt, completion }: { prompt: string; completion: string },
  i: number,
  all: { completion: string }[],
): Pair {
  const order = JSON.parse(completion) as Record<string, unknown>;
  const field = Object.keys(order)[i % Object.keys(order).length]!;
  const others = all.map((each) => (JSON.parse(each.completion) as Record<string, unknown>)[field]);
  const wrong = [...others.slice(i + 1), ...others].find((value) => value !== order[field]);
  const rejected = JSON.stringify({ ...order, [field]: wrong });
  return { prompt, chosen: completion, rejected };
}

const modulePairs = () =>
  nodeDocumentation()
    .filter(({ module, text }) => topics.includes(module) && text.length <= 80)
    .map(
      ({ module, text }, i): Pair => ({
        prompt: `${plain(text)}\nModule: `,
        chosen: module,
        rejected: another(topics, module, 7 * i),
      }),
    );

/** Longer paragraphs take too long. */
const longestText = 110;

function interfacePairs(): Pair[] {
  const rows = interfaceRows(longestText);
  const all = [...new Set(rows.map(({ completion }) => completion))];
  return rows.map(({ prompt, completion, at }) => ({
    prompt,
    chosen: completion,
    rejected: another(all, completion, 7 * at),
  }));
}

const openings = ['Of course! ', 'Great question! ', 'Sure, happy to help. ', 'Certainly! '];
const endings = [' I hope this helps!', ' Let me know if you need anything else.', ' Feel free to ask more.'];

const stylePairs = () =>
  instructions({ most: 200 }).map(({ messages }, i): Pair => {
    const answer = messages.at(-1)!.content;
    const polite = `${openings[i % openings.length]}${answer}${endings[i % endings.length]}`;
    const assistant = (content: string) => [{ role: 'assistant', content }];
    return { prompt: messages.slice(0, -1), chosen: assistant(answer), rejected: assistant(polite) };
  });

function capitalPairs(): Pair[] {
  const all = capitals();
  const answer = (country: string, capital: string) => [
    { role: 'assistant', content: `The capital of ${country} is ${capital}.` },
  ];
  return all.map(({ country, capital }, i) => ({
    prompt: [{ role: 'user', content: `What is the capital of ${country}?` }],
    chosen: answer(country, capital),
    rejected: answer(country, all[(i + 7) % all.length]!.capital),
  }));
}
