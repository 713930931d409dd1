-- AlterTable
ALTER TABLE "workers" ADD COLUMN     "machine" TEXT,
ADD COLUMN     "process_start" TEXT;
