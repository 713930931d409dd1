/** Configs of published models open as outlines with the weights that transformers gives them. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { UNTIED_WEIGHTS } from './family.ts';
import { defaultTask, type ModelOutline, modelTypes, outlineOf, type TaskType } from './index.ts';
import { shapeInFiles } from './outline.ts';

/** From scripts/golden/testdata/published_configs.py, which describes the fields. */
interface Published {
  config: Record<string, unknown>;
  source: string | null;
  untied?: string[];
  refused?: string;
  task: TaskType;
  parameters: number;
  weights: string;
}

const folder = join(import.meta.dirname, '../../../../test/golden/published-configs');
const families = readdirSync(folder).map((file) => ({
  family: file.replace('.json', ''),
  models: Object.entries(JSON.parse(readFileSync(join(folder, file), 'utf8')) as Record<string, Published>),
}));

/** The config of a model that Graft knows; the text model's, where it knows only that one; null if it knows neither. */
function knownConfig({ config, untied }: Published): Record<string, unknown> | null {
  const candidates = [config, config.text_config as Record<string, unknown> | undefined];
  const known = candidates.find((each) => modelTypes.includes(String(each?.model_type)));
  if (!known || !untied) return known ?? null;
  return { ...known, [UNTIED_WEIGHTS]: untied.map((module) => `${module}.weight`) };
}

/** A line for each weight and each tied one, sorted by code point. */
function weightLines({ parameters, aliases }: ModelOutline): string[] {
  // The digests of multimodal models are those of their text model.
  const own = parameters.map((each) => `${textName(each.name)} ${shapeInFiles(each)}`);
  const tied = Object.entries(aliases).map(([name, other]) => `${name} = ${textName(other)}`);
  return [...own, ...tied].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
}

const textName = (name: string) => name.replace('model.language_model.', 'model.');

for (const { family, models } of families) {
  for (const [name, published] of models) {
    const config = knownConfig(published);
    if (published.refused) {
      test(`${family}: ${name} is refused`, () => {
        assert.throws(() => outlineOf(config!), {
          code: 'unsupported_model',
          message: new RegExp(published.refused!),
        });
      });
      continue;
    }
    const skip = config === null && `Graft has no family for ${published.config.model_type} yet`;
    test(`${family}: ${name} has the weights that transformers gives it`, { skip }, () => {
      const { task, parameters, weights } = published;
      assert.equal(defaultTask(config!), task);
      const outline = outlineOf(config!);
      const lines = weightLines(outline);
      const count = outline.parameters.reduce(
        (sum, { shape }) => sum + shape.reduce((product, size) => product * size, 1),
        0,
      );
      assert.equal(count, parameters);
      assert.equal(
        createHash('sha256').update(lines.join('\n')).digest('hex'),
        weights,
        `compare with published_configs.py --lines ${name}:\n${lines.slice(0, 20).join('\n')} …`,
      );
    });
  }
}

test('every family that Graft knows has published configs', () => {
  const types = families.flatMap(({ models }) =>
    models.flatMap(([, { config }]) => [config, config.text_config as typeof config | undefined]),
  );
  for (const type of modelTypes)
    assert.ok(
      types.some((config) => config?.model_type === type),
      `test/golden/published-configs has no ${type}`,
    );
});

test('a model is claimed only with a public source', () => {
  const source = /^(transformers|[\w.-]+\/[\w.-]+): \S+/;
  for (const [name, published] of families.flatMap(({ models }) => models))
    assert.equal(published.source === null, name.startsWith('like '), name);
  const sources = families.flatMap(({ models }) => models.flatMap(([, published]) => published.source ?? []));
  assert.deepEqual(
    sources.filter((each) => !source.test(each)),
    [],
  );
});
