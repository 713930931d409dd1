-- The column of a data file that each field is in, such as {"prompt": "question"}. Null: as recognised, as for all files until now.
ALTER TABLE "files" ADD COLUMN "columns" JSONB;
ALTER TABLE "file_reports" ADD COLUMN "columns" JSONB;
