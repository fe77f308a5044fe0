-- CreateTable
CREATE TABLE `repositories` (
    `id` CHAR(32) NOT NULL,
    `name` VARCHAR(200) NOT NULL,
    `object_format` VARCHAR(6) NOT NULL,
    `default_branch` VARCHAR(4000) NOT NULL,
    `replication_factor` INTEGER NOT NULL,
    `generation` BIGINT NOT NULL,
    `refs_digest` CHAR(64) NOT NULL,
    `deny_non_fast_forwards` BOOLEAN NOT NULL,
    `deny_deletes` BOOLEAN NOT NULL,
    `created_at` DATETIME(3) NOT NULL,

    UNIQUE INDEX `repositories_name_key`(`name`),
    PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- CreateTable
CREATE TABLE `nodes` (
    `id` VARCHAR(63) NOT NULL,
    `url` VARCHAR(500) NOT NULL,
    `boot` CHAR(32) NOT NULL,
    `state` VARCHAR(20) NOT NULL,
    `seen_at` DATETIME(3) NOT NULL,

    PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- CreateTable
CREATE TABLE `replicas` (
    `repository_id` CHAR(32) NOT NULL,
    `node_id` VARCHAR(63) NOT NULL,
    `state` VARCHAR(20) NOT NULL,
    `generation` BIGINT NOT NULL,
    `digest` CHAR(64) NOT NULL,
    `reason` VARCHAR(500) NULL,
    `changed_at` DATETIME(3) NOT NULL,

    INDEX `replicas_node_id_idx`(`node_id`),
    PRIMARY KEY (`repository_id`, `node_id`)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- CreateTable
CREATE TABLE `transactions` (
    `id` CHAR(32) NOT NULL,
    `batch` CHAR(32) NOT NULL,
    `repository_id` CHAR(32) NOT NULL,
    `outcome` VARCHAR(20) NOT NULL,
    `generation` BIGINT NULL,
    `decided_by` VARCHAR(100) NOT NULL,
    `decided_at` DATETIME(3) NOT NULL,

    INDEX `transactions_batch_idx`(`batch`),
    INDEX `transactions_repository_id_idx`(`repository_id`),
    PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- CreateTable
CREATE TABLE `repair_jobs` (
    `id` CHAR(32) NOT NULL,
    `repository_id` CHAR(32) NOT NULL,
    `node_id` VARCHAR(63) NOT NULL,
    `reason` VARCHAR(500) NOT NULL,
    `state` VARCHAR(20) NOT NULL,
    `attempt` INTEGER NOT NULL,
    `fence` BIGINT NOT NULL,
    `holder` VARCHAR(100) NULL,
    `lease_until` DATETIME(3) NULL,
    `next_attempt_at` DATETIME(3) NOT NULL,
    `last_error` VARCHAR(4000) NULL,
    `created_at` DATETIME(3) NOT NULL,

    INDEX `repair_jobs_next_attempt_at_idx`(`next_attempt_at`),
    UNIQUE INDEX `repair_jobs_repository_id_node_id_key`(`repository_id`, `node_id`),
    PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- CreateTable
CREATE TABLE `events` (
    `sequence` BIGINT NOT NULL AUTO_INCREMENT,
    `repository_id` CHAR(32) NOT NULL,
    `kind` VARCHAR(64) NOT NULL,
    `payload` MEDIUMTEXT NOT NULL,
    `created_at` DATETIME(3) NOT NULL,

    PRIMARY KEY (`sequence`)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- AddForeignKey
ALTER TABLE `replicas` ADD CONSTRAINT `replicas_repository_id_fkey` FOREIGN KEY (`repository_id`) REFERENCES `repositories`(`id`) ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE `replicas` ADD CONSTRAINT `replicas_node_id_fkey` FOREIGN KEY (`node_id`) REFERENCES `nodes`(`id`) ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE `repair_jobs` ADD CONSTRAINT `repair_jobs_repository_id_node_id_fkey` FOREIGN KEY (`repository_id`, `node_id`) REFERENCES `replicas`(`repository_id`, `node_id`) ON DELETE CASCADE ON UPDATE CASCADE;
