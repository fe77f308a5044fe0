-- AlterTable
ALTER TABLE `replicas` ADD COLUMN `verified_at` DATETIME(3) NULL,
    ADD COLUMN `checked_at` DATETIME(3) NULL,
    ADD COLUMN `next_verify_at` DATETIME(3) NULL,
    ADD COLUMN `next_check_at` DATETIME(3) NULL;

-- CreateIndex
CREATE INDEX `replicas_state_idx` ON `replicas`(`state`);

-- CreateIndex
CREATE INDEX `replicas_next_verify_at_idx` ON `replicas`(`next_verify_at`);

-- CreateIndex
CREATE INDEX `replicas_next_check_at_idx` ON `replicas`(`next_check_at`);

-- CreateIndex
CREATE INDEX `transactions_decided_at_idx` ON `transactions`(`decided_at`);

-- AlterTable
ALTER TABLE `transactions` ADD COLUMN `digest` CHAR(64) NULL;

-- AlterTable
ALTER TABLE `nodes` ADD COLUMN `heard_at` DATETIME(3) NULL;

-- Open jobs are opened again by reconcile, which finds the replicas they were for.
-- DropTable
DROP TABLE `repair_jobs`;

-- CreateTable
CREATE TABLE `repair_jobs` (
    `id` CHAR(32) NOT NULL,
    `repository_id` CHAR(32) NOT NULL,
    `node_id` VARCHAR(63) NOT NULL,
    `reason` VARCHAR(20) NOT NULL,
    `detail` VARCHAR(500) NOT NULL,
    `state` VARCHAR(20) NOT NULL,
    `open` INTEGER NULL,
    `attempt` INTEGER NOT NULL,
    `fence` BIGINT NOT NULL,
    `holder` VARCHAR(100) NULL,
    `lease_until` DATETIME(3) NULL,
    `next_attempt_at` DATETIME(3) NOT NULL,
    `source` VARCHAR(63) NULL,
    `way` VARCHAR(20) NULL,
    `round` INTEGER NOT NULL,
    `objects` BIGINT NOT NULL,
    `total_objects` BIGINT NULL,
    `bytes` BIGINT NOT NULL,
    `total_bytes` BIGINT NULL,
    `last_error` VARCHAR(4000) NULL,
    `created_at` DATETIME(3) NOT NULL,
    `started_at` DATETIME(3) NULL,
    `finished_at` DATETIME(3) NULL,

    INDEX `repair_jobs_open_next_attempt_at_idx`(`open`, `next_attempt_at`),
    INDEX `repair_jobs_finished_at_idx`(`finished_at`),
    UNIQUE INDEX `repair_jobs_repository_id_node_id_open_key`(`repository_id`, `node_id`, `open`),
    PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- CreateTable
CREATE TABLE `findings` (
    `id` CHAR(32) NOT NULL,
    `node_id` VARCHAR(63) NOT NULL,
    `repository_id` CHAR(32) NOT NULL,
    `kind` VARCHAR(20) NOT NULL,
    `detail` VARCHAR(500) NOT NULL,
    `found_at` DATETIME(3) NOT NULL,
    `resolved_at` DATETIME(3) NULL,
    `open` INTEGER NULL,

    INDEX `findings_repository_id_idx`(`repository_id`),
    INDEX `findings_resolved_at_idx`(`resolved_at`),
    UNIQUE INDEX `findings_node_id_repository_id_kind_open_key`(`node_id`, `repository_id`, `kind`, `open`),
    PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- CreateTable
CREATE TABLE `data_losses` (
    `id` CHAR(32) NOT NULL,
    `repository_id` CHAR(32) NOT NULL,
    `repository` VARCHAR(200) NOT NULL,
    `source` VARCHAR(63) NOT NULL,
    `accepted_by` VARCHAR(100) NOT NULL,
    `reason` VARCHAR(500) NOT NULL,
    `before_generation` BIGINT NOT NULL,
    `before_digest` CHAR(64) NOT NULL,
    `source_generation` BIGINT NOT NULL,
    `after_generation` BIGINT NOT NULL,
    `after_digest` CHAR(64) NOT NULL,
    `accepted_at` DATETIME(3) NOT NULL,

    INDEX `data_losses_repository_id_idx`(`repository_id`),
    PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- AddForeignKey
ALTER TABLE `repair_jobs` ADD CONSTRAINT `repair_jobs_repository_id_node_id_fkey` FOREIGN KEY (`repository_id`, `node_id`) REFERENCES `replicas`(`repository_id`, `node_id`) ON DELETE CASCADE ON UPDATE CASCADE;
