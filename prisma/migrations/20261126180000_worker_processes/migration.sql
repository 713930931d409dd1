-- AlterTable
ALTER TABLE "workers" ADD COLUMN     "process" TEXT,
ADD COLUMN     "process_namespace" TEXT;
