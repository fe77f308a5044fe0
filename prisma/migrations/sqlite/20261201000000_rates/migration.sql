-- AlterTable
ALTER TABLE "controllers" ADD COLUMN "pushes_per_second" DOUBLE NOT NULL DEFAULT 0;
ALTER TABLE "controllers" ADD COLUMN "reads_per_second" DOUBLE NOT NULL DEFAULT 0;
