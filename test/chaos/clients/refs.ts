/** They only grow: nobody forces or deletes them, so every commit that was acknowledged stays in their history. */
export const LOG_REFS = ['refs/heads/log-1', 'refs/heads/log-2'] as const;
/** Everybody forces and deletes them. */
export const WILD_REFS = ['refs/heads/wild-1', 'refs/heads/wild-2'] as const;
/** Only ever pushed both at once, atomically and to the same commit: nobody may see them differ. */
export const PAIR_REFS = ['refs/heads/pair-a', 'refs/heads/pair-b'] as const;
