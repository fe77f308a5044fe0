import Type, { type TSchema } from 'typebox';

/** One page of a list. `next` is the `after` of the page that follows; null on the last one. */
export function Page<Item extends TSchema>(item: Item) {
  return Type.Object({ items: Type.Array(item), next: Type.Union([Type.String(), Type.Null()]) });
}

/** What every list answers, whatever it is a list of. */
export interface PageOf<Item> {
  items: Item[];
  next: string | null;
}
