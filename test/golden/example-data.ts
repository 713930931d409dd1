import { writeFile } from 'node:fs/promises';

type Format = 'chat' | 'prompt_completion' | 'text';

const colours = ['red', 'green', 'dark blue', 'white', 'pale yellow', 'brown'];
const fruits = ['apple', 'pear', 'cherry', 'plum', 'quince'];

/** Writes a training file of short, uneven examples (8 to about 60 tokens of the tiny tokenizer). */
export async function writeExamples(file: string, format: Format, count: number): Promise<void> {
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
