-- Characters of all that a language model learns to write in a file's examples. Null: of a version that did not count them.
ALTER TABLE "files" ADD COLUMN "answer_characters" BIGINT;
