-- AlterTable
ALTER TABLE `repositories` ADD COLUMN `name_key` VARCHAR(200) NULL;

-- AlterTable
ALTER TABLE `repositories` ADD COLUMN `state` VARCHAR(20) NOT NULL DEFAULT 'ready';

-- AlterTable
ALTER TABLE `repositories` ADD COLUMN `intended_factor` INTEGER NULL;

-- AlterTable
ALTER TABLE `repositories` ADD COLUMN `trashed_name` VARCHAR(200) NULL;

-- AlterTable
ALTER TABLE `repositories` ADD COLUMN `trashed_at` DATETIME(3) NULL;

-- AlterTable
ALTER TABLE `nodes` ADD COLUMN `zone` VARCHAR(63) NOT NULL DEFAULT '';

-- AlterTable
ALTER TABLE `nodes` ADD COLUMN `version` VARCHAR(100) NOT NULL DEFAULT '';

-- AlterTable
ALTER TABLE `nodes` ADD COLUMN `git_version` VARCHAR(100) NOT NULL DEFAULT '';

-- AlterTable
ALTER TABLE `nodes` ADD COLUMN `disk_total_bytes` BIGINT NULL;

-- AlterTable
ALTER TABLE `nodes` ADD COLUMN `disk_free_bytes` BIGINT NULL;

-- AlterTable
ALTER TABLE `nodes` ADD COLUMN `load_average` DOUBLE NULL;

-- AlterTable
ALTER TABLE `nodes` ADD COLUMN `clock_skew_ms` INTEGER NULL;

-- AlterTable
ALTER TABLE `nodes` ADD COLUMN `joined_at` DATETIME(3) NULL;

-- AlterTable
ALTER TABLE `nodes` ADD COLUMN `state_changed_at` DATETIME(3) NULL;

-- Of names that differ in case only, the oldest has the key; ids begin with the time of their making.
UPDATE repositories SET name_key = LOWER(name) WHERE id IN (SELECT id FROM (SELECT MIN(id) AS id FROM repositories GROUP BY LOWER(name)) AS oldest);

-- CreateIndex
CREATE UNIQUE INDEX `repositories_name_key_key` ON `repositories`(`name_key`);

-- CreateIndex
CREATE INDEX `repositories_trashed_at_idx` ON `repositories`(`trashed_at`);

-- A node that was cordoned by hand is one that shall not be read from.
UPDATE nodes SET state = 'quiesced' WHERE state = 'cordoned';

-- CreateTable
CREATE TABLE `removals` (
    `repository_id` CHAR(32) NOT NULL,
    `node_id` VARCHAR(63) NOT NULL,
    `reason` VARCHAR(20) NOT NULL,
    `created_at` DATETIME(3) NOT NULL,

    INDEX `removals_node_id_idx`(`node_id`),
    PRIMARY KEY (`repository_id`, `node_id`)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- CreateTable
CREATE TABLE `imports` (
    `id` CHAR(32) NOT NULL,
    `repository_id` CHAR(32) NOT NULL,
    `repository` VARCHAR(200) NOT NULL,
    `source` VARCHAR(2000) NOT NULL,
    `state` VARCHAR(20) NOT NULL,
    `open` INTEGER NULL,
    `phase` VARCHAR(20) NULL,
    `node_id` VARCHAR(63) NULL,
    `objects` BIGINT NOT NULL,
    `total_objects` BIGINT NULL,
    `bytes` BIGINT NOT NULL,
    `attempt` INTEGER NOT NULL,
    `fence` BIGINT NOT NULL,
    `holder` VARCHAR(100) NULL,
    `lease_until` DATETIME(3) NULL,
    `next_attempt_at` DATETIME(3) NOT NULL,
    `last_error` VARCHAR(4000) NULL,
    `created_at` DATETIME(3) NOT NULL,
    `finished_at` DATETIME(3) NULL,

    UNIQUE INDEX `imports_repository_id_open_key`(`repository_id`, `open`),
    INDEX `imports_open_next_attempt_at_idx`(`open`, `next_attempt_at`),
    INDEX `imports_finished_at_idx`(`finished_at`),
    PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- CreateTable
CREATE TABLE `maintenance_leases` (
    `repository_id` CHAR(32) NOT NULL,
    `node_id` VARCHAR(63) NOT NULL,
    `lease_until` DATETIME(3) NOT NULL,

    PRIMARY KEY (`repository_id`)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- CreateTable
CREATE TABLE `clusters` (
    `singleton` INTEGER NOT NULL,
    `id` CHAR(32) NOT NULL,
    `token_check` CHAR(64) NOT NULL,
    `created_at` DATETIME(3) NOT NULL,

    PRIMARY KEY (`singleton`)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- CreateTable
CREATE TABLE `controllers` (
    `id` VARCHAR(100) NOT NULL,
    `boot` CHAR(32) NOT NULL,
    `version` VARCHAR(100) NOT NULL,
    `settings` TEXT NOT NULL,
    `started_at` DATETIME(3) NOT NULL,
    `seen_at` DATETIME(3) NOT NULL,

    PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- CreateTable
CREATE TABLE `duties` (
    `name` VARCHAR(40) NOT NULL,
    `holder` VARCHAR(100) NOT NULL,
    `fence` BIGINT NOT NULL,
    `lease_until` DATETIME(3) NOT NULL,

    PRIMARY KEY (`name`)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
