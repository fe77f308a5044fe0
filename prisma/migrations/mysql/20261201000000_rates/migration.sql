-- AlterTable
ALTER TABLE `controllers` ADD COLUMN `pushes_per_second` DOUBLE NOT NULL DEFAULT 0,
    ADD COLUMN `reads_per_second` DOUBLE NOT NULL DEFAULT 0;
