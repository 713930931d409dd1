/** The part of Eleventy that the guide uses; the package has no types. */
declare module '@11ty/eleventy' {
  import type MarkdownIt from 'markdown-it';

  export interface PageData {
    /** Path of the source, such as `./docs/jobs.md`. */
    inputPath: string;
    url: string;
  }

  export interface Config {
    setTemplateFormats(formats: string[]): void;
    addGlobalData(name: string, value: unknown): void;
    addTemplate(path: string, content: string): void;
    addPassthroughCopy(paths: Record<string, string>): void;
    amendLibrary(name: 'md', change: (md: MarkdownIt) => void): void;
    addTransform(name: string, transform: (this: { page: PageData }, content: string) => string): void;
  }

  // biome-ignore lint/style/noDefaultExport: the package has one.
  export default class Eleventy {
    constructor(
      input: string,
      output: string,
      options: { quietMode?: boolean; config?: (config: Config) => void },
    );
    initializeConfig(overrides: { markdownTemplateEngine: false }): Promise<void>;
    write(): Promise<void>;
  }
}
