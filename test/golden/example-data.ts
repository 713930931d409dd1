import { writeFile } from 'node:fs/promises';

export type ExampleFormat =
  | 'chat'
  | 'prompt_completion'
  | 'text'
  | 'classification'
  | 'token_classification'
  | 'pairs'
  | 'scored_pairs';

const colours = ['red', 'green', 'dark blue', 'white', 'pale yellow', 'brown'];
const fruits = ['apple', 'pear', 'cherry', 'plum', 'quince'];

/** Writes a training file of short, uneven examples (8 to about 60 tokens of the tiny tokenizer). */
export async function writeExamples(file: string, format: ExampleFormat, count: number): Promise<void> {
  const lines: string[] = [];
  for (let i = 0; i < count; i++) {
    const colour = colours[(i * 7) % colours.length]!;
    const fruit = fruits[(i * 3) % fruits.length]!;
    const question = `How many ${colour} ${fruit}s grow on tree ${i}?`;
    const answer =
      i % 4 === 0 ? `${i}.` : `${i} ${fruit}s, and all of them are ${colour} 🙂.`.repeat(1 + (i % 3));
    if (format === 'text') lines.push(JSON.stringify({ text: `${question} ${answer}` }));
    if (format === 'prompt_completion')
      lines.push(JSON.stringify({ prompt: question, completion: ` ${answer}` }));
    if (format === 'classification') lines.push(JSON.stringify({ text: question, label: (i * 7) % 3 }));
    if (format === 'token_classification') {
      const tokens = question.split(' ');
      const labels: number[] = tokens.map((word) =>
        word === 'How' ? -100 : fruit.startsWith(word.slice(0, 3)) ? 1 : 0,
      );
      labels[2] = 2;
      lines.push(JSON.stringify({ tokens, labels }));
    }
    if (format === 'pairs') {
      const negative = i % 3 === 0 ? {} : { negative: `${colour} is a colour, ${i}.` };
      lines.push(JSON.stringify({ anchor: question, positive: `Tree ${i} bears ${fruit}s.`, ...negative }));
    }
    if (format === 'scored_pairs') {
      const sentence2 = `Tree ${i} bears ${fruit}s.`;
      lines.push(JSON.stringify({ sentence1: question, sentence2, score: (i % 5) / 4 }));
    }
    if (format === 'chat') {
      const messages = [
        { role: 'user', content: question },
        { role: 'assistant', content: answer },
      ];
      if (i % 5 === 0) {
        messages.push({ role: 'user', content: 'Sure?' }, { role: 'assistant', content: `Yes, ${i}.` });
      }
      lines.push(JSON.stringify({ messages }));
    }
  }
  await writeFile(file, `${lines.join('\n')}\n`);
}
