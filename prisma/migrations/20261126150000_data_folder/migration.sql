-- AlterTable
ALTER TABLE "installation" ADD COLUMN     "data_folder" UUID;
