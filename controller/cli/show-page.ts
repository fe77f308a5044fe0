import type { Screen } from './terminal/screen.ts';
import { table, type Column } from './terminal/table.ts';

/** Shows one page of a list: as REST gave it to programs, as a table to people, who are told how to get the next one. */
export function showPage<Item>(screen: Screen, page: { items: Item[]; next: string | null }, columns: readonly Column<Item>[], nothing: string): void {
  if (screen.json) {
    screen.document(page);
    return;
  }
  screen.print(...page.items.length === 0 ? [nothing] : table(page.items, columns, screen));
  if (page.next !== null) screen.note(`There are more: --after ${page.next}`);
}
